"""The client of webdav4 on the downloadservice."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from webdav4.client import (
    Client,
    ClientError,
    ForbiddenOperation,
    IsACollectionError,
    ResourceAlreadyExists,
    ResourceNotFound,
)

from ctadata_providers import Config, CredentialError, CtaError, UnsupportedError
from ctadata_providers.testing import FakeCta
from ctadata_providers.webdav4_client import webdav4_client

HOME = "lst/users/alice"
NAMES = ["plain.fits", "two words", "été Δ.fits", "a#b", "50%25", "a%", "what?", "a..b", "+&;=@:,'!([)"]


@pytest.fixture(scope="module")
def running() -> Iterator[FakeCta]:
    with FakeCta(services=True) as cta:
        yield cta


@pytest.fixture
def cta(running: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCta:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    running.reset()
    running.make_dir(f"/{HOME}")
    return running


@pytest.fixture
def client(cta: FakeCta) -> Iterator[Client]:
    with webdav4_client(Config.from_mapping(cta.service_settings())) as made:
        yield made


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "example.txt"
    path.write_bytes(b"example " * 1000)
    return path


def test_the_example_of_the_documentation_of_ctadata_runs_in_ones_own_folder(
    client: Client, local: Path, cta: FakeCta
) -> None:
    listed = client.ls("/")
    client.uploadFile(str(local), "remote/example.txt")

    assert [entry["name"] for entry in listed] == ["cta", "lst"]
    assert cta.get(f"/{HOME}/remote/example.txt") == local.read_bytes()
    assert client.ls(f"{HOME}/remote", detail=False) == [f"{HOME}/remote/example.txt"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_what_it_says(name: str, client: Client, local: Path, tmp_path: Path) -> None:
    path = f"{HOME}/{name}/{name}"
    client.mkdir(f"{HOME}/{name}")
    client.uploadFile(local, path)
    client.downloadFile(path, tmp_path / "copy")
    with client.open(path, "rb") as file:
        read = file.read()

    assert (tmp_path / "copy").read_bytes() == read == local.read_bytes()
    assert client.ls(HOME, detail=False) == [f"{HOME}/{name}"]
    assert client.ls(f"{HOME}/{name}", detail=False) == [path]
    assert client.info(path)["content_length"] == client.content_length(path) == 8000
    assert client.isdir(f"{HOME}/{name}")


def test_file_objects_serve_and_nothing_is_replaced_unasked(client: Client) -> None:
    sink = io.BytesIO()
    client.upload_fileobj(io.BytesIO(b"sent"), f"{HOME}/a")
    client.download_fileobj(f"{HOME}/a", sink)
    with pytest.raises(ResourceAlreadyExists):
        client.upload_fileobj(io.BytesIO(b"other"), f"{HOME}/a")
    client.upload_fileobj(io.BytesIO(b"other"), f"{HOME}/a", overwrite=True)

    assert sink.getvalue() == b"sent"
    with client.open(f"{HOME}/a") as file:
        assert file.read() == "other"


def test_what_the_service_would_spoil_is_read_right(client: Client, cta: FakeCta) -> None:
    content = b"<x:href>/pnfs/cta.cscs.ch/lst</x:href><x:href>/lst</x:href>" * 100
    cta.put("/lst/a", content)
    with client.open("lst/a", "rb") as file:
        assert file.read() == content


@pytest.mark.parametrize("act", ["remove", "move", "copy"])
def test_what_the_service_cannot_do_names_the_door_and_sends_nothing(act: str, client: Client, cta: FakeCta) -> None:
    arguments = ["lst/a"] if act == "remove" else ["lst/a", "lst/b"]

    with pytest.raises(UnsupportedError, match="direct door"):
        getattr(client, act)(*arguments)
    assert cta.requests == []


def test_elsewhere_nothing_is_written_and_a_folder_is_no_file(client: Client) -> None:
    with pytest.raises(ForbiddenOperation):
        client.mkdir("lst/elsewhere")
    with pytest.raises(ResourceNotFound):
        client.ls("lst/elsewhere")
    with pytest.raises(IsACollectionError), client.open("lst"):
        pass


def test_a_refused_token_is_told_and_no_login_page_passes_for_a_listing(cta: FakeCta) -> None:
    for token in ("0123456789abcdef", cta.make_hub_token(lifetime=-1)):
        settings = {**cta.service_settings(), "hub_token": token}
        with webdav4_client(Config.from_mapping(settings)) as client:
            for act in (lambda to: to.ls("/"), lambda to: to.content_length("lst"), lambda to: to.mkdir(f"{HOME}/a")):
                with pytest.raises(CredentialError, match="service=downloadservice") as caught:
                    act(client)
                assert "door" not in str(caught.value)


def test_a_token_without_the_scope_is_told_as_that(cta: FakeCta) -> None:
    settings = {**cta.service_settings(), "hub_token": cta.make_hub_token(scope=False)}

    with (
        webdav4_client(Config.from_mapping(settings)) as client,
        pytest.raises(ClientError, match=r"get a token with the scope \S+service=downloadservice"),
    ):
        client.ls("/")


def test_without_a_certificate_the_true_reason_is_told(client: Client, cta: FakeCta) -> None:
    cta.set_certificate("alice", "arc", "none")
    cta.set_shared_certificate("none")

    with pytest.raises(CtaError, match="certificate"):
        client.ls("/")


def test_the_token_of_the_hub_is_in_no_url_and_not_that_of_a_door(cta: FakeCta, local: Path) -> None:
    settings = {**cta.service_settings(), "token": cta.token, "door_url": cta.door_url}
    with webdav4_client(Config.from_mapping(settings)) as client:
        client.ls("/")
        client.uploadFile(local, "a")
    at_services = [request for request in cta.requests if request.server in ("hub", "downloadservice")]

    assert at_services
    assert not any(cta.hub_token in request.path + request.query for request in cta.requests)
    assert len({request.headers["authorization"] for request in at_services}) == 1

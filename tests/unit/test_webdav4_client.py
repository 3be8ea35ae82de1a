"""The client of webdav4: what programs written for it find, on a door of ours and on a foreign server."""

import io
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from webdav4.client import Client, HTTPError, ResourceAlreadyExists, ResourceConflict, ResourceNotFound

from ctadata_providers import (
    Config,
    ConfigError,
    CredentialError,
    IntegrityError,
    IsADirError,
    PermissionDeniedError,
    StorageError,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.testing import FakeCta, FaultName
from ctadata_providers.webdav4_client import webdav4_client
from ctadata_providers.webdav4_client.client import Webdav4Client
from tests.servers.wsgidav import wsgidav

NAMES = ["plain.fits", "two words", "été Δ.fits", "a#b", "50%25", "a%", "what?", "a..b", "+&;=@:,'!"]
_FOLDERS = count()
ODD = "two words/été #1 50%41.fits"


@pytest.fixture(scope="module")
def wsgidav_url() -> Iterator[str]:
    with wsgidav() as server:
        yield server.url


@pytest.fixture(params=["door", "wsgidav"])
def client(request: pytest.FixtureRequest, fake_cta: FakeCta) -> Iterator[Client]:
    """A client of each kind of server, in an empty folder of it."""
    settings = fake_cta.settings() if request.param == "door" else _of_wsgidav(request)
    with webdav4_client(Config.from_mapping(settings)) as made:
        yield made


def _of_wsgidav(request: pytest.FixtureRequest) -> dict[str, object]:
    url = request.getfixturevalue("wsgidav_url")
    base = f"/{next(_FOLDERS)}"
    with webdav4_client(Config.from_mapping({"door_url": url})) as top:
        top.mkdir(base)
    return {"door_url": url, "base_path": base}


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "example.txt"
    path.write_bytes(b"example " * 1000)
    return path


def test_the_example_of_the_documentation_of_ctadata_runs(client: Client, local: Path) -> None:
    before = client.ls("/")
    client.uploadFile(str(local), "remote/example.txt")

    assert before == []
    assert isinstance(client, Client)
    assert [entry["name"] for entry in client.ls("/")] == ["remote"]
    assert client.ls("remote", detail=False) == ["remote/example.txt"]
    assert client.content_length("remote/example.txt") == 8000


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_what_it_says(name: str, client: Client, local: Path, tmp_path: Path) -> None:
    client.mkdir(name)
    client.upload_file(local, f"{name}/{name}")
    client.downloadFile(f"{name}/{name}", tmp_path / "copy")
    with client.open(f"{name}/{name}", "rb") as file:
        read = file.read()

    assert (tmp_path / "copy").read_bytes() == read == local.read_bytes()
    assert client.ls("/", detail=False) == [name]
    assert client.ls(name, detail=False) == [f"{name}/{name}"]
    assert client.info(f"{name}/{name}")["content_length"] == 8000
    assert client.isdir(name)
    assert client.isfile(f"{name}/{name}")
    client.remove(f"{name}/{name}")
    assert not client.exists(f"{name}/{name}")
    assert client.ls(name) == []


def test_a_file_is_moved(client: Client, local: Path) -> None:
    client.upload_file(local, ODD)
    client.move(ODD, "two words/moved #2")

    assert client.ls("two words", detail=False) == ["two words/moved #2"]


def test_the_top_of_the_storage_is_not_removed_with_all_that_it_holds(client: Client, local: Path) -> None:
    client.upload_file(local, "top/a/b")
    client.upload_file(local, "file")
    client.mkdir("empty")
    for path in ("", "/", "top", "/top/"):
        with pytest.raises(StorageError):
            client.remove(path)
    client.remove("file")
    client.remove("empty")
    with pytest.raises(ResourceNotFound):
        client.remove("file")

    assert client.ls("top/a", detail=False) == ["top/a/b"]
    assert client.ls("/", detail=False) == ["top"]
    client.remove("top/a")
    assert client.ls("top") == []


@pytest.mark.parametrize("act", ["move", "copy"])
def test_a_folder_is_never_overwritten(act: str, client: Client, local: Path) -> None:
    client.upload_file(local, "a")
    client.upload_file(local, "folder/b")

    with pytest.raises(IsADirError, match="is a folder"):
        getattr(client, act)("a", "folder", overwrite=True)
    assert client.ls("folder", detail=False) == ["folder/b"]


def test_file_objects_serve_from_where_they_stand(client: Client) -> None:
    source, sink = io.BytesIO(b"skipped, sent"), io.BytesIO()
    source.seek(9)
    passed: list[int] = []
    client.upload_fileobj(source, ODD, callback=passed.append)
    client.download_fileobj(ODD, sink)

    assert sink.getvalue() == b"sent"
    assert sum(passed) == 4


def test_what_exists_is_replaced_only_when_that_is_asked_for(client: Client, local: Path) -> None:
    client.upload_fileobj(io.BytesIO(b"old"), "a")

    with pytest.raises(ResourceAlreadyExists):
        client.upload_file(local, "a")
    with pytest.raises(ResourceAlreadyExists):
        client.uploadFile(local, "a")
    assert client.content_length("a") == 3
    client.upload_file(local, "a", overwrite=True)
    assert client.content_length("a") == 8000


def test_errors_are_those_of_webdav4_where_it_has_one(client: Client, tmp_path: Path) -> None:
    client.mkdir("folder")

    with pytest.raises(ResourceNotFound):
        client.ls("missing")
    with pytest.raises(ResourceNotFound):
        client.download_file("missing", tmp_path / "copy")
    with pytest.raises(ResourceAlreadyExists):
        client.mkdir("folder")
    with pytest.raises(ResourceConflict):
        client.mkdir("no/where")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("path", ["a/../b", "..", "a/./b", "a\nb"])
def test_a_path_that_leads_elsewhere_is_refused_before_anything_is_sent(path: str, fake_cta: FakeCta) -> None:
    with webdav4_client(Config.from_mapping(fake_cta.settings())) as client:
        for act in (client.ls, client.mkdir, client.remove, client.exists):
            with pytest.raises(ConfigError):
                act(path)

    assert fake_cta.requests == []


def test_it_is_asked_about_one_entry_unless_told_otherwise(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"")
    with webdav4_client(Config.from_mapping(fake_cta.settings())) as client:
        client.exists("lst")
        client.modified("lst/a")
        client.ls("lst")

    assert [request.headers["depth"] for request in fake_cta.requests] == ["0", "0", "1"]


def test_headers_of_ones_own_with_an_upload_are_refused_rather_than_forgotten(client: Client, local: Path) -> None:
    with pytest.raises(UnsupportedError):
        client.upload_file(local, "a", headers={"X-OC-MTime": "1"})


def test_a_forbidden_act_tells_what_the_door_said(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"")
    settings = {**fake_cta.settings(), "token": fake_cta.make_token(scope="storage.read:/")}

    with (
        webdav4_client(Config.from_mapping(settings)) as client,
        pytest.raises(HTTPError, match=r"403.*/lst/a.*check its scopes"),
    ):
        client.remove("lst/a")


@pytest.mark.parametrize(("fault", "error"), [("forbidden", PermissionDeniedError), ("not-found", ResourceNotFound)])
def test_a_file_that_cannot_be_opened_is_an_error_of_ours_or_of_webdav4(
    fault: FaultName, error: type[Exception], fake_cta: FakeCta
) -> None:
    fake_cta.put("/lst/a", b"1")
    with (
        webdav4_client(Config.from_mapping(fake_cta.settings())) as client,
        fake_cta.fault(fault, method="GET"),
        pytest.raises(error),
        client.open("lst/a", "rb"),
    ):
        pass


# Credentials


def test_a_token_that_has_ended_is_followed_by_the_next_one(fake_cta: FakeCta, tmp_path: Path) -> None:
    fake_cta.put("/lst/a", b"1")
    path = tmp_path / "token"
    path.write_text(fake_cta.make_token(subject="alice"))
    settings = {**fake_cta.settings(), "token": "", "token_file": path}
    with webdav4_client(Config.from_mapping(settings)) as client:
        client.ls("/lst")
        path.write_text(fake_cta.make_token(subject="somebody else"))
        client.ls("/lst")
        client.download_fileobj("lst/a", io.BytesIO())
    sent = [request.headers["authorization"] for request in fake_cta.requests if request.server == "door"]

    assert sent[0] != sent[1]
    assert len(set(sent[1:])) == 1


def test_a_refused_token_is_renewed_once(fake_cta: FakeCta, tmp_path: Path) -> None:
    fake_cta.put("/lst/a", b"1")
    log, good = tmp_path / "log", tmp_path / "good"
    good.write_text(fake_cta.make_token())
    (tmp_path / "stale").write_text(FakeCta().make_token())  # of another issuer
    command = f"[ -e {log} ] && cat {good} || cat {tmp_path / 'stale'}; echo >> {log}"
    settings = {**fake_cta.settings(), "token": "", "token_command": ("/bin/sh", "-c", command)}
    with webdav4_client(Config.from_mapping(settings)) as client:
        client.ls("/lst")
        client.ls("/lst")

    assert [request.status for request in fake_cta.requests] == [401, 207, 207]


def test_a_token_that_stays_refused_is_an_error_of_ours_and_is_sent_once(fake_cta: FakeCta) -> None:
    settings = {**fake_cta.settings(), "token": FakeCta().make_token()}
    with webdav4_client(Config.from_mapping(settings)) as client:
        for _ in range(3):
            with pytest.raises(CredentialError):
                client.ls("/")

    assert [request.status for request in fake_cta.requests] == [401]


def test_a_proxy_serves_and_an_expired_one_is_told(fake_cta: FakeCta, local: Path) -> None:
    settings = {**fake_cta.settings(), "token": ""}
    with webdav4_client(Config.from_mapping({**settings, "proxy_file": fake_cta.proxy_file})) as client:
        client.upload_file(local, "lst/a")
        listed = client.ls("lst", detail=False)
    expired = {**settings, "proxy_file": fake_cta.make_proxy(lifetime=-400)}

    assert listed == ["lst/a"]
    with webdav4_client(Config.from_mapping(expired)) as client, pytest.raises(CredentialError, match="expired"):
        client.ls("lst")


def test_a_pool_sees_no_token_and_no_url_has_one(fake_cta: FakeCta, local: Path) -> None:
    with webdav4_client(Config.from_mapping(fake_cta.settings())) as client:
        client.upload_file(local, "lst/a")
        with client.open("lst/a", "rb") as file:
            file.read()
    at_pools = [request for request in fake_cta.requests if request.server == "pool"]

    assert {request.method for request in at_pools} == {"GET", "PUT"}
    assert not any("authorization" in request.headers for request in at_pools)
    assert not any(fake_cta.token in request.path + request.query for request in fake_cta.requests)


def test_it_is_not_pickled_and_its_picture_tells_no_secret(fake_cta: FakeCta) -> None:
    with webdav4_client(Config.from_mapping(fake_cta.settings())) as client:
        assert fake_cta.token not in repr(client) + repr(vars(client)) + repr(client.http)
        with pytest.raises(TypeError):
            pickle.dumps(client)


# Faults


def test_a_passing_fault_is_tried_again(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"1")
    with (
        webdav4_client(Config.from_mapping(fake_cta.settings())) as client,
        fake_cta.fault("unavailable", retry_after=0, times=1),
    ):
        assert client.ls("lst", detail=False) == ["lst/a"]


def test_a_listing_that_breaks_off_is_tried_again_and_told(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"1")
    settings = {**fake_cta.settings(), "retries": 1}
    with webdav4_client(Config.from_mapping(settings)) as client:
        with fake_cta.fault("broken-listing", times=1):
            assert client.ls("lst", detail=False) == ["lst/a"]
        client.mkdir("lst/empty")
        with fake_cta.fault("broken-listing"), pytest.raises(TransientError, match="broke off"):
            client.ls("lst/empty")


def test_a_fault_that_stays_is_an_error_of_ours(fake_cta: FakeCta) -> None:
    settings = {**fake_cta.settings(), "retries": 0}
    with (
        webdav4_client(Config.from_mapping(settings)) as client,
        fake_cta.fault("unavailable"),
        pytest.raises(TransientError, match="503"),
    ):
        client.ls("lst")


def test_a_file_that_breaks_off_is_no_file(fake_cta: FakeCta, tmp_path: Path) -> None:
    fake_cta.put("/lst/a", b"x" * 100_000)
    settings = {**fake_cta.settings(), "retries": 0}
    with webdav4_client(Config.from_mapping(settings)) as client, fake_cta.fault("truncate", after=1000):
        with pytest.raises((TransientError, IntegrityError)):
            client.download_file("lst/a", tmp_path / "copy")
        with client.open("lst/a", "rb") as file, pytest.raises(TransientError):
            file.read()

    assert not (tmp_path / "copy").exists()


# Where it is not there


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("sys.modules['webdav4'] = None", "not installed"),
        # The one that ctadata has left behind.
        ("import webdav4.urls; del webdav4.urls.strip_trailing_slash", "too old"),
    ],
)
def test_without_webdav4_it_is_told_how_to_get_it(before: str, told: str) -> None:
    code = (
        f"import sys; {before}\n"
        "from ctadata_providers import ConfigError\n"
        "from ctadata_providers.webdav4_client import webdav4_client\n"
        "try:\n    webdav4_client()\n"
        "except ConfigError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert told in done.stdout
    assert "pip install 'ctadata-providers[webdav4]'" in done.stdout


def test_a_storage_in_memory_has_none() -> None:
    with pytest.raises(ConfigError):
        webdav4_client(backend="memory")


def test_every_way_to_transfer_of_webdav4_is_ours() -> None:
    ways: list[Callable[..., object]] = [Client.upload_file, Client.upload_fileobj]
    ways += [Client.download_file, Client.download_fileobj]

    assert not any(getattr(Webdav4Client, way.__name__) is way for way in ways)

"""The front: settings, addresses, secrets, and what is asked of the server."""

import copy
import pickle
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctadata_providers import (
    AlreadyExistsError,
    Config,
    ConfigError,
    CtaClient,
    FileInfo,
    IsADirError,
    NotFoundError,
)
from ctadata_providers.testing import FakeCta
from tests.unit.client.calls import BAD_PATHS, PATH_CALLS, asked, connect

# Settings


def test_settings_are_resolved_at_the_first_request(
    cta_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = CtaClient(retries=0)
    monkeypatch.setenv("CTA_HOME", "/lst/users/alice")

    assert client.home() == "/lst/users/alice"
    assert client.config.retries == 0
    assert client.stat("/").is_dir


def test_settings_go_over_those_of_a_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTA_RETRIES", "9")
    given_config = Config(retries=1, token="from-config")

    assert CtaClient(given_config).config is given_config or CtaClient(given_config).config == given_config
    assert CtaClient(given_config, retries=2).config.retries == 2
    assert CtaClient(given_config, token_file="/t").config.token is None


@pytest.mark.parametrize("settings", [{"no_such_setting": 1}, {"profile": "no-such-profile"}, {"retries": "many"}])
def test_a_bad_setting_is_told_at_the_first_use(settings: dict[str, Any]) -> None:
    client = CtaClient(**settings)
    with pytest.raises(ConfigError):
        client.stat("/")


def test_without_a_home_the_remedy_is_told() -> None:
    with pytest.raises(ConfigError, match="CTA_HOME"):
        CtaClient(Config()).home()


# Addresses


@pytest.mark.parametrize("path", BAD_PATHS)
@pytest.mark.parametrize("name", PATH_CALLS)
def test_a_bad_address_is_refused_before_anything_is_sent(
    client: CtaClient, fake_cta: FakeCta, local: Path, name: str, path: str
) -> None:
    if name == "move to":
        fake_cta.put("/lst/f", b"1")
    with pytest.raises(ConfigError):
        PATH_CALLS[name](client, path, local)

    assert fake_cta.requests == []


@pytest.mark.parametrize("name", PATH_CALLS)
def test_an_address_of_another_profile_is_refused(client: CtaClient, fake_cta: FakeCta, local: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="dev"):
        PATH_CALLS[name](client, "cta://dev@lst/x", local)

    assert fake_cta.requests == []


def test_an_address_of_the_own_profile_is_understood(client: CtaClient, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/f", b"123")

    assert client.stat("cta://prod@lst/f").size == 3
    assert client.stat("cta://prod@lst/f").uri == "cta://lst/f"


@pytest.mark.parametrize("path", ["lst/f", "/lst/f", "cta://lst/f", "cta:///lst/f"])
def test_plain_paths_and_addresses_mean_the_same(client: CtaClient, fake_cta: FakeCta, path: str) -> None:
    fake_cta.put("/lst/f", b"123")

    assert client.stat(path).path == "/lst/f"


def test_a_base_path_is_before_every_path(fake_cta: FakeCta, local: Path) -> None:
    fake_cta.put("/data/a b/lst/f", b"123")
    with connect(fake_cta, base_path="/data/a b") as client:
        client.upload(local / "sent", "lst/g")
        client.move("lst/g", "lst/h")
        client.download("lst/h", local / "h")
        found = [info.path for info in client.walk("/")]

    assert found[0] == "/lst"
    assert set(found[1:]) == {"/lst/f", "/lst/h"}
    assert fake_cta.paths() == ["/data/a b/lst/f", "/data/a b/lst/h"]
    assert (local / "h").read_bytes() == b"12345"


# Secrets


def test_no_representation_shows_the_token(fake_cta: FakeCta) -> None:
    client = connect(fake_cta)
    client.stat("/")

    assert fake_cta.token not in repr(client) + str(client) + repr(client.config)


def test_a_pickled_client_carries_no_secret_and_works_again(cta_environ: dict[str, str], fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/f", b"123")
    for client in (
        CtaClient(token=fake_cta.token),
        CtaClient(Config(token=fake_cta.token)),
        CtaClient(Config.from_env()),
    ):
        data = pickle.dumps(client)

        assert fake_cta.token.encode() not in data
        assert isinstance(pickle.loads(data), CtaClient)
    client = CtaClient(retries=0)
    client.stat("/lst/f")

    assert pickle.loads(pickle.dumps(client)).stat("/lst/f").size == 3


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_client_copied_in_this_process_keeps_its_token(
    copied: Callable[[CtaClient], CtaClient], fake_cta: FakeCta
) -> None:
    fake_cta.put("/lst/f", b"123")
    settings = fake_cta.settings()
    with CtaClient(**settings) as first, CtaClient(Config.from_mapping(settings)) as second:
        first.stat("/lst/f")
        for client in (first, second):
            with copied(client) as other:
                assert other is not client
                assert other.stat("/lst/f").size == 3


def test_no_log_holds_a_secret(fake_cta: FakeCta, local: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with connect(fake_cta) as client:
        client.upload(local / "sent", "/lst/f")
        client.download("/lst/f", local / "f")
        with pytest.raises(NotFoundError):
            client.stat("/lst/missing")

    assert fake_cta.token not in caplog.text
    assert "dcache-http-uuid" not in caplog.text


# What is asked


def test_a_look_up_is_one_request(client: CtaClient, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/f", b"123")
    client.stat("/lst/f")
    client.exists("/lst/missing")

    assert asked(fake_cta) == [("door", "PROPFIND", 207), ("door", "PROPFIND", 404)]
    assert {request.headers["depth"] for request in fake_cta.requests} == {"0"}


def test_a_listing_is_one_request_and_a_walk_one_for_each_folder(client: CtaClient, fake_cta: FakeCta) -> None:
    for name in ("a/f", "a/g", "b/c/f"):
        fake_cta.put(f"/lst/{name}", b"123")
    listed = list(client.list_dir("/lst"))
    first = len(fake_cta.requests)
    list(client.walk("/lst"))

    assert len(listed) == 2
    assert first == 1
    assert len(fake_cta.requests) - first == 4
    assert {(request.method, request.headers["depth"]) for request in fake_cta.requests} == {("PROPFIND", "1")}


def test_a_download_with_a_listing_asks_only_for_the_bytes(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    fake_cta.put("/lst/f", b"x" * 2_000_000)
    (info,) = client.list_dir("/lst")
    fake_cta.clear_requests()
    client.download("/lst/f", local / "f", info=info)

    assert asked(fake_cta) == [("door", "GET", 302), ("pool", "GET", 200)]


def test_an_upload_is_stored_under_a_hidden_name_and_renamed(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    client.stat("/")
    fake_cta.clear_requests()
    client.upload(local / "sent", "/lst/f")
    stored = [request for request in fake_cta.requests if request.method == "PUT"]

    assert [method for _, method, _ in asked(fake_cta)].count("MOVE") == 1
    assert all(request.path.startswith("/lst/.f.") and request.path.endswith(".ctapart") for request in stored)
    assert fake_cta.paths() == ["/lst/f"]


def test_nothing_is_asked_before_the_first_call(fake_cta: FakeCta) -> None:
    with connect(fake_cta) as client:
        client.list_dir("/lst")  # not iterated

    assert fake_cta.requests == []


# What is told of a file


def test_a_file_info_tells_name_address_and_time() -> None:
    info = FileInfo("/lst/a@b", is_dir=True, modified="Sun, 22 Nov 2026 08:02:06 GMT")

    assert (info.name, info.uri, info.mtime) == ("a@b", "cta://lst/a@b/", 1795334526.0)
    assert FileInfo("/a@b", is_dir=False).uri == "cta:///a@b"
    assert FileInfo("/", is_dir=True).uri == "cta:///"
    assert FileInfo("/x", is_dir=False).mtime is None
    assert FileInfo("/x", is_dir=False, modified="2026-11-22T08:02:06Z").mtime == 1795334526.0
    assert asdict(info)["checksums"] == {}
    with pytest.raises(FrozenInstanceError):
        info.size = 3  # type: ignore[misc]  # that is what is tried


@given(st.text())
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("0001-01-01T00:00:00")
@example("Sun, 22 Nov 99999 08:02:06 GMT")
@example("9999-12-31T23:59:59-23:59")
def test_a_time_that_cannot_be_understood_is_none(text: str) -> None:
    assert isinstance(FileInfo("/x", is_dir=False, modified=text).mtime, float | None)


@pytest.mark.parametrize("exist_ok", [False, True])
def test_a_folder_that_another_makes_at_the_same_time_may_exist_if_it_may(
    exist_ok: bool, client: CtaClient, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_cta.make_dir("/lst")
    make_dir = client._backend.make_dir

    def late(path: str) -> None:
        fake_cta.make_dir(path)
        make_dir(path)

    monkeypatch.setattr(client._backend, "make_dir", late)
    with nullcontext() if exist_ok else pytest.raises(AlreadyExistsError):
        client.make_dir("lst/out", exist_ok=exist_ok)


@pytest.mark.parametrize("many", [False, True])
def test_a_file_that_does_not_tell_its_size_is_uploaded_whole(many: bool, client: CtaClient, fake_cta: FakeCta) -> None:
    made_up = Path("/proc/version")
    if many:
        list(client.upload_many([(made_up, "lst/version")]))
    else:
        client.upload(made_up, "lst/version")

    assert made_up.stat().st_size == 0
    assert fake_cta.get("/lst/version") == made_up.read_bytes()


MANY: dict[str, Callable[[CtaClient, Path, list[str]], Iterable[tuple[Any, Any]]]] = {
    "upload": lambda client, local, paths: client.upload_many([(local / "sent", path) for path in paths]),
    "write": lambda client, local, paths: client.write_many([(path, b"12345") for path in paths]),
    "copy": lambda client, local, paths: client.copy_many([(client.stat("lst/f"), path) for path in paths]),
}


@pytest.mark.parametrize("name", MANY)
def test_of_many_targets_one_that_names_no_file_fails_alone(
    name: str, client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    fake_cta.put("/lst/f", b"12345")
    paths = ["lst/a", "lst/folder/", "lst/../x", "lst/b"]
    outcomes = dict(zip(paths, [None, IsADirError, ConfigError, None], strict=True))
    ended = {
        pair if isinstance(pair, str) else pair[1]: future.exception()
        for pair, future in MANY[name](client, local, paths)
    }

    assert {path: type(error) if error else None for path, error in ended.items()} == outcomes
    assert fake_cta.paths() == ["/lst/a", "/lst/b", "/lst/f"]

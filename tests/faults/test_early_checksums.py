"""The checksum of a large file: asked for while its bytes come, or after them where that is not safe."""

import threading
from collections.abc import Callable
from pathlib import Path
from zlib import adler32

import pytest

from ctadata_providers import CtaClient, IntegrityError
from tests.faults import acts
from tests.faults.cells import assert_absent, assert_whole
from tests.faults.ranged import ranged
from tests.faults.scripted import Act, Door, Exchange, get, head

PATH = "/night/events.fits"
PATIENCE = 5.0
XROOTD = "XrootD/v5.5.3"
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture
def large(payload: bytes) -> bytes:
    return payload * 8


@pytest.fixture
def asked() -> threading.Event:
    """Whether the checksum has been asked for."""
    return threading.Event()


def noting(event: threading.Event, act: Act = head) -> Act:
    def noted(exchange: Exchange) -> None:
        event.set()
        act(exchange)

    return noted


def until(event: threading.Event, seen: list[bool], *, patience: float = PATIENCE) -> Act:
    """Send the second half of a file when something has happened, or has not for too long; take note which."""

    def pause(sent: int) -> bool:
        if sent and not seen:
            seen.append(event.wait(patience))
        return False

    return ranged(stop=pause)


def test_it_is_asked_for_while_the_bytes_come(
    open_door: Open, client_of: Client, target: Path, large: bytes, asked: threading.Event
) -> None:
    door, seen = open_door(files={PATH: large}, digests="adler32"), list[bool]()
    door.fault("HEAD", noting(asked))
    door.fault("GET", until(asked, seen))
    client_of(door).download(PATH, target)

    assert_whole(target, large)
    assert seen == [True]
    assert len(door.requests("HEAD")) == 1


def test_xrootd_is_asked_when_all_bytes_are_there(
    open_door: Open, client_of: Client, target: Path, large: bytes, asked: threading.Event
) -> None:
    door, seen = open_door(files={PATH: large}, digests="adler32", server=XROOTD), list[bool]()
    door.fault("HEAD", noting(asked))
    door.fault("GET", until(asked, seen, patience=0.3))
    client_of(door).download(PATH, target)

    assert_whole(target, large)
    assert seen == [False]
    assert len(door.requests("HEAD")) == 1


def test_a_server_of_which_nothing_is_known_is_asked_when_all_bytes_are_there(
    open_door: Open, client_of: Client, target: Path, large: bytes, asked: threading.Event
) -> None:
    door, seen = open_door(files={PATH: large}, digests="adler32"), list[bool]()
    info = client_of(door).stat(PATH)
    door.fault("HEAD", noting(asked))
    door.fault("GET", until(asked, seen, patience=0.3))
    client_of(door).download(PATH, target, info=info)

    assert_whole(target, large)
    assert seen == [False]


def test_what_was_told_early_is_compared(open_door: Open, client_of: Client, target: Path, large: bytes) -> None:
    door = open_door(files={PATH: large}, digests="adler32")
    door.fault("GET", acts.serve(large[:-1] + b"?"))

    error = assert_absent(lambda: client_of(door).download(PATH, target), IntegrityError, PATH, target)

    assert f"{adler32(large):08x}" in str(error)


@pytest.mark.parametrize("fault", ["no answer", "no place", "not there"])
def test_what_cannot_be_told_early_is_asked_for_again(
    fault: str, open_door: Open, client_of: Client, target: Path, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctadata_providers.backends.asked_checksums.PATIENCE", 0.2)
    refusals = {"no answer": Exchange.stall, "no place": acts.status(503), "not there": acts.status(404)}
    door = open_door(files={PATH: large}, digests="adler32")
    door.fault("HEAD", refusals[fault], times=1)
    door.fault("GET", acts.serve(large[:-1] + b"?"))

    assert_absent(lambda: client_of(door).download(PATH, target), IntegrityError, PATH, target)
    assert len(door.requests("HEAD")) == 2


def test_a_server_that_gave_no_answer_early_is_asked_afterwards_alone(
    open_door: Open, client_of: Client, tmp_path: Path, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctadata_providers.backends.asked_checksums.PATIENCE", 0.2)
    door = open_door(files={"/a": large, "/b": large}, digests="adler32")
    door.fault("HEAD", Exchange.stall, times=1)
    client = client_of(door)
    client.download("/a", tmp_path / "a")
    client.download("/b", tmp_path / "b")

    assert [asked.path for asked in door.requests("HEAD")] == ["/a", "/a", "/b"]


def test_a_file_that_changes_under_way_is_asked_about_anew(
    open_door: Open, client_of: Client, target: Path, large: bytes, asked: threading.Event
) -> None:
    door = open_door(files={PATH: large}, digests="adler32")
    new = large[::-1]

    def change(sent: int) -> bool:
        if sent and asked.wait(PATIENCE):
            door.files[PATH] = new
            return True
        return False

    door.fault("HEAD", noting(asked), times=1)
    door.fault("GET", ranged(etag='"old"', stop=change), times=1)
    door.fault("GET", ranged(etag='"new"'))
    client_of(door, streams=1).download(PATH, target)

    assert_whole(target, new)
    assert len(door.requests("HEAD")) == 2


def test_a_file_that_changes_before_its_first_byte_is_asked_about_anew(
    open_door: Open, client_of: Client, target: Path, large: bytes, asked: threading.Event
) -> None:
    door = open_door(files={PATH: large}, digests="adler32")  # without entity tags
    new = large[::-1]

    def tell(exchange: Exchange) -> None:
        head(exchange)
        asked.set()

    def change(exchange: Exchange) -> None:
        assert asked.wait(PATIENCE)
        door.files[PATH] = new
        get(exchange)

    door.fault("HEAD", tell, times=1)
    door.fault("GET", ranged(stop=lambda sent: True), times=1)
    door.fault("GET", change)
    client_of(door).download(PATH, target)

    assert_whole(target, new)


@pytest.mark.parametrize("settings", [{"checksum": "off"}, {}], ids=["off", "listed"])
def test_what_nobody_needs_is_not_asked_for(
    settings: dict[str, str], open_door: Open, client_of: Client, target: Path, large: bytes
) -> None:
    door = open_door(files={PATH: large}, digests="adler32", checksums=not settings)
    door.fault("GET", get)
    client_of(door, **settings).download(PATH, target)

    assert_whole(target, large)
    assert door.requests("HEAD") == []

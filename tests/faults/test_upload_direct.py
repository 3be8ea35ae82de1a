"""Uploads to a server that refuses MOVE, so that the bytes go to the name itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import (
    AlreadyExistsError,
    CtaClient,
    CtaError,
    IntegrityError,
    PermissionDeniedError,
    StorageError,
    TransientError,
)
from tests.faults import acts
from tests.faults.cells import failed_upload as failed
from tests.faults.scripted import Act, Door, Exchange, put

PATH = "/night/events.fits"
Open = Callable[..., Door]
Client = Callable[..., CtaClient]
BREAKS: dict[str, Act] = {
    "reset before the body": lambda exchange: exchange.reset(),
    "reset in the body": acts.reset_in_body(100_000),
    "500": acts.status(500),
    "half an answer": acts.raw(b"HTTP/1."),
}


@pytest.fixture
def door(door: Door) -> Door:
    door.fault("MOVE", acts.status(403))
    return door


@pytest.fixture
def client(door: Door, client_of: Client, tmp_path: Path) -> CtaClient:
    """A client that has learned that there is no rename."""
    first = tmp_path / "first"
    first.write_bytes(b"first")
    client = client_of(door, retries=1, timeout=0.5)
    client.upload(first, "/night/first")
    del door.files["/night/first"]
    return client


@pytest.mark.parametrize("fault", BREAKS)
def test_a_failure_that_did_not_touch_the_old_file_leaves_it(
    fault: str, door: Door, client: CtaClient, source: Path
) -> None:
    door.fault("PUT", BREAKS[fault], path=PATH)

    failed(client, source, TransientError)

    assert door.files == {PATH: b"old one"}


@pytest.mark.parametrize("code", [403, 401, 412])
def test_a_refusal_leaves_the_old_file(code: int, door: Door, client: CtaClient, source: Path) -> None:
    door.fault("PUT", acts.status(code), path=PATH)

    failed(client, source, CtaError)

    assert door.files == {PATH: b"old one"}
    assert [asked for asked in door.requests("DELETE") if asked.path == PATH] == []


def test_a_local_file_that_shrinks_leaves_the_old_file_of_a_careful_server(
    door: Door, client: CtaClient, tmp_path: Path
) -> None:
    shrinking = tmp_path / "shrinking"
    shrinking.write_bytes(bytes(6 << 20))

    with pytest.raises(IntegrityError):
        client.upload(shrinking, PATH, progress=lambda _: shrinking.write_bytes(b"x"))

    assert door.files == {PATH: b"old one"}


@pytest.mark.parametrize("old", [True, False])
def test_a_part_that_remains_is_removed(old: bool, door: Door, client: CtaClient, source: Path) -> None:
    if not old:
        del door.files[PATH]
    door.fault("PUT", acts.keep_a_part(lambda exchange: exchange.reset()), path=PATH)

    failed(client, source, TransientError)

    assert door.files == {}


@pytest.mark.parametrize("old", [True, False])
def test_a_part_that_the_server_begins_late_is_removed_too(
    old: bool, door: Door, client: CtaClient, source: Path
) -> None:
    if not old:
        del door.files[PATH]

    def break_off(exchange: Exchange) -> None:
        exchange.door.fault("PROPFIND", acts.begin_late, path=PATH, times=1)
        exchange.reset()

    door.fault("PUT", break_off, path=PATH)

    failed(client, source, TransientError)

    assert door.files == {}


def test_a_part_that_cannot_be_removed_is_said(door: Door, client: CtaClient, source: Path) -> None:
    door.fault("PUT", acts.keep_a_part(lambda exchange: exchange.reset()), path=PATH)
    door.fault("DELETE", acts.status(403))

    error = failed(client, source, IntegrityError)

    assert "may remain" in str(error)
    assert "remove it" in (error.remedy or "")


@pytest.mark.parametrize("removable", [True, False])
@pytest.mark.parametrize("count", [0, 1000])
def test_a_part_that_may_not_be_written_over_is_removed_or_said(
    count: int, removable: bool, door: Door, client: CtaClient, source: Path
) -> None:
    del door.files[PATH]
    door.fault("PUT", acts.keep_a_part(lambda exchange: exchange.reset(), count), path=PATH, times=1)
    door.fault("PUT", acts.status(403), path=PATH)
    if not removable:
        door.fault("DELETE", acts.status(403))

    error = failed(client, source, PermissionDeniedError if removable else IntegrityError)

    assert list(door.files) == ([] if removable else [PATH])
    assert ("may remain" in str(error)) is not removable


def test_an_old_file_stays_when_a_second_attempt_is_refused(door: Door, client: CtaClient, source: Path) -> None:
    door.fault("PUT", acts.status(500), path=PATH, times=1)
    door.fault("PUT", acts.status(403), path=PATH)

    failed(client, source, PermissionDeniedError)

    assert door.files == {PATH: b"old one"}


def test_a_folder_that_comes_to_be_meanwhile_is_not_deleted(door: Door, client: CtaClient, source: Path) -> None:
    del door.files[PATH]

    def another_makes_a_folder(exchange: Exchange) -> None:
        door.files[f"{PATH}/precious"] = b"x"
        exchange.reset()

    door.fault("PUT", another_makes_a_folder, path=PATH)

    failed(client, source, StorageError)

    assert door.files == {f"{PATH}/precious": b"x"}


def test_a_file_that_may_not_be_looked_at_afterwards_is_told_as_unverified(
    door: Door, client: CtaClient, source: Path
) -> None:
    def store_and_forbid(exchange: Exchange) -> None:
        exchange.door.fault("PROPFIND", acts.status(403), path=PATH)  # before the answer: the client is quick
        put(exchange)

    door.fault("PUT", store_and_forbid, path=PATH)

    error = failed(client, source, IntegrityError)

    assert "partial file may remain" in str(error)
    assert error.remedy


class Stop(Exception):
    """Raised by a callback."""


class StopInTheMiddle:
    """A callback that raises when half of a file of 8 MiB has passed."""

    def __init__(self) -> None:
        self._passed = 0

    def __call__(self, passed: int) -> None:
        self._passed += passed
        if self._passed > 4 << 20:
            raise Stop


@pytest.fixture
def large(tmp_path: Path) -> Path:
    file = tmp_path / "large"
    file.write_bytes(bytes(8 << 20))
    return file


def test_what_the_callers_progress_raises_leaves_no_part(door: Door, client: CtaClient, large: Path) -> None:
    del door.files[PATH]
    door.fault("PUT", acts.keep_a_part(acts.reset_in_body(8 << 20)), path=PATH)

    with pytest.raises(Stop):
        client.upload(large, PATH, progress=StopInTheMiddle())

    assert door.files == {}


def test_what_the_callers_progress_raises_says_that_a_part_may_remain(
    door: Door, client: CtaClient, large: Path
) -> None:
    door.fault("PUT", acts.keep_a_part(acts.reset_in_body(8 << 20)), path=PATH)
    door.fault("DELETE", acts.status(403))

    with pytest.raises(Stop) as caught:
        client.upload(large, PATH, progress=StopInTheMiddle())

    assert caught.value.__notes__ == [f"a partial file may remain at {PATH}: remove it before anything reads it"]


def test_a_name_that_is_taken_after_a_failed_attempt_may_hold_a_part_of_it(
    door: Door, client: CtaClient, source: Path
) -> None:
    del door.files[PATH]
    door.fault("PUT", acts.keep_a_part(lambda exchange: exchange.reset()), path=PATH, times=1)
    door.fault("PUT", acts.status(412), path=PATH)

    with pytest.raises(AlreadyExistsError, match="an attempt before has left"):
        client.upload(source, PATH, overwrite=False)

    assert PATH in door.files

"""Uploads to a name that is taken, too long, or cannot be given: what stands there is never lost."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import (
    AlreadyExistsError,
    CtaClient,
    CtaError,
    IsADirError,
    StorageError,
    TransientError,
    UnsupportedError,
)
from tests.faults import acts
from tests.faults.cells import failed_upload as failed
from tests.faults.scripted import Door, Exchange, move, put

PATH = "/night/events.fits"
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.mark.parametrize("code", [403, 405, 501])
def test_a_server_that_does_not_rename_gets_the_file_under_its_name_and_keeps_no_temporary(
    code: int, door: Door, client_of: Client, source: Path, payload: bytes, clean_environment: Path
) -> None:
    door.fault("MOVE", acts.status(code))
    client = client_of(door)

    client.upload(source, PATH)
    client.upload(source, "/night/second")

    assert door.files == {PATH: payload, "/night/second": payload}
    assert len(door.requests("MOVE")) == 1  # once is enough to know
    assert not list(clean_environment.rglob("*.json"))


@pytest.mark.parametrize("fault", ["503", "reset", "reset, but renamed"])
def test_a_rename_that_fails_in_passing_is_tried_again(
    fault: str, door: Door, client_of: Client, source: Path, payload: bytes
) -> None:
    def renamed_and_reset(exchange: Exchange) -> None:
        move(exchange)
        exchange.reset()

    faults = {
        "503": acts.status(503, "Retry-After: 0"),
        "reset": lambda exchange: exchange.reset(),
        "reset, but renamed": renamed_and_reset,
    }
    del door.files[PATH]
    door.fault("MOVE", faults[fault], times=1)

    client_of(door).upload(source, PATH)

    assert door.files == {PATH: payload}


@pytest.mark.parametrize("code", [403, 404, 500])
@pytest.mark.parametrize("size", [1000, 2_000_000], ids=["small", "large"])
def test_a_name_that_the_server_finds_too_long_is_told_at_once(
    size: int, code: int, door: Door, client_of: Client, tmp_path: Path, clean_environment: Path
) -> None:
    source, path = tmp_path / "local", f"/night/{'ü' * 130}"
    source.write_bytes(bytes(size))

    def refuse(exchange: Exchange) -> None:
        exchange.invite()
        for _ in exchange.chunks():
            pass
        exchange.answer(code)

    door.fault("MOVE", acts.status(code))
    door.fault("PUT", refuse, path=path)

    error = failed(client_of(door), source, StorageError, path)

    assert (type(error), error.errno) == (StorageError, errno.ENAMETOOLONG)
    assert "260 bytes" in str(error)
    assert error.remedy
    assert len(door.requests("MOVE")) <= 2  # the short way, and the long one
    assert door.files == {PATH: b"old one"}
    assert not list(clean_environment.rglob("*.json"))


def test_a_rename_that_always_fails_leaves_the_old_file(door: Door, client_of: Client, source: Path) -> None:
    door.fault("MOVE", acts.status(500))

    with pytest.raises(TransientError):
        client_of(door, retries=1).upload(source, PATH)

    assert door.files == {PATH: b"old one"}


def test_overwriting_never_happens_without_leave(door: Door, client_of: Client, source: Path) -> None:
    with pytest.raises(AlreadyExistsError):
        client_of(door).upload(source, PATH, overwrite=False)

    assert door.files == {PATH: b"old one"}
    assert door.requests("PUT") == []


@pytest.mark.parametrize("renames", [True, False])
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_that_comes_to_be_meanwhile_is_not_replaced_without_leave(
    overwrite: bool, renames: bool, door: Door, client_of: Client, source: Path, payload: bytes
) -> None:
    del door.files[PATH]

    def another_was_faster(exchange: Exchange) -> None:
        door.files[PATH] = b"theirs"
        put_if_allowed(exchange)

    door.fault("PUT", another_was_faster)
    if not renames:
        door.fault("MOVE", acts.status(403))
    client = client_of(door)

    if overwrite:
        client.upload(source, PATH)
    else:
        failed_without_leave(client, source)

    assert door.files == {PATH: payload if overwrite else b"theirs"}


def failed_without_leave(client: CtaClient, source: Path) -> None:
    with pytest.raises(AlreadyExistsError):
        client.upload(source, PATH, overwrite=False)


def put_if_allowed(exchange: Exchange) -> None:
    """Store unless the name exists and the client minds, as dCache and Apache do."""
    if exchange.asked.headers.get("if-none-match") == "*" and exchange.asked.path in exchange.door.files:
        return exchange.answer(412)
    return put(exchange)


@pytest.mark.parametrize("renames", [True, False])
def test_a_folder_is_never_replaced(renames: bool, open_door: Open, client_of: Client, source: Path) -> None:
    held = {f"{PATH}/precious": b"x", f"{PATH}/more/precious": b"y"}
    door = open_door(files=dict(held))
    if not renames:
        door.fault("MOVE", acts.status(403))

    error = failed(client_of(door), source, IsADirError)

    assert error.remedy
    assert door.files == held


def test_a_folder_that_comes_to_be_meanwhile_is_not_deleted(door: Door, client_of: Client, source: Path) -> None:
    del door.files[PATH]

    def another_makes_a_folder(exchange: Exchange) -> None:
        door.files[f"{PATH}/precious"] = b"x"
        put(exchange)

    door.fault("PUT", another_makes_a_folder)

    with pytest.raises(CtaError):
        client_of(door).upload(source, PATH)

    assert door.files == {f"{PATH}/precious": b"x"}


def test_move_never_replaces_a_folder_nor_a_file_without_leave(open_door: Open, client_of: Client) -> None:
    door = open_door(files={"/n/a": b"a", "/n/b": b"b", "/n/folder/x": b"x"})
    client = client_of(door)

    with pytest.raises(AlreadyExistsError):
        client.move("/n/a", "/n/b")
    with pytest.raises(IsADirError):
        client.move("/n/a", "/n/folder", overwrite=True)
    door.fault("MOVE", acts.status(501), times=1)
    with pytest.raises((UnsupportedError, StorageError)):
        client.move("/n/a", "/n/c")

    assert door.files == {"/n/a": b"a", "/n/b": b"b", "/n/folder/x": b"x"}

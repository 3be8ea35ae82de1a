"""What a download has left is gone on with by the next one, or not touched."""

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, IntegrityError, TransientError
from tests.faults import acts
from tests.faults.cells import assert_absent, assert_whole, parts_in
from tests.faults.ranged import asked_bytes, cut, left_in, ranged
from tests.faults.scripted import Door, get

PATH = "/night/events.fits"
SIZE = 4_000_000
HALF = 2_000_000
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture
def payload() -> bytes:
    return random.Random(5).randbytes(SIZE)


def interrupted(door: Door, client: CtaClient, target: Path, count: int = HALF, etag: str | None = None) -> None:
    """Use up the retries of a download of which some has arrived."""
    door.fault("GET", ranged(etag=etag, stop=cut(count)), times=1)
    door.fault("GET", acts.reset_after(None), times=1)
    with pytest.raises(TransientError, match="run it again") as caught:
        client.download(PATH, target)

    assert target.read_bytes() == b"old"
    assert PATH in str(caught.value)


@pytest.mark.parametrize("checksums", [False, True])
def test_what_has_arrived_when_the_retries_are_used_up_is_for_the_next_run(
    checksums: bool, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=checksums)
    first, second = client_of(door, retries=1), client_of(door, retries=1)
    info = first.stat(PATH)
    interrupted(door, first, target)
    kept = len(left_in(target.parent))
    door.fault("GET", ranged())
    passed: list[int] = []

    result = second.download(PATH, target, progress=passed.append)

    assert kept == 2
    assert_whole(target, payload)
    if info.checksums:
        assert result.resumed >= HALF
        assert asked_bytes(door, PATH)[-1] == (result.resumed, SIZE)
    else:  # nothing says that the file is still the same
        assert result.resumed == 0
    assert sum(passed) == SIZE


def test_what_was_left_and_had_to_be_fetched_again_is_not_told_as_resumed(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    client = client_of(door, retries=1)
    interrupted(door, client, target)
    door.fault("GET", get)  # which ignores ranges

    result = client.download(PATH, target)

    assert_whole(target, payload)
    assert result.resumed == 0


def test_a_part_of_a_file_that_has_changed_is_removed(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    client = client_of(door, retries=1)
    interrupted(door, client, target)
    newer = door.files[PATH] = random.Random(6).randbytes(SIZE)
    door.fault("GET", ranged())

    result = client.download(PATH, target)

    assert_whole(target, newer)
    assert result.resumed == 0


def test_a_whole_part_needs_no_request(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    client = client_of(door, retries=1)
    interrupted(door, client, target)
    part = next(target.parent / name for name in left_in(target.parent) if "json" not in name)
    part.write_bytes(payload)
    asked = len(door.requests("GET"))

    result = client.download(PATH, target)

    assert_whole(target, payload)
    assert result.resumed == SIZE
    assert len(door.requests("GET")) == asked


def test_bytes_that_were_changed_on_the_disk_are_found(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    client = client_of(door, retries=1)
    interrupted(door, client, target)
    part = next(target.parent / name for name in left_in(target.parent) if "json" not in name)
    part.write_bytes(b"x" + part.read_bytes()[1:])
    door.fault("GET", ranged())

    assert_absent(lambda: client.download(PATH, target), IntegrityError, PATH, target)


@pytest.mark.parametrize("damage", ["", "{}", "nonsense", '{"version": 99}', "[]", "null"])
def test_a_damaged_sidecar_costs_only_the_bytes(
    damage: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    client = client_of(door, retries=1)
    interrupted(door, client, target)
    next(target.parent / name for name in left_in(target.parent) if "json" in name).write_text(damage)
    door.fault("GET", ranged())

    result = client.download(PATH, target)

    assert_whole(target, payload)
    assert result.resumed == 0


def test_a_symbolic_link_in_place_of_a_part_is_not_followed(
    open_door: Open, client_of: Client, target: Path, payload: bytes, tmp_path: Path
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    client = client_of(door, retries=1)
    interrupted(door, client, target)
    mine = tmp_path / "mine"
    mine.write_bytes(bytes(HALF))
    part = next(target.parent / name for name in left_in(target.parent) if "json" not in name)
    part.unlink()
    part.symlink_to(mine)
    door.fault("GET", ranged())

    client.download(PATH, target)

    assert_whole(target, payload)
    assert mine.read_bytes() == bytes(HALF)


@pytest.mark.parametrize("kind", ["of another user", "a pipe", "with another name"])
def test_a_sidecar_that_anybody_can_have_put_there_costs_only_the_bytes(
    kind: str, open_door: Open, client_of: Client, target: Path, payload: bytes, tmp_path: Path
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    client = client_of(door, retries=1)
    interrupted(door, client, target)
    sidecar = next(target.parent / name for name in left_in(target.parent) if "json" in name)
    if kind == "a pipe":
        sidecar.unlink()
        os.mkfifo(sidecar)  # to open it would wait for ever
    elif kind == "with another name":
        (tmp_path / "another").hardlink_to(sidecar)
    elif os.geteuid() == 0:
        os.chown(sidecar, 12001, 12001)
    else:
        pytest.skip("only root can make the files of another user")
    door.fault("GET", ranged())

    result = client.download(PATH, target)

    assert_whole(target, payload)
    assert result.resumed == 0


def test_a_part_that_is_in_use_is_left_alone(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    outer, inner = client_of(door), client_of(door)
    door.fault("GET", ranged())
    seen: list[int] = []

    def once(_: int) -> None:
        if not seen:
            seen.append(len(left_in(target.parent)))
            inner._transfers.leftovers.forget(str(target.parent))
            names = inner._transfers.leftovers.beside(
                str(target.parent), re.sub(r"\.[0-9a-f]{32}.*", "", left_in(target.parent)[0])
            )
            seen.append(len(names))
            assert [name.standing for name in names] == ["in use"]

    outer.download(PATH, target, progress=once)

    assert seen == [2, 1]
    assert_whole(target, payload)
    assert parts_in(target.parent) == []

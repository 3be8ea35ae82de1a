"""A large download that is cut off goes on where it stopped."""

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, IntegrityError, PermissionDeniedError, QuotaError, StorageError, TransientError
from tests.faults import acts
from tests.faults.cells import assert_absent, assert_whole
from tests.faults.ranged import asked_bytes, cut, left_in, ranged
from tests.faults.scripted import Door, Exchange

PATH = "/night/events.fits"
SIZE = 4_000_000
HALF = 2_000_000
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture
def payload() -> bytes:
    return random.Random(5).randbytes(SIZE)


@pytest.mark.parametrize("etag", [None, '"one"', 'W/"one"'])
@pytest.mark.parametrize("count", [1 << 16, HALF, SIZE - (1 << 16)])
def test_a_cut_download_goes_on_with_what_is_missing(
    count: int, etag: str | None, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(etag=etag, stop=cut(count)), times=1)
    door.fault("GET", ranged(etag=etag))
    passed: list[int] = []

    result = client_of(door).download(PATH, target, progress=passed.append)

    first, second = asked_bytes(door, PATH)
    assert_whole(target, payload)
    assert first is None
    assert second is not None
    assert 0 < second[0] <= count + (1 << 16)
    assert second[1] == SIZE
    assert min(passed) > 0
    assert sum(passed) == SIZE
    assert (result.retries, result.resumed, result.streams) == (1, 0, 1)


def test_attempts_that_bring_something_are_not_counted_together(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    payload = payload * 4
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(stop=cut(1_500_000)))

    result = client_of(door, retries=1).download(PATH, target)

    assert_whole(target, payload)
    assert result.retries > 5


def test_attempts_that_bring_nearly_nothing_end(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(stop=cut(1 << 16)))

    client = client_of(door, retries=3)

    assert_absent(lambda: client.download(PATH, target), TransientError, PATH, target)
    assert len(door.requests("GET")) == 4


def test_a_server_that_ignores_the_range_is_taken_from_the_start_in_the_same_answer(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", acts.reset_after(HALF), times=1)
    passed: list[int] = []

    client_of(door).download(PATH, target, progress=passed.append)

    assert_whole(target, payload)
    assert len(door.requests("GET")) == 2
    assert sum(passed) == SIZE


@pytest.mark.parametrize("fault", ["changed", 416, 412])
def test_a_file_that_changes_while_it_is_cut_is_fetched_anew(
    fault: str | int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    newer = random.Random(6).randbytes(SIZE)
    door.fault("GET", ranged(etag='"one"', stop=cut(HALF)), times=1)
    door.fault("GET", ranged(etag='"two"') if fault == "changed" else acts.status(int(fault)), times=1)
    door.fault("GET", ranged(etag='"two"'))

    client_of(door).download(PATH, target, progress=lambda _: door.files.update({PATH: newer}))

    assert_whole(target, newer)
    assert asked_bytes(door, PATH)[2] is None


def test_a_file_that_changes_all_the_time_is_an_integrity_error(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    for number in range(40):
        door.fault("GET", ranged(etag=f'"{number}"', stop=cut(HALF)), times=1)
    client = client_of(door, retries=30)

    assert_absent(lambda: client.download(PATH, target), IntegrityError, PATH, target)


@pytest.mark.parametrize(
    "told",
    [
        lambda start, end, size: f"bytes 0-{end - start - 1}/{size}",
        lambda start, end, size: f"bytes {start}-{end - 2}/{size}",
        lambda start, end, size: f"bytes {start + 1}-{end - 1}/{size}",
        lambda start, end, size: "",
        lambda start, end, size: "bytes 32--1/36",
    ],
)
def test_other_bytes_than_asked_for_are_never_taken(
    told: Callable[[int, int, int], str], open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(stop=cut(HALF)), times=1)
    door.fault("GET", ranged(told=told), times=1)
    door.fault("GET", ranged())

    client_of(door).download(PATH, target)

    assert_whole(target, payload)


@pytest.mark.parametrize(
    "told",
    ["bytes 7-{last}/{size}", "bytes 0-{last}/{size}", "", "bytes 7-{end}/{more}"],
    ids=["from another byte", "not to the end", "nothing", "behind the end"],
)
def test_a_range_that_nobody_asked_for_is_never_taken_for_the_whole_file(
    told: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    span = told.format(last=SIZE - 2, end=SIZE + 6, more=SIZE + 7, size=SIZE)

    def lie(exchange: Exchange) -> None:
        exchange.head(206, f"Content-Length: {SIZE}", f"Content-Range: {span}")
        exchange.send(payload[7:] + payload[:7])

    door.fault("GET", lie)
    client = client_of(door, retries=1)

    assert_absent(lambda: client.download(PATH, target), (TransientError, IntegrityError), PATH, target)


def test_a_total_that_is_not_the_size_is_an_integrity_error(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(stop=cut(HALF)), times=1)
    door.fault("GET", ranged(told=lambda start, end, size: f"bytes {start}-{end - 1}/{size + 1}"))
    client = client_of(door)

    assert_absent(lambda: client.download(PATH, target), IntegrityError, PATH, target)


def test_without_tags_a_file_that_was_replaced_between_two_answers_is_found_by_its_listing(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(stop=cut(HALF)), times=1)
    door.fault("GET", ranged())
    client = client_of(door)

    error = assert_absent(
        lambda: client.download(PATH, target, progress=lambda _: door.sizes.update({PATH: SIZE + 1})),
        IntegrityError,
        PATH,
        target,
    )

    assert "changed" in str(error)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("room", [0, 1, HALF])
@pytest.mark.parametrize("streams", [1, 2])
def test_a_disk_that_fills_up_is_a_quota_error_and_nothing_is_kept(
    streams: int,
    room: int,
    number: int,
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = open_door(tls=False, files={PATH: payload * 3}, checksums=True)
    door.fault("GET", ranged())
    real, left = os.pwrite, room

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        nonlocal left
        if left <= 0:
            raise OSError(number, os.strerror(number))
        written = real(fd, bytes(data)[:left], offset)
        left -= written
        return written

    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr(os, "pwritev", lambda fd, pieces, offset: pwrite(fd, b"".join(pieces), offset))
    client = client_of(door, streams=streams)

    assert_absent(lambda: client.download(PATH, target), QuotaError, str(target), target)


def test_a_sidecar_that_cannot_be_made_is_told_as_what_it_is(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    real = os.open

    def no_more(path: str | Path, flags: int, *rest: int, **named: int) -> int:
        if str(path).endswith(".json.ctapart"):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", no_more)
    client = client_of(door)

    assert_absent(lambda: client.download(PATH, target), PermissionDeniedError, str(target), target)
    assert len(door.requests("GET")) == 1


def test_a_part_that_somebody_has_removed_is_one_clear_error(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    client = client_of(door)

    def remove(_: int) -> None:
        for name in left_in(target.parent):
            (target.parent / name).unlink()

    error = assert_absent(lambda: client.download(PATH, target, progress=remove), StorageError, str(target), target)

    assert "another process" in str(error)
    assert error.remedy

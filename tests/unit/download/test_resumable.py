"""The part of a large file: bytes that come fast are written together, and none is lost on the way."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from zlib import adler32

import pytest

from ctadata_providers.backends import Enough
from ctadata_providers.errors import IntegrityError, QuotaError
from ctadata_providers.transfer.parts import resumable
from ctadata_providers.transfer.parts.resumable import GATHERED_PIECES, GATHERED_SECONDS, ResumablePart
from ctadata_providers.transfer.parts.segments import Segment
from ctadata_providers.transfer.parts.sidecar import Origin
from ctadata_providers.transfer.parts.writing import Target

PIECE = 16 * 1024
PAYLOAD = os.urandom(64 * PIECE)
PIECES = [PAYLOAD[start : start + PIECE] for start in range(0, len(PAYLOAD), PIECE)]


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(resumable, "time", clock)
    return clock


@pytest.fixture
def told() -> list[int]:
    return []


@pytest.fixture
def part(tmp_path: Path, told: list[int], clock: Clock) -> Iterator[ResumablePart]:
    origin = Origin("https://door/events.fits", len(PAYLOAD))
    target = Target(tmp_path / "events.fits", overwrite=True)
    part = ResumablePart(target, ".events.fits.12345678", origin, algorithm="adler32", progress=told.append)
    yield part
    part.discard()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each call of the system was given."""
    seen: list[int] = []
    real = os.pwritev

    def pwritev(fd: int, pieces: list[bytes], offset: int) -> int:
        seen.append(sum(map(len, pieces)))
        return real(fd, pieces, offset)

    monkeypatch.setattr(os, "pwritev", pwritev)
    return seen


def only_segment(part: ResumablePart) -> Segment:
    (segment,) = part.segments.parts
    segment.taken, segment.limit = True, part.size
    return segment


def published(part: ResumablePart, tmp_path: Path) -> bytes:
    part.publish()
    return (tmp_path / "events.fits").read_bytes()


def test_pieces_that_come_fast_are_written_together(
    part: ResumablePart, calls: list[int], told: list[int], tmp_path: Path
) -> None:
    segment = only_segment(part)

    for piece in PIECES:
        part.write(segment, piece)

    assert calls[0] == PIECE  # the first ones of a slow line wait for nothing
    assert calls[1:-1] == [GATHERED_PIECES * PIECE] * (len(calls) - 2)
    assert sum(calls) == sum(told) == len(PAYLOAD)
    assert part.is_whole
    assert segment.adler == adler32(PAYLOAD)
    assert published(part, tmp_path) == PAYLOAD


def test_pieces_of_a_slow_line_are_written_as_they_come(part: ResumablePart, calls: list[int], clock: Clock) -> None:
    segment = only_segment(part)

    for count, piece in enumerate(PIECES[:20], 1):
        part.write(segment, piece)
        assert part.received == count * PIECE
        clock.now += GATHERED_SECONDS

    assert calls == [PIECE] * 20


def test_what_waits_when_a_stream_ends_is_written_and_told(
    part: ResumablePart, told: list[int], tmp_path: Path
) -> None:
    segment = only_segment(part)
    for piece in PIECES[:4]:
        part.write(segment, piece)
    assert part.received == PIECE

    part.give_back(segment)
    part.report()

    assert (part.received, segment.pos, sum(told)) == (4 * PIECE,) * 3
    segment.taken = True
    for piece in PIECES[4:]:
        part.write(segment, piece)
    assert published(part, tmp_path) == PAYLOAD


def test_a_disk_that_is_full_when_a_stream_ends_is_the_failure(
    part: ResumablePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = only_segment(part)
    for piece in PIECES[:4]:
        part.write(segment, piece)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwritev", full)
    part.give_back(segment)

    assert isinstance(part.failure, QuotaError)
    assert (part.received, segment.pos, segment.pending) == (PIECE, PIECE, 0)


def test_what_comes_beyond_a_segment_is_not_written(part: ResumablePart, tmp_path: Path) -> None:
    segment = only_segment(part)
    part.write(segment, PIECES[0])
    part.write(segment, PIECES[1])
    segment.end = 3 * PIECE + 100  # another stream has taken the rest
    part.write(segment, PIECES[2])

    with pytest.raises(Enough):
        part.write(segment, PIECES[3])

    assert (segment.pos, part.received) == (segment.end, segment.end)
    assert segment.adler == adler32(PAYLOAD[: segment.end])
    with pytest.raises(Enough):
        part.write(segment, PIECES[4])


def test_more_bytes_than_were_announced_are_an_error(part: ResumablePart) -> None:
    segment = only_segment(part)
    for piece in PIECES[:-1]:
        part.write(segment, piece)

    with pytest.raises(IntegrityError, match=str(len(PAYLOAD))):
        part.write(segment, PIECES[-1] + b"x")

    assert isinstance(part.failure, IntegrityError)


def test_a_call_that_writes_less_than_it_was_given_is_gone_on_with(
    part: ResumablePart, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = os.pwrite

    def some(fd: int, pieces: list[bytes], offset: int) -> int:
        return real(fd, b"".join(pieces)[: PIECE + 7], offset)

    monkeypatch.setattr(os, "pwritev", some)
    segment = only_segment(part)

    for piece in PIECES:
        part.write(segment, piece)

    assert segment.adler == adler32(PAYLOAD)
    assert published(part, tmp_path) == PAYLOAD


def test_what_the_progress_raises_is_the_failure(part: ResumablePart, told: list[int]) -> None:
    class NoMore(Exception):
        pass

    def refuse(_: int) -> None:
        raise NoMore

    part._progress = refuse
    segment = only_segment(part)

    with pytest.raises(NoMore):
        part.write(segment, PIECES[0])

    assert isinstance(part.failure, NoMore)


def test_a_restart_takes_back_what_was_told(part: ResumablePart, told: list[int]) -> None:
    segment = only_segment(part)
    for piece in PIECES[:20]:
        part.write(segment, piece)

    part.restart()

    assert sum(told) == 0
    assert part.received == 0


def test_where_no_thread_is_to_be_had_the_file_is_closed_all_the_same(
    part: ResumablePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(resumable, "in_own_thread", refuse)
    descriptor = part._fd
    part.discard()

    with pytest.raises(OSError, match="descriptor"):
        os.fstat(descriptor)

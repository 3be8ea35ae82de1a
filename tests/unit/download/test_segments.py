"""Which bytes are there: nothing twice, nothing missing, however streams come, go and fail."""

import random
from itertools import pairwise
from zlib import adler32

from hypothesis import given
from hypothesis import strategies as st

from ctadata_providers.checksum import adler32_combine
from ctadata_providers.transfer.parts.segments import Segment, Segments


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_two_adler32_combine_to_that_of_both(first: bytes, second: bytes) -> None:
    assert adler32_combine(adler32(first), adler32(second), len(second)) == adler32(first + second)


@given(st.integers(0, 200_000), st.integers(0, 200_000))
def test_adler32_combine_holds_for_long_rows(first: int, second: int) -> None:
    a, b = b"\xff" * first, b"\xfe" * second

    assert adler32_combine(adler32(a), adler32(b), second) == adler32(a + b)


def fill(segment: Segment, data: bytes, count: int) -> None:
    piece = data[segment.pos : min(segment.pos + count, segment.end)]
    segment.adler = adler32(piece, segment.adler)
    segment.pos += len(piece)


@given(st.integers(1, 5000), st.integers(0, 2**32), st.integers(1, 8))
def test_whatever_happens_all_bytes_are_covered_once(size: int, seed: int, smallest: int) -> None:
    chance = random.Random(seed)
    data = chance.randbytes(size)
    segments = Segments.of(size)
    while not segments.is_whole:
        act = chance.choice(["take", "split", "fill", "fill", "end", "fail"])
        taken = [part for part in segments.parts if part.taken]
        if act == "take" and (idle := segments.idle()):
            idle.taken = True
            idle.limit = chance.choice([idle.end, size])
        elif act == "split":
            segments.split(smallest)
        elif act == "fill" and taken:
            fill(chance.choice(taken), data, chance.randrange(1, size + 1))
        elif act in ("end", "fail") and taken:
            chance.choice(taken).taken = False
            segments.give_back()
        covered = [(part.start, part.end) for part in segments.parts]
        assert covered[0][0] == 0
        assert covered[-1][1] == size
        assert all(one[1] == other[0] for one, other in pairwise(covered))
        assert len({part.row for part in segments.parts}) == len(segments.parts)
        for part in segments.parts:
            assert part.start <= part.pos <= part.end

    assert segments.received == segments.prefix == size
    assert segments.adler == adler32(data)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=9), st.booleans())
def test_what_is_there_from_before_is_not_asked_for_again(lengths: list[int], first: bool) -> None:
    edges = [0]
    for length in lengths:
        edges.append(edges[-1] + length)
    size = edges[-1]
    there = [(edges[n], edges[n + 1], 1) for n in range(len(lengths)) if n % 2 == first]

    segments = Segments.of(size, there)
    asked = [(part.pos, part.end) for part in segments.parts if part.missing]

    assert segments.received == sum(stop - start for start, stop, _ in there)
    assert sum(stop - start for start, stop in asked) == size - segments.received
    assert segments.ranges == [(start, stop) for start, stop, _ in there]


def test_the_longest_is_cut_in_the_middle_of_what_is_missing() -> None:
    segments = Segments.of(100)
    segments.parts[0].pos = 20

    piece = segments.split(10)

    assert piece is not None
    assert [(part.start, part.pos, part.end) for part in segments.parts] == [(0, 20, 60), (60, 60, 100)]
    assert segments.split(25) is None


def test_refused_pieces_go_back_to_the_stream_that_still_brings_them() -> None:
    segments = Segments.of(1600)
    first = segments.parts[0]
    first.taken, first.limit = True, 1600
    pieces = [segments.split(10) for _ in range(3)]
    for piece in pieces:
        assert piece is not None
        piece.taken, piece.limit = True, piece.end
    for piece in reversed(pieces):
        assert piece is not None
        piece.taken = False
        segments.give_back()

    assert segments.parts == [first]
    assert first.end == 1600


def test_a_stream_that_has_just_been_told_to_stop_gets_nothing_back() -> None:
    segments = Segments.of(100)
    first = segments.parts[0]
    first.taken, first.limit = True, 100
    piece = segments.split(10)
    first.pos = first.end
    segments.give_back()

    assert segments.parts == [first, piece]

"""Several ranges with one answer: the bytes that were asked for, or our error, however the answer is cut."""

from itertools import pairwise

from hypothesis import strategies as st

from ctadata_providers.backends.spans import SpansSink, boundary_of
from ctadata_providers.errors import StorageError
from ctadata_providers.session import Response
from tests.fuzz.engine import either, holds
from tests.fuzz.strategies import header_text

SIZE = 400
TOKENS = (
    *(b"\r\n--e\r\n", b"--e--", b"--e", b"\r\n\r\n", b"\r\n", b"Content-Range: bytes 0-9/400\r\n\r\n", b"0" * 10),
    *(b"content-range: bytes 5-4/*", b"-1", b"x" * 1100, b"Content-Type: text/plain\r\n"),
)
files = st.binary(min_size=SIZE, max_size=SIZE) | st.lists(st.sampled_from(TOKENS[:6]), min_size=90).map(
    lambda parts: b"".join(parts)[:SIZE]
)
spans = st.lists(st.integers(0, SIZE), min_size=2, max_size=8, unique=True).map(
    lambda edges: list(pairwise(sorted(edges)))[::2]
)
edits = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(0, 30), st.sampled_from(TOKENS) | st.binary(max_size=4)), max_size=3
)
cuts = st.lists(st.integers(0, 3000), max_size=6)


def written(data: bytes, wanted: list[tuple[int, int]]) -> bytes:
    parts = [f"\r\n--e\r\nContent-Range: bytes {a}-{b - 1}/{len(data)}\r\n\r\n".encode() + data[a:b] for a, b in wanted]
    return b"".join(parts) + b"\r\n--e--\r\n"


def within(size: int, wanted: list[tuple[int, int]]) -> list[int]:
    """Return how long the ranges are in a file of that size, which a changed answer may tell."""
    return [max(0, min(b, size) - a) for a, b in wanted]


def read(body: bytes, wanted: list[tuple[int, int]], at: list[int]) -> list[bytes] | None:
    """Return the ranges, None for an error of ours; which one may hang on where the answer is cut."""

    def act() -> list[bytes]:
        response = Response(206, "", {"content-type": "multipart/byteranges; boundary=e"}, "https://door/f")
        sink = SpansSink("/f", wanted, response)
        places = [0, *sorted(min(place, len(body)) for place in at), len(body)]
        for first, last in pairwise(places):
            sink(body[first:last])
        return sink.contents()

    found = either(act, StorageError)
    return None if isinstance(found, StorageError) else found


@holds(data=files, wanted=spans, at=cuts)
def test_ranges_come_back_as_they_were_written(data: bytes, wanted: list[tuple[int, int]], at: list[int]) -> None:
    assert read(written(data, wanted), wanted, at) == [data[a:b] for a, b in wanted]


@holds(data=files, wanted=spans, changes=edits, at=cuts)
def test_a_changed_answer_is_ranges_of_the_right_length_or_our_error(
    data: bytes, wanted: list[tuple[int, int]], changes: list[tuple[int, int, bytes]], at: list[int]
) -> None:
    body = written(data, wanted)
    for place, length, piece in changes:
        place %= len(body) + 1
        body = body[:place] + piece + body[place + length :]
    found = read(body, wanted, at)

    assert found == read(body, wanted, []) == read(body, wanted, list(range(len(body))))
    if found is not None:
        assert [len(part) for part in found] in (within(size, wanted) for size in range(SIZE + 1))


@holds(value=header_text | header_text.map(lambda text: f"multipart/byteranges; boundary={text}"))
def test_a_boundary_is_some_bytes_or_none(value: str) -> None:
    boundary = boundary_of(value)

    assert boundary is None or 0 < len(boundary) <= 70

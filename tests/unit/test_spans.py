"""Answers with several ranges: every server's manner of writing them, and what is none."""

import pytest

from ctadata_providers.backends import EndedError
from ctadata_providers.backends.reading import check_range
from ctadata_providers.backends.spans import SpansSink, boundary_of
from ctadata_providers.errors import IntegrityError, TransientError, UnsupportedError
from ctadata_providers.session import Response

DATA = bytes(range(100))
SPANS = [(0, 10), (20, 30), (50, 60)]
TYPE = "multipart/byteranges; boundary=edge"


def part(start: int, end: int, *, boundary: bytes = b"edge", before: bytes = b"", size: str = "100") -> bytes:
    head = f"Content-Range: bytes {start}-{end - 1}/{size}\r\n\r\n".encode()
    return b"\r\n--" + boundary + b"\r\n" + before + head + DATA[start:end]


def answer(*spans: tuple[int, int], **manner: bytes) -> bytes:
    return b"".join(part(*span, **manner) for span in spans) + b"\r\n--" + manner.get("boundary", b"edge") + b"--\r\n"


def read(*pieces: bytes, content_type: str = TYPE, status: int = 206) -> list[bytes]:
    sink = SpansSink("/lst/run", SPANS, Response(status, "", {"content-type": content_type}, "https://door/lst/run"))
    for piece in pieces:
        sink(piece)
    return sink.contents()


RIGHT = [DATA[start:end] for start, end in SPANS]
BODY = answer(*SPANS)


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        BODY.removeprefix(b"\r\n"),
        answer(*SPANS, before=b"Content-type: application/octet-stream\r\n"),
        BODY.replace(b"Content-Range: bytes", b"content-range:bytes"),
        BODY.replace(b"/100\r\n", b"/*\r\n"),
        b"a preamble\r\n\r\n" + BODY,
        BODY + b"an epilogue\r\n\r\nof lines",
        answer(*reversed(SPANS)),
        answer((0, 30), (50, 60)),
        answer(*SPANS, (90, 95)),
    ],
    ids=[
        *("xrootd", "no first line", "apache", "lower case", "unknown size"),
        *("preamble", "epilogue", "out of order", "joined", "one more"),
    ],
)
def test_ranges_are_read_however_they_are_written_and_cut(body: bytes) -> None:
    assert read(body) == RIGHT
    assert read(*(body[at : at + 1] for at in range(len(body)))) == RIGHT


def test_what_is_beyond_the_end_of_the_file_is_not_there() -> None:
    response = Response(206, "", {"content-type": TYPE}, "https://door/lst/run")
    sink = SpansSink("/lst/run", [(0, 10), (90, 110), (120, 130)], response)
    sink(answer((0, 10), (90, 100)))

    assert sink.contents() == [DATA[:10], DATA[90:], b""]


def test_what_looks_like_a_boundary_within_a_part_is_data() -> None:
    data = b"\r\n--edge--\r\n"
    head = f"--edge\r\nContent-Range: bytes 0-{len(data) - 1}/12\r\n\r\n".encode()
    response = Response(206, "", {"content-type": TYPE}, "https://door/lst/run")
    sink = SpansSink("/lst/run", [(0, len(data))], response)
    sink(head + data + b"\r\n--edge--")

    assert sink.contents() == [data]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (answer(*SPANS[:2]), UnsupportedError),
        (BODY[:-20], TransientError),
        (BODY.replace(b"20-29", b"29-20"), UnsupportedError),
        (BODY.replace(b"50-59/100", b"50-59/90"), UnsupportedError),
        (BODY.replace(b"Content-Range", b"Content-Rage"), UnsupportedError),
        (BODY.replace(b"20-29", b"20-" + b"9" * 30), UnsupportedError),
        (BODY.replace(b"20-29/100", b"20-29/29").replace(b"/100", b"/29"), UnsupportedError),
        (BODY.replace(b"20-29/100\r\n\r\n", b"20-29/100\n\r\n"), UnsupportedError),
        (b"x" * 2000, UnsupportedError),
        (BODY + b"x" * 5000, IntegrityError),
    ],
    ids=[
        *("one missing", "broken off", "backwards", "two sizes", "no range", "endless"),
        *("behind the end", "two heads in one", "no boundary", "too long"),
    ],
)
def test_what_is_no_such_answer_is_an_error(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(body)


@pytest.mark.parametrize(
    ("content_type", "status"), [(TYPE, 200), ("text/html", 206), ("multipart/byteranges", 206), ("", 206)]
)
def test_an_answer_without_parts_is_refused_at_its_head(content_type: str, status: int) -> None:
    with pytest.raises(UnsupportedError):
        read(content_type=content_type, status=status)


@pytest.mark.parametrize("length", [0, 71])
def test_a_boundary_has_a_length_of_reason(length: int) -> None:
    assert boundary_of(f"multipart/byteranges; boundary={'x' * length}") is None


@pytest.mark.parametrize(
    ("told", "size"), [("bytes 5-19/10", 10), ("bytes 5-19/5", 5), ("bytes 5-19/2", 2), ("bytes 5-19/0", 0)]
)
def test_a_range_that_ends_or_begins_behind_the_end_of_the_file_tells_where_that_is(told: str, size: int) -> None:
    response = Response(206, "", {"content-range": told}, "https://door/lst/run")

    with pytest.raises(EndedError) as caught:
        check_range(response, "/lst/run", 5, 20)
    assert caught.value.size == size

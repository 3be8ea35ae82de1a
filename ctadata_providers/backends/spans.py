"""Several ranges of a file with one answer: multipart/byteranges (RFC 9110, section 14.6)."""

import re
from collections.abc import Callable, Sequence
from email.message import Message

from ctadata_providers.backends.entries import number
from ctadata_providers.backends.reading import check_match
from ctadata_providers.backends.servers import Server
from ctadata_providers.errors import IntegrityError, TransientError, UnsupportedError
from ctadata_providers.session import Request, Response, Session, Sink
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import spawn

Span = tuple[int, int]
"""The first byte, and the one behind the last."""
_RANGE = re.compile(rb"(?im)^content-range:[ \t]*bytes[ \t]+([0-9]+)-([0-9]+)/(?:[0-9]+|\*)[ \t]*\r?$")
_PER_PART = 1024
"""Bytes that a server may write around each part."""
_BOUNDARY = 70
"""The most characters of a boundary (RFC 2046, section 5.1.1)."""


def range_of(spans: Sequence[Span]) -> str:
    """Return the value of a Range header.

    >>> range_of([(0, 10), (20, 30)])
    'bytes=0-9,20-29'
    """
    return "bytes=" + ",".join(f"{start}-{end - 1}" for start, end in spans)


class SpanReader:
    """The operations of `backends.base.SpanOperations` at a WebDAV door.

    Args:
        session: Where to.
        url: Returns the URL of a path.
        server: Returns what the door is.
    """

    def __init__(self, session: Session, url: Callable[[str], str], server: Callable[[], Server]) -> None:
        self._session, self._url, self._server = session, url, server
        self.offered = True

    def read(self, path: str, spans: Sequence[Span], *, if_match: str | None = None) -> Future[list[bytes]]:
        """Read ranges by one GET."""
        return spawn(self._read(path, spans, if_match))

    async def _read(self, path: str, spans: Sequence[Span], if_match: str | None) -> list[bytes]:
        url = self._url(path)
        headers = {"Range": range_of(spans)}
        if self._server().holds_after_range:
            headers["Connection"] = "close"
        sinks: list[SpansSink] = []

        def accept(response: Response) -> Sink:
            if url.startswith("https://") and not response.url.startswith("https://"):
                raise UnsupportedError(f"parts of {path} would come over plain http", path=path)
            check_match(response, path, if_match)
            sinks.append(SpansSink(path, spans, response))
            return sinks[-1]

        try:
            await self._session.exchange(
                Request(method="GET", url=url, path=path, act="read", headers=headers, accept=accept)
            )
            return sinks[-1].contents()
        except UnsupportedError:
            self.offered = False
            raise


class SpansSink:
    """Takes an answer that should hold several ranges; made with its head.

    Raises:
        UnsupportedError: When it does not: the server ignores ranges, or knows only one at a time.
    """

    def __init__(self, path: str, spans: Sequence[Span], response: Response) -> None:
        self._path, self._spans = path, spans
        boundary = boundary_of(response.headers.get("content-type", ""))
        if response.status != 206 or boundary is None:
            raise UnsupportedError(f"the server does not send several ranges of {path} at once", path=path)
        self._boundary = boundary
        self._pieces: list[bytes] = []
        self._room = sum(end - start for start, end in spans) + _PER_PART * (len(spans) + 1)

    def __call__(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            IntegrityError: When there are more than the ranges can have.
        """
        self._room -= len(data)
        if self._room < 0:
            raise IntegrityError(f"the server sends more of {self._path} than was asked for", path=self._path)
        self._pieces.append(data)

    def contents(self) -> list[bytes]:
        """Return the bytes of each range, when all have come.

        Raises:
            UnsupportedError: When one of them is missing.
            TransientError: When the answer breaks off within a part.
        """
        parts = parse(b"".join(self._pieces), self._boundary, self._path)
        return [self._find(parts, start, end) for start, end in self._spans]

    def _find(self, parts: Sequence[tuple[int, memoryview]], start: int, end: int) -> bytes:
        """Return a range from whichever part holds it: a server may send near ones as one."""
        for first, data in parts:
            if first <= start and end <= first + len(data):
                return bytes(data[start - first : end - first])
        raise UnsupportedError(f"the server left out the bytes {start}-{end} of {self._path}", path=self._path)


def boundary_of(content_type: str) -> bytes | None:
    """Return what separates the parts, None when there are none.

    >>> boundary_of('multipart/byteranges; boundary="a b"'), boundary_of("text/plain")
    (b'a b', None)
    """
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/byteranges" or not isinstance(boundary, str):
        return None
    return boundary.encode("latin-1", "replace") if 0 < len(boundary) <= _BOUNDARY else None


def parse(body: bytes, boundary: bytes, path: str) -> list[tuple[int, memoryview]]:
    r"""Return where each part begins in the file, and its bytes.

    Raises:
        TransientError: When it breaks off within a part.
        UnsupportedError: When it is not what RFC 9110 says.

    >>> answer = b"--x\r\nContent-Range: bytes 5-6/9\r\n\r\nab\r\n--x--"
    >>> [(first, bytes(data)) for first, data in parse(answer, b"x", "/f")]
    [(5, b'ab')]
    """
    view = memoryview(body)
    mark = b"--" + boundary
    parts: list[tuple[int, memoryview]] = []
    at = body.find(mark)
    while at >= 0 and body[at + len(mark) : at + len(mark) + 2] != b"--":
        head_end = body.find(b"\r\n\r\n", at)
        found = _RANGE.search(body, at + len(mark), head_end + 2) if head_end >= 0 else None
        first, last = (number(text.decode()) for text in found.groups()) if found else (None, None)
        if first is None or last is None or last < first:
            raise UnsupportedError(f"the server's ranges of {path} cannot be read", path=path)
        begin, end = head_end + 4, head_end + 4 + last - first + 1
        if end > len(body):
            raise TransientError(f"the server's ranges of {path} break off", path=path, remedy="try again")
        parts.append((first, view[begin:end]))
        at = body.find(mark, end, end + len(mark) + 4)
    return parts

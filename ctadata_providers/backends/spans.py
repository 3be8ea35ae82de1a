"""Several ranges of a file with one answer: multipart/byteranges (RFC 9110, section 14.6)."""

import re
from collections.abc import Callable, Sequence
from email.message import Message

from ctadata_providers.backends.base import ReadResult, SpansResult
from ctadata_providers.backends.entries import number
from ctadata_providers.backends.reading import asked_digest, asked_digests, check_match
from ctadata_providers.backends.servers import Server
from ctadata_providers.errors import IntegrityError, TransientError, UnsupportedError
from ctadata_providers.session import Request, Response, Session, Sink
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import spawn

Span = tuple[int, int]
"""The first byte, and the one behind the last."""
_RANGE = re.compile(rb"(?im)^content-range:[ \t]*bytes[ \t]+([0-9]+)-([0-9]+)/([0-9]+|\*)[ \t]*\r?$")
_HEAD_END = b"\r\n\r\n"
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

    def read(self, path: str, spans: Sequence[Span], *, if_match: str | None = None) -> Future[SpansResult]:
        """Read ranges by one GET."""
        return spawn(self._read(path, spans, if_match))

    async def _read(self, path: str, spans: Sequence[Span], if_match: str | None) -> SpansResult:
        url = self._url(path)
        headers = {"Range": range_of(spans), **asked_digest(self._server())}
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
            response = await self._session.exchange(
                Request(method="GET", url=url, path=path, act="read", headers=headers, accept=accept)
            )
            sink = sinks[-1]
            head = ReadResult(sink.size, response.headers.get("etag"), asked_digests(response, headers, url))
            return SpansResult(sink.contents(), head)
        except UnsupportedError:
            self.offered = False
            raise


class SpansSink:
    """Takes an answer that should hold several ranges, part by part as it arrives; made with its head.

    Raises:
        UnsupportedError: When it does not: the server ignores ranges, or knows only one at a time.
    """

    def __init__(self, path: str, spans: Sequence[Span], response: Response) -> None:
        self._path, self._spans = path, spans
        boundary = boundary_of(response.headers.get("content-type", ""))
        if response.status != 206 or boundary is None:
            raise UnsupportedError(f"the server does not send several ranges of {path} at once", path=path)
        self._mark = b"--" + boundary
        self._room = sum(end - start for start, end in spans) + _PER_PART * (len(spans) + 1)
        self._parts: dict[int, bytes] = {}
        self._head = bytearray()
        """What has come between two parts."""
        self.size: int | None = None
        """Of the file, as far as the parts tell."""
        self._ended = False
        self._first = self._left = 0
        """Of the part that is coming: its first byte, and how many are to come."""
        self._pieces: list[bytes] = []

    def __call__(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            IntegrityError: When there are more than the ranges can have.
            UnsupportedError: When they are not what RFC 9110 says.
        """
        self._room -= len(data)
        if self._room < 0:
            raise IntegrityError(f"the server sends more of {self._path} than was asked for", path=self._path)
        at = 0
        while at < len(data) and not self._ended:
            at += self._take_part(data, at) if self._left else self._take_head(data, at)

    def contents(self) -> list[bytes]:
        """Return the bytes of each range, when all have come; what is beyond the end of the file is not there.

        Raises:
            UnsupportedError: When one of them is missing.
            TransientError: When the answer breaks off within a part.
        """
        if self._left:
            raise TransientError(f"the server's ranges of {self._path} break off", path=self._path, remedy="try again")
        return [self._find(start, end) for start, end in self._spans]

    def _take_part(self, data: bytes, at: int) -> int:
        """Take bytes of a part; return how many."""
        piece = data[at : at + self._left]  # mostly all of them, which copies nothing
        self._pieces.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._parts[self._first] = b"".join(self._pieces)
            self._pieces.clear()
        return len(piece)

    def _take_head(self, data: bytes, at: int) -> int:
        """Take bytes before a part, or behind the last one; return how many."""
        known = len(self._head)
        self._head += data[at : at + _PER_PART - known]
        begin = self._head.find(self._mark)
        inside = begin + len(self._mark)
        self._ended = begin >= 0 and self._head[inside : inside + 2] == b"--"
        end = self._head.find(_HEAD_END, inside) if begin >= 0 else -1
        if end >= 0 and not self._ended:
            self._first, self._left = self._range(inside, end + 2)
            self._head.clear()
            return end + len(_HEAD_END) - known
        if len(self._head) == _PER_PART and not self._ended:
            raise self._unreadable()
        return len(self._head) - known

    def _range(self, begin: int, end: int) -> tuple[int, int]:
        """Return the first byte of a part and its length, from its header."""
        found = _RANGE.findall(self._head, begin, end)
        first, last, size = (number(text.decode()) for text in found[0]) if len(found) == 1 else (None, None, None)
        self.size = size if self.size is None else self.size
        if first is None or last is None or last < first or size != self.size:
            raise self._unreadable()
        if size is not None and size <= last:
            raise self._unreadable()
        return first, last - first + 1

    def _find(self, start: int, end: int) -> bytes:
        """Return a range from whichever part holds it: a server may send near ones as one."""
        if len(self._parts.get(start, b"")) == end - start:
            return self._parts[start]
        if self.size is not None:
            end = min(end, self.size)
            if end <= start:
                return b""
        for first, data in self._parts.items():
            if first <= start and end <= first + len(data):
                return data[start - first : end - first]
        raise UnsupportedError(f"the server left out the bytes {start}-{end} of {self._path}", path=self._path)

    def _unreadable(self) -> UnsupportedError:
        return UnsupportedError(f"the server's ranges of {self._path} cannot be read", path=self._path)


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

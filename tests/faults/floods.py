"""Answers without end, made on the fly for as long as the client takes them."""

import zlib
from collections.abc import Callable, Iterator
from itertools import count

from tests.faults.scripted import Act, Exchange

ENOUGH = 8 << 30
"""A client that has taken this much does not stop."""
PIECE = 1 << 18
FOLDER = (
    "<D:response><D:href>/0/f/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop>"
    "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
)
MULTISTATUS = b'<D:multistatus xmlns:D="DAV:">'
Pieces = Callable[[], Iterator[bytes]]


def forever(begin: bytes, piece: bytes | Callable[[int], bytes]) -> Pieces:
    """Give a beginning, and then the same, or one numbered piece after the other, for ever."""

    def pieces() -> Iterator[bytes]:
        yield begin
        if isinstance(piece, bytes):
            while True:
                yield piece * (PIECE // len(piece))
        for first in count(0, 1000):
            yield b"".join(piece(number) for number in range(first, first + 1000))

    return pieces


def packed(wbits: int) -> Pieces:
    """Give a multistatus of one endless entry, packed to a thousandth."""

    def pieces() -> Iterator[bytes]:
        packer = zlib.compressobj(wbits=wbits)
        yield packer.compress(MULTISTATUS + b"<D:response><D:href>")
        while True:
            yield packer.compress(bytes(1 << 20))

    return pieces


def poured(pieces: Pieces, taken: list[int]) -> Act:
    """Send an answer for as long as the client takes it."""

    def act(exchange: Exchange) -> None:
        for piece in pieces():
            exchange.send(piece)
            taken.append(len(piece))
            if sum(taken) > ENOUGH:
                break
        exchange.end()

    return act


def answered(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


CHUNKED = "Transfer-Encoding: chunked"
HEADERS: dict[str, Pieces] = {
    "headers": forever(b"HTTP/1.1 200 OK\r\n", b"X-Flood: 1\r\n"),
    "one header": forever(b"HTTP/1.1 200 OK\r\nX-Flood: ", b"y"),
    "a header that goes on and on": forever(b"HTTP/1.1 200 OK\r\nX-Flood: x\r\n", b" y\r\n"),
    "headers without a colon": forever(b"HTTP/1.1 200 OK\r\n", b"flood\r\n"),
    "a status line": forever(b"HTTP/1.1 200 ", b"y"),
    "no status line": forever(b"", b"y"),
    "empty lines": forever(b"", b"\r\n"),
    "interim answers": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "interim answers with headers": forever(b"", b"HTTP/1.1 100 Continue\r\nX-Flood: " + b"y" * 900 + b"\r\n\r\n"),
    "digits of a chunk": forever(answered("207 M", CHUNKED), b"0"),
    "extension of a chunk": forever(answered("207 M", CHUNKED) + b"1;", b"y"),
    "extension of the last chunk": forever(answered("207 M", CHUNKED) + b"1\r\n<\r\n0;", b"y"),
    "trailers": forever(answered("207 M", CHUNKED) + b"1\r\n<\r\n0\r\n", b"X-Flood: 1\r\n"),
    "one trailer": forever(answered("207 M", CHUNKED) + b"1\r\n<\r\n0\r\nX-Flood: ", b"y"),
    "trailers of an empty body": forever(answered("207 M", CHUNKED) + b"0\r\n", b"X-Flood: 1\r\n"),
}
"""Floods that come before, behind or between the bytes of a body."""

BODIES: dict[str, Pieces] = {
    "body of an error": forever(answered("500 No"), b"y"),
    "body of an error, announced": forever(answered("403 No", "Content-Length: 1000000000000"), b"y"),
    "body of an error, chunked": forever(answered("404 No", CHUNKED), b"10000\r\n" + b"y" * 65536 + b"\r\n"),
    "body of an error, packed": forever(answered("500 No", "Content-Encoding: gzip"), b"\0"),
    "body of a redirect": forever(answered("302 Found", "Location: ftp://nowhere/"), b"y"),
    "body of a redirect to itself": forever(answered("302 Found", "Location: ?"), b"y"),
}
"""Bodies of which only the beginning, or nothing, is wanted."""


def listing(begin: bytes, piece: bytes | Callable[[int], bytes], *headers: str) -> Pieces:
    return forever(answered("207 M", *headers) + MULTISTATUS + begin, piece)


def _bomb(encoding: str, wbits: int) -> Pieces:
    def pieces() -> Iterator[bytes]:
        yield answered("207 M", f"Content-Encoding: {encoding}")
        yield from packed(wbits)()

    return pieces


_ENTRY = b"<D:response>"
LISTINGS: dict[str, Pieces] = {
    "text of an entry": listing(_ENTRY + b"<D:href>", b"x"),
    "attribute": listing(_ENTRY + b'<D:href a="', b"x"),
    "attributes": listing(_ENTRY + b"<D:href ", lambda number: b"a%d='' " % number),
    "name of an element": listing(_ENTRY + b"<D:", b"x"),
    "comment": listing(_ENTRY + b"<!--", b"x"),
    "comments": listing(_ENTRY, b"<!---->"),
    "processing instruction": listing(_ENTRY + b"<?x ", b"x"),
    "CDATA": listing(_ENTRY + b"<D:href><![CDATA[", b"x"),
    "elements within elements": listing(_ENTRY, b"<a>"),
    "entries within entries": listing(b"", _ENTRY),
    "elements beside elements": listing(_ENTRY, b"<a/>"),
    "blanks": listing(b"", b" "),
    "elements within elements, each with an entry": listing(b"", b"<a><D:response></D:response>"),
    "names of elements": listing(b"", lambda number: b"<D:response><n%d/></D:response>" % number),
    "names of attributes": listing(b"", lambda number: b"<D:response a%d=''/>" % number),
    "namespaces": listing(b"", lambda number: b"<D:response xmlns='u%d'></D:response>" % number),
    "prefixes": listing(b"", lambda number: b"<D:response xmlns:p%d='u'></D:response>" % number),
    "namespaces within namespaces": listing(b"", lambda number: b"<a xmlns:p%d='u%d'>" % (number, number)),
    "gzip": _bomb("gzip", 31),
    "deflate": _bomb("deflate", 15),
    "gzip, twice": _bomb("gzip, gzip", 31),
    "br": forever(answered("207 M", "Content-Encoding: br"), bytes.fromhex("0b0080") * 1000),
    "entities": listing(b"<D:href>", b"&lt;"),
}
"""Listings that are no listings, whatever is asked for."""

"""A pool of the fake data centre: sends and receives the bytes for which the door opened a mover.

What is said here of dCache was read in its HttpPoolRequestHandler.
"""

import asyncio
import contextlib
import os
import re
import ssl
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from aiohttp import web

from ctadata_providers.errors import IntegrityError, NotFoundError, QuotaError
from ctadata_providers.testing.digests import digest_header
from ctadata_providers.testing.requestlog import RequestLog
from ctadata_providers.testing.server import Exchange, Refusal, Server, quote_path
from ctadata_providers.testing.storage import Entry, Storage

UUID_PARAMETER = "dcache-http-uuid"
REFERRER_PARAMETER = "dcache-http-ref"
# pool.mover.http.timeout.connect: so long a pool waits for the client that the door sent.
PATIENCE = 300.0

_BOUNDARY = "__AAAAAAAAAAAAAAAA__"
_BLOCK = 1 << 20
_SMALL = 1 << 18
# A header parameter may hold these without quotes: ASCII without RFC 2045's tspecials.
_PLAIN = re.compile(r"[!#-'*+.\-0-9A-Z^-~]{1,78}")


@dataclass(slots=True)
class Mover:
    """A transfer that the door prepared.

    Attributes:
        entry: The file to send, or the empty entry to fill.
        is_upload: Which of the two.
        location: The file's URL at the door.
        algorithms: Checksums to compute on an upload besides adler32.
        expires: When the pool loses patience.
    """

    entry: Entry
    is_upload: bool
    location: str
    algorithms: frozenset[str]
    expires: float


class Pool(Server):
    """One pool. The uuid in a request is the only credential that it looks at."""

    def __init__(
        self,
        storage: Storage,
        *,
        host: str,
        tls: ssl.SSLContext | None,
        log: RequestLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("pool", host=host, port=0, tls=tls, log=log)
        self._storage = storage
        self._clock = clock
        self._movers: OrderedDict[str, Mover] = OrderedDict()

    def open(self, entry: Entry, *, is_upload: bool, door_url: str, algorithms: frozenset[str] = frozenset()) -> str:
        """Prepare a transfer and return the URL to which the door redirects."""
        now = self._clock()
        while self._movers and next(iter(self._movers.values())).expires < now:
            self._movers.popitem(last=False)
        key = str(uuid.uuid4())
        path = quote_path(entry.path)
        self._movers[key] = Mover(entry, is_upload, door_url + path, algorithms, now + PATIENCE)
        return f"{self.url}{path}?{urlencode({UUID_PARAMETER: key, REFERRER_PARAMETER: door_url})}"

    async def handle(self, exchange: Exchange) -> web.StreamResponse:
        """Answer GET, HEAD and PUT of an open mover."""
        match exchange.method:
            case "GET":
                return await self._get(exchange)
            case "HEAD":
                mover = self._mover(exchange, is_upload=False)
                return web.Response(headers=self._file_headers(exchange, mover))
            case "PUT":
                return await self._put(exchange)
        raise Refusal(501, f"{exchange.method} is not implemented")

    def refuse(self, exchange: Exchange, refusal: Refusal) -> web.Response:
        """Put the reason into the status line and leave the body empty."""
        return web.Response(status=refusal.status, reason=refusal.text, headers=self._headers(refusal.headers))

    def _mover(self, exchange: Exchange, *, is_upload: bool) -> Mover:
        """Return the mover that a request names, refusing it as dCache does."""
        key = exchange.query.get(UUID_PARAMETER)
        if key is None:
            raise Refusal(400, "Query string does not include any UUID.")
        mover = self._movers.get(key)
        if mover is None or mover.expires < self._clock():
            text = "Request is no longer valid. Please resubmit to door."
            if referrer := exchange.query.get(REFERRER_PARAMETER):
                raise Refusal(307, text, {"Location": referrer.rstrip("/") + quote_path(exchange.path)})
            raise Refusal(400, text)
        if mover.entry.path != exchange.path:
            raise Refusal(400, "The file you specified does not match the UUID you specified!")
        if mover.is_upload != is_upload:
            raise Refusal(405, f"Resource is not open for {'writing' if is_upload else 'reading'}")
        return mover

    def _release(self, exchange: Exchange) -> None:
        self._movers.pop(exchange.query[UUID_PARAMETER], None)

    async def _get(self, exchange: Exchange) -> web.StreamResponse:
        """Send a file or ranges of it; a whole file, or the client's word that it goes, ends the mover."""
        mover = self._mover(exchange, is_upload=False)
        size = mover.entry.size or 0
        ranges = parse_ranges(exchange.headers.get("Range"), size)
        if ranges == []:
            raise Refusal(416, "Requested range is not satisfiable")
        if ranges is None or exchange.headers.get("Connection", "").lower() == "close":
            self._release(exchange)
        try:
            descriptor = self._storage.open(mover.entry)
        except NotFoundError as error:
            raise Refusal(404, "File not found") from error
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, descriptor)
            if ranges is None:
                return await self._send(exchange, 200, self._file_headers(exchange, mover), descriptor, (0, size))
            headers = self._headers({"Accept-Ranges": "bytes"}) | self._digest(exchange, mover.entry)
            if len(ranges) == 1:
                start, end = ranges[0]
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
                return await self._send(exchange, 206, headers, descriptor, ranges[0])
            return await self._send_parts(exchange, headers, descriptor, ranges, size)

    async def _send(
        self, exchange: Exchange, status: int, headers: dict[str, str], descriptor: int, span: tuple[int, int]
    ) -> web.StreamResponse:
        """Send one stretch of a file, a small one at once."""
        start, end = span
        if end - start <= _SMALL:
            return web.Response(status=status, headers=headers, body=os.pread(descriptor, end - start, start))
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = end - start
        exchange.log(status)
        await response.prepare(exchange.request)
        await _copy(descriptor, span, response)
        await response.write_eof()
        return response

    async def _send_parts(
        self,
        exchange: Exchange,
        headers: dict[str, str],
        descriptor: int,
        ranges: list[tuple[int, int]],
        size: int,
    ) -> web.StreamResponse:
        """Send several stretches as multipart/byteranges."""
        marks = [
            f"\r\n--{_BOUNDARY}\r\nContent-Range: bytes {start}-{end - 1}/{size}\r\n\r\n".encode()
            for start, end in ranges
        ]
        last = f"\r\n--{_BOUNDARY}--\r\n".encode()
        headers["Content-Type"] = f'multipart/byteranges; boundary="{_BOUNDARY}"'
        response = web.StreamResponse(status=206, headers=headers)
        response.content_length = sum(map(len, marks)) + len(last) + sum(end - start for start, end in ranges)
        exchange.log(206)
        await response.prepare(exchange.request)
        for mark, span in zip(marks, ranges, strict=True):
            await response.write(mark)
            await _copy(descriptor, span, response)
        await response.write(last)
        await response.write_eof()
        return response

    async def _put(self, exchange: Exchange) -> web.StreamResponse:
        """Receive a file."""
        for name in exchange.headers:
            if name.lower().startswith("content-") and name.lower() not in ("content-length", "content-md5"):
                raise Refusal(501, f"{name} is not implemented")
        mover = self._mover(exchange, is_upload=True)
        # From here on the mover is taken: it ends with this request, whatever happens.
        self._release(exchange)
        stored = await receive(exchange, self._storage, mover.entry, mover.algorithms, keep_corrupt=True)
        headers = self._headers({"Location": mover.location}) | self._digest(exchange, stored)
        return web.Response(status=201, headers=headers, text=f"{stored.size} bytes uploaded\r\n")

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"Server": "dCache pool (fake)", **more}

    def _file_headers(self, exchange: Exchange, mover: Mover) -> dict[str, str]:
        """Return the headers of a whole file: no ETag and no time, which only the door has."""
        return self._headers(
            {
                "Accept-Ranges": "bytes",
                "Content-Length": str(mover.entry.size),
                "Content-Disposition": content_disposition(mover.entry.name),
                "Content-Location": mover.location,
                **self._digest(exchange, mover.entry),
            }
        )

    def _digest(self, exchange: Exchange, entry: Entry) -> dict[str, str]:
        wanted = exchange.headers.get("Want-Digest")
        return digest_header(wanted, self._storage.checksums(entry)) if wanted else {}


async def receive(
    exchange: Exchange, storage: Storage, entry: Entry, algorithms: frozenset[str], *, keep_corrupt: bool
) -> Entry:
    """Store the body of a PUT under its entry.

    Args:
        exchange: The PUT.
        storage: Where it goes.
        entry: The empty entry made for it.
        algorithms: Checksums to compute besides adler32.
        keep_corrupt: Whether a file without the checksum in Content-MD5 is stored all the same, as it is
            by a PUT that was redirected (dCache issue 7862).

    Raises:
        Refusal: 400 when it does not have the checksum in Content-MD5, 507 when it does not fit, 500 when the
            entry went away.
        ClientGoneError: When the connection ends first; an empty entry stays.
    """
    md5 = exchange.headers.get("Content-MD5")
    with storage.upload(entry, algorithms | ({"md5"} if md5 else frozenset())) as upload:
        try:
            async for chunk in exchange.chunks():
                upload.write(chunk)
            return upload.commit(md5=md5, keep_corrupt=keep_corrupt)
        except IntegrityError as error:
            raise Refusal(400, error.message) from error
        except QuotaError as error:
            raise Refusal(507, "No space left for the upload") from error
        except NotFoundError as error:
            raise Refusal(500, error.message) from error


def parse_ranges(header: str | None, size: int) -> list[tuple[int, int]] | None:
    """Return the stretches (start, end) that a Range header asks for; None for the whole file.

    A header that is not understood counts as none (RFC 9110, 14.2); an empty list cannot be satisfied.

    >>> parse_ranges("bytes=0-0, 5-, -2", 10)
    [(0, 1), (5, 10), (8, 10)]
    >>> parse_ranges("bytes=10-", 10), parse_ranges("lines=1-2", 10)
    ([], None)
    """
    unit, equals, text = (header or "").partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    ranges = []
    for item in text.split(","):
        found = re.fullmatch(r"\s*(\d*)-(\d*)\s*", item, re.ASCII)
        if not found or found.groups() == ("", ""):
            return None
        first, last = found.groups()
        start = int(first) if first else max(size - int(last), 0)
        end = min(int(last) + 1, size) if first and last else size
        if first and last and int(last) < int(first):
            return None
        if start < end:
            ranges.append((start, end))
    return ranges


def content_disposition(name: str) -> str:
    """Return the header that names a file (RFC 2183, RFC 2231), formed as a pool does.

    >>> content_disposition("run 1.fits"), content_disposition("ü")
    ('attachment;filename="run 1.fits"', "attachment;filename*=UTF-8''%C3%BC")
    """
    if _PLAIN.fullmatch(name):
        return f"attachment;filename={name}"
    if name.isascii() and name.isprintable() and len(name) <= 78:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'attachment;filename="{escaped}"'
    return f"attachment;filename*=UTF-8''{quote(name, safe='')}"


async def _copy(descriptor: int, span: tuple[int, int], response: web.StreamResponse) -> None:
    """Write a stretch of a file into a response, never more than a block in memory."""
    start, end = span
    while start < end:
        block = os.pread(descriptor, min(_BLOCK, end - start), start)
        if not block:
            # Cut short from outside: the client sees fewer bytes than were announced.
            raise ConnectionResetError("the file ended early")
        start += len(block)
        await response.write(block)
        await asyncio.sleep(0)

"""A pool of the fake data centre: sends and receives the bytes for which the door opened a mover.

What is said here of dCache was read in its HttpPoolRequestHandler.
"""

import asyncio
import contextlib
import os
import re
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from aiohttp import web

from ctadata_providers.errors import NotFoundError
from ctadata_providers.testing.entries import Entry
from ctadata_providers.testing.exchange import Exchange, Refusal, quote_path
from ctadata_providers.testing.facts import Facts
from ctadata_providers.testing.ranges import parse_ranges, part_marks
from ctadata_providers.testing.server import Server, Site
from ctadata_providers.testing.upload import NO_WISHES, Wishes, receive

UUID_PARAMETER = "dcache-http-uuid"
REFERRER_PARAMETER = "dcache-http-ref"

_BOUNDARY = "__AAAAAAAAAAAAAAAA__"
_BLOCK = 1 << 20
# A header parameter may hold these without quotes: ASCII without RFC 2045's tspecials.
_PLAIN = re.compile(r"[!#-'*+.\-0-9A-Z^-~]{1,78}")
_SMALL = 1 << 18


@dataclass(slots=True)
class Mover:
    """A transfer that the door prepared.

    Attributes:
        entry: The file to send, or the empty entry to fill.
        is_upload: Which of the two.
        location: The file's URL at the door.
        wishes: What the client of an upload wants beside.
        expires: When the pool loses patience.
    """

    entry: Entry
    is_upload: bool
    location: str
    wishes: Wishes
    expires: float


class Pool(Server):
    """One pool. The uuid in a request is the only credential that it looks at.

    Args:
        site: Where it stands.
        version: The major version of dCache.
        patience: Seconds to wait for the client that the door sent (`pool.mover.http.timeout.connect`).
    """

    def __init__(self, site: Site, *, version: int, patience: float) -> None:
        super().__init__("pool", site)
        self._version = version
        self._patience = patience
        self._movers: OrderedDict[str, Mover] = OrderedDict()

    def open(self, entry: Entry, *, is_upload: bool, door_url: str, wishes: Wishes = NO_WISHES) -> str:
        """Prepare a transfer and return the URL to which the door redirects."""
        now = self._clock()
        while self._movers and next(iter(self._movers.values())).expires < now:
            self._movers.popitem(last=False)
        key = str(uuid.uuid4())
        path = quote_path(entry.path)
        self._movers[key] = Mover(entry, is_upload, door_url + path, wishes, now + self._patience)
        return f"{self.url}{path}?{urlencode({UUID_PARAMETER: key, REFERRER_PARAMETER: door_url})}"

    def drop_transfer(self, exchange: Exchange) -> None:
        """Forget the transfer that a request names; of an upload an empty file stays."""
        mover = self._movers.pop(exchange.query.get(UUID_PARAMETER, ""), None)
        if mover and mover.is_upload:
            self._storage.forget(mover.entry)

    def drop_transfers(self) -> None:
        """Forget all transfers."""
        self._movers.clear()

    async def handle(self, exchange: Exchange) -> web.StreamResponse:
        """Answer GET, HEAD and PUT of an open mover."""
        match exchange.method:
            case "GET":
                return await self._get(exchange)
            case "HEAD":
                mover = self._mover(exchange, is_upload=False)
                headers = await self._file_headers(exchange, mover)
                return web.Response(headers=headers | {"Content-Length": str(mover.entry.size)})
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
        with contextlib.ExitStack() as stack:
            try:
                descriptor = self._storage.open(mover.entry)
                stack.callback(os.close, descriptor)
                digest = await self._digest(exchange, mover.entry)
            except NotFoundError as error:
                raise Refusal(404, "File not found") from error
            if ranges is None:
                headers = await self._file_headers(exchange, mover, digest)
                return await self._send(exchange, 200, headers, descriptor, (0, size))
            headers = self._headers({"Accept-Ranges": "bytes", **digest})
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
        return await exchange.send(status, headers, file_blocks(descriptor, span), length=end - start)

    async def _send_parts(
        self,
        exchange: Exchange,
        headers: dict[str, str],
        descriptor: int,
        ranges: Sequence[tuple[int, int]],
        size: int,
    ) -> web.StreamResponse:
        """Send several stretches as multipart/byteranges."""
        *marks, last = part_marks(ranges, size, _BOUNDARY)

        async def body() -> AsyncIterator[bytes]:
            for mark, span in zip(marks, ranges, strict=True):
                yield mark
                async for block in file_blocks(descriptor, span):
                    yield block
            yield last

        headers["Content-Type"] = f'multipart/byteranges; boundary="{_BOUNDARY}"'
        length = sum(map(len, marks)) + len(last) + sum(end - start for start, end in ranges)
        return await exchange.send(206, headers, body(), length=length)

    async def _put(self, exchange: Exchange) -> web.StreamResponse:
        """Receive a file."""
        for name in exchange.headers:
            if name.lower().startswith("content-") and name.lower() not in ("content-length", "content-md5"):
                raise Refusal(501, f"{name} is not implemented")
        mover = self._mover(exchange, is_upload=True)
        # From here on the mover is taken: it ends with this request, whatever happens.
        self._release(exchange)
        stored = await receive(exchange, self._storage, mover.entry, mover.wishes, keep_corrupt=True)
        headers = self._headers({"Location": mover.location, **await self._digest(exchange, stored)})
        return web.Response(status=201, headers=headers, text=f"{stored.size} bytes uploaded\r\n")

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"Server": "dCache pool (fake)", **more}

    async def _file_headers(
        self, exchange: Exchange, mover: Mover, digest: dict[str, str] | None = None
    ) -> dict[str, str]:
        """Return the headers of a whole file: no ETag and no time, which only the door has."""
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Disposition": content_disposition(mover.entry.name),
            "Content-Location": mover.location,
            **(await self._digest(exchange, mover.entry) if digest is None else digest),
        }
        if kind := self._storage.notes(mover.entry).xattrs.get("mime_type"):
            headers["Content-Type"] = kind
        return self._headers(headers)

    async def _digest(self, exchange: Exchange, entry: Entry) -> dict[str, str]:
        """Return the header with a checksum, if one is wanted; a foreign file is read for it beside the event loop."""
        facts = Facts(exchange, self._storage, self._faults, self._version)
        if not facts.wants_digest:
            return {}
        if not self._storage.has_checksums(entry):
            await asyncio.to_thread(self._storage.checksums, entry)
        return facts.digest(entry)


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


async def file_blocks(descriptor: int, span: tuple[int, int]) -> AsyncIterator[bytes]:
    """Yield a stretch of a file, never more than a block in memory."""
    start, end = span
    while start < end:
        block = os.pread(descriptor, min(_BLOCK, end - start), start)
        if not block:
            # Cut short from outside: the client sees fewer bytes than were announced.
            raise ConnectionResetError("the file ended early")
        start += len(block)
        yield block

"""The downloadservice: the storage behind the hub, with all that it makes of it."""

import io
import json
import math
import re
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from xml.etree import ElementTree as ET

from aiohttp import web

from ctadata_providers.testing.exchange import Exchange, Refusal
from ctadata_providers.testing.services.certificates import CertificateError, Certificates, Stored
from ctadata_providers.testing.services.gate import Gate
from ctadata_providers.testing.services.hub import HubUser, page
from ctadata_providers.testing.services.peers import BrokenError, Peer
from ctadata_providers.testing.services.process import Process, Thread
from ctadata_providers.testing.services.uploading import upload
from ctadata_providers.testing.services.upstream import BASE, Asked, Upstream
from ctadata_providers.testing.services.users import certificate_key, decoded
from ctadata_providers.testing.services.webdav import WEBDAV_METHODS, pass_on

PREFIX = "/services/downloadservice"
CHUNK_SIZE = 10 << 20
"""The chunk size when a client asks for none."""

_STATUS_PATIENCE = 10.0
_HEALTH_FOLDER = "cta"
_IN_MEMORY = 16 << 20
_METHODS = {
    "": ("GET",),
    "health": ("GET",),
    "storage-status": ("GET",),
    "list": ("GET", "POST"),
    "fetch": ("GET", "POST"),
    "upload": ("POST",),
    "webdav": WEBDAV_METHODS,
}
_WITH_PATH = ("list", "fetch", "upload", "webdav")
_KEYS = {"{DAV:}href": "href", "{DAV:}getcontentlength": "size", "{DAV:}getlastmodified": "mtime"}

Handler = Callable[[Exchange, str, Thread], Awaitable[web.StreamResponse]]


class DownloadService:
    """The service.

    Args:
        gate: Who may use it.
        certificates: With what it asks the storage.
        certificateservice: Where it gets that.
        upstream: The storage.
        process: Its threads.
        url: The origin of the hub.
    """

    def __init__(
        self,
        gate: Gate,
        certificates: Certificates,
        certificateservice: Peer,
        upstream: Upstream,
        process: Process,
        *,
        url: str,
    ) -> None:
        self._gate = gate
        self._certificates = certificates
        self._certificateservice = certificateservice
        self._upstream = upstream
        self._process = process
        self._url = url
        self._handlers: dict[str, Handler] = {
            "": self._home,
            "health": self._health,
            "storage-status": self._status,
            "list": self._list,
            "fetch": self._fetch,
            "upload": self._upload,
            "webdav": self._webdav,
        }

    async def handle(self, exchange: Exchange, raw: str) -> web.StreamResponse:
        """Answer a request.

        Args:
            exchange: The request.
            raw: What is asked for, below the address of the service, percent-encoded.
        """
        async with self._process.thread() as thread:
            if "//" in (path := decoded(raw)) or not path:
                merged = re.sub("/+", "/", raw) or "/"
                return web.Response(status=308, headers={"Location": f"{PREFIX}{merged}"})
            name, slash, rest = path[1:].partition("/")
            if name not in self._handlers or (slash and (not rest or name not in _WITH_PATH)):
                return page(404, "Not Found", "The requested URL was not found on the server.")
            methods = _METHODS[name]
            if (refused := _refuse_method(exchange.method, methods)) is not None:
                return refused
            try:
                return await self._handlers[name](exchange, rest, thread)
            except CertificateError as error:
                return text_response(400, f"Error while retrieving certificate: {error}")
            except BrokenError as error:
                raise Refusal(500, "Internal Server Error") from error

    async def certificate(self, exchange: Exchange, user: str, path: str) -> Stored:
        """Return the certificate with which the storage is asked for a path.

        Raises:
            CertificateError: When there is none that is good, or it cannot be had.
            BrokenError: When the certificateservice does not answer.
        """
        try:
            await self._certificateservice.meet(
                exchange, "GET", "/services/certificateservice/certificate", "/certificate"
            )
        except Refusal as refusal:
            raise CertificateError(refusal.text) from refusal
        return self._certificates.find(user, certificate_key(path), shared=user in SHARED_USERS)

    async def certified(self, exchange: Exchange, user: str, path: str) -> None:
        """See that the storage can be asked for a path.

        Raises:
            CertificateError: When there is no good certificate.
            BrokenError: When it has no key, or cannot be had.
        """
        if not (await self.certificate(exchange, user, path)).has_key:
            raise BrokenError("the certificate has no key")

    # Without a token

    async def _health(self, exchange: Exchange, path: str, thread: Thread) -> web.StreamResponse:
        return text_response(200, "OK - DownloadService is up and running")

    async def _status(self, exchange: Exchange, path: str, thread: Thread) -> web.StreamResponse:
        """Tell whether the storage can be reached with the shared certificate."""
        await self.certified(exchange, SHARED_USER, "")
        asked = Asked(
            exchange=exchange,
            method="PROPFIND",
            path=_HEALTH_FOLDER,
            headers={"Depth": "1"},
            patience=_STATUS_PATIENCE,
        )
        try:
            reply = await self._upstream.ask(asked)
            if reply.status == 207:
                return text_response(200, "OK - DCache is accessible using configured shared certificate")
        except BrokenError:
            pass
        return text_response(500, "Unhealthy! - DCache is not accessible using configured shared certificate")

    # With one

    async def _admit(self, exchange: Exchange) -> HubUser:
        return await self._gate.admit(exchange, tells=True)

    async def _home(self, exchange: Exchange, path: str, thread: Thread) -> web.StreamResponse:
        user = await self._admit(exchange)
        text = f"<!doctype html>\n<title>Download service</title>\n<h1>{user.name}</h1>\n"
        return web.Response(text=text, content_type="text/html")

    async def _list(self, exchange: Exchange, path: str, thread: Thread) -> web.StreamResponse:
        user = await self._admit(exchange)
        status, answer = await self.list_folder(exchange, user, path)
        if isinstance(answer, str):
            return text_response(status, answer)
        return web.Response(text=json.dumps(answer, sort_keys=True) + "\n", content_type="application/json")

    async def list_folder(
        self, exchange: Exchange, user: HubUser, path: str
    ) -> tuple[int, str | list[Mapping[str, str]]]:
        """Return status and entries of a folder or file, or what went wrong.

        Raises:
            CertificateError: When there is no good certificate.
            BrokenError: When the storage does not answer.
            Refusal: 500 when the service fails.
        """
        await self.certified(exchange, user.name, path)
        asked = Asked(exchange=exchange, method="PROPFIND", path=path.strip("/"), headers={"Depth": "1"})
        reply = await self._upstream.ask(asked)
        body = b"".join([block async for block in reply.blocks()])
        if reply.status != 207:
            return reply.status, f"Error: {reply.status} {body.decode()}"
        # The path is taken for a regular expression.
        if "(" in path or "[" in path:
            raise Refusal(500, "Internal Server Error")
        try:
            tree = ET.fromstring(body)  # noqa: S314 - what our own storage wrote
        except ET.ParseError as error:
            raise Refusal(500, "Internal Server Error") from error
        address = f"{self._url}{PREFIX}/list"
        return 200, [_listed(response, address) for response in tree.iter("{DAV:}response")]

    async def _fetch(self, exchange: Exchange, path: str, thread: Thread) -> web.StreamResponse:
        """Send a file, or whatever the storage says instead, always as 200."""
        user = await self._admit(exchange)
        if ".." in path:
            return text_response(400, "Error: path cannot contain '..'")
        has_key = (await self.certificate(exchange, user.name, path)).has_key
        if not path.isascii():
            raise Refusal(500, "Internal Server Error")
        headers = {
            "Content-Disposition": f"attachment; filename={path.rpartition('/')[2]}",
            "Content-Type": "application/octet-stream",
        }
        if exchange.method == "HEAD":
            return web.Response(headers=headers)
        if (size := chunk_size(exchange)) <= 0:
            # The thread spins: it sends nothing, and never ends.
            thread.lose()
            await exchange.pause(math.inf)
        async with aclosing(self._chunks(exchange, path, size, thread, has_key=has_key)) as chunks:
            # Nothing is sent before the first chunk, not even the status.
            first = await anext(chunks, b"")
            return await exchange.send(200, headers, _joined(first, chunks), length=None)

    async def _chunks(
        self, exchange: Exchange, path: str, size: int, thread: Thread, *, has_key: bool
    ) -> AsyncGenerator[bytes, None]:
        """Yield a file in the steps in which it is sent; after a break nothing more comes, not even the end."""
        try:
            if not has_key:
                raise BrokenError("the certificate has no key")
            asked = Asked(exchange=exchange, method="GET", path=path.strip("/"), headers={}, follows=True)
            reply = await self._upstream.ask(asked)
            try:
                async with aclosing(_in_chunks(reply.blocks(), size)) as blocks:
                    async for block in blocks:
                        yield block
                        if thread.is_dead:
                            raise BrokenError("the service has died")
            finally:
                reply.close()
        except BrokenError:
            # The thread is free again; it is the hub's proxy that leaves the client hanging.
            thread.release()
            await exchange.pause(math.inf)

    async def _upload(self, exchange: Exchange, path: str, thread: Thread) -> web.StreamResponse:
        exchange.is_upload = True
        user = await self._admit(exchange)
        return await upload(self, self._upstream, exchange, user, path)

    async def _webdav(self, exchange: Exchange, path: str, thread: Thread) -> web.StreamResponse:
        user = await self._admit(exchange)
        return await pass_on(self, self._upstream, exchange, user, path)


# Who has no certificate of their own and may use the shared one.
SHARED_USER = "shared::certificate"
SHARED_USERS = (SHARED_USER, "admin")


def chunk_size(exchange: Exchange) -> int:
    """Return the chunk size that a client asks for; what is no number counts for nothing."""
    try:
        return int(exchange.query.get("chunk_size", CHUNK_SIZE))
    except ValueError:
        return CHUNK_SIZE


def text_response(status: int, text: str, *, reason: str | None = None) -> web.Response:
    """Return one line of text, which is declared to be a page."""
    return web.Response(status=status, reason=reason, text=text, content_type="text/html")


def _refuse_method(method: str, methods: tuple[str, ...]) -> web.Response | None:
    """Return the answer to a method that is not for what is asked, or that needs no other."""
    allowed = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    if method in methods or (method == "HEAD" and "GET" in methods):
        return None
    headers = {"Allow": ", ".join(sorted(allowed))}
    if method == "OPTIONS":
        return web.Response(headers=headers)
    response = page(405, "Method Not Allowed", "The method is not allowed for the requested URL.")
    response.headers.update(headers)
    return response


def _listed(response: ET.Element, address: str) -> Mapping[str, str]:
    """Return an entry as /list tells it."""
    entry = {_KEYS[item.tag]: item.text or "" for item in response.iter() if item.tag in _KEYS}
    href = entry["href"] = entry["href"].removeprefix(BASE)
    entry["url"] = f"{address}/{href}"
    entry["type"] = "directory" if href.endswith("/") else "file"
    return entry


async def _in_chunks(blocks: AsyncIterator[bytes], size: int) -> AsyncGenerator[bytes, None]:
    """Yield a body in chunks: nothing of one before all of it is there."""
    # A file would be left open where a client goes away: nobody closes this generator then.
    with io.BytesIO() if size <= _IN_MEMORY else tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as held:
        count = 0
        async for block in blocks:
            rest = memoryview(block)
            while rest:
                taken = rest[: size - count]
                held.write(taken)
                count += len(taken)
                rest = rest[len(taken) :]
                if count == size:
                    for piece in _drained(held):
                        yield piece
                    count = 0
        for piece in _drained(held):
            yield piece


def _drained(held: "io.BytesIO | tempfile.SpooledTemporaryFile[bytes]") -> list[bytes]:
    held.seek(0)
    pieces = list(iter(lambda: held.read(1 << 20), b""))
    held.seek(0)
    held.truncate()
    return pieces


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for block in rest:
        yield block

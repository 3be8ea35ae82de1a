"""One request at a fake server: what it asks, its body, its answer, its place in the log."""

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import parse_qs, quote, unquote, urlsplit

from aiohttp import web

from ctadata_providers import uri
from ctadata_providers.testing.fault_bends import bend, hides_length, struck
from ctadata_providers.testing.fault_kinds import FaultName
from ctadata_providers.testing.faults import Fault
from ctadata_providers.testing.requestlog import (
    LoggedRequest,
    Record,
    RequestLog,
    ServerName,
    safe_form,
    safe_headers,
    safe_query,
    safe_text,
)

# How long a body that nobody wants is read, so that its sender can see the answer before the connection ends.
_DRAIN_SECONDS = 0.5
# How often a waiting server looks whether its client is still there.
_GLANCE = 0.02
_FLUSH_SECONDS = 1.0

Headers = Mapping[str, str]


class Refusal(Exception):
    """A request is answered with an error.

    Args:
        status: The HTTP status.
        text: One line about the reason.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, text: str, headers: Headers | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = dict(headers or {})


class ClientGoneError(Exception):
    """The client left before its body was complete, or before its answer."""


class Exchange:
    """One request: what it asks, its body, its answer, and its place in the log.

    Attributes:
        method: The HTTP method.
        path: The decoded path, normalised: no double slashes, none at the end.
        path_fault: Why the path cannot be used, if so.
        raw_path: The path as it was sent, percent-encoded.
        fault_paths: By which paths faults find this request.
        is_upload: Whether its body, not its answer, is what faults bend.
        query: The last value of each query parameter.
        headers: The request's headers, by any case.
        server: Which kind of server was asked.
        faults: What is switched on for this request.
        expected_md5: The checksum that the body must have, as in Content-MD5.
        ends_connection: Whether the connection is closed after the answer.
        always_sent: Headers of each answer.
        form: The fields of a form that was sent to the issuer.
        error: The error code that the issuer answers, if any.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        server: ServerName,
        log: RequestLog,
        clock: Callable[[], float],
        always_sent: Headers,
    ) -> None:
        self.request = request
        self.method = request.method
        self.is_upload = request.method == "PUT"
        self.headers = request.headers
        self.server: ServerName = server
        self.faults: list[Fault] = []
        self.expected_md5 = request.headers.get("Content-MD5")
        self.ends_connection = False
        self.always_sent = always_sent
        self.form: Mapping[str, str] = {}
        self.error = ""
        self._log = log
        self._arrived = log.cleared
        self._clock = clock
        self._record: Record | None = None
        self._may_send = not self.expects_continue
        target = request.raw_path
        # RFC 9112, 3.2.2: a server accepts the absolute form too.
        raw_path, _, self._raw_query = target.partition("?") if target.startswith("/") else _split_url(target)
        self.query = {k: v[-1] for k, v in parse_qs(self._raw_query, keep_blank_values=True).items()}
        self.raw_path = raw_path
        self.ends_in_slash = raw_path.endswith("/")
        self.path, self.path_fault = normalise(raw_path)
        self.fault_paths: tuple[str, ...] = (self.path,)

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body."""
        return self.headers.get("Expect", "").lower() == "100-continue"

    @property
    def by_door(self) -> bool:
        """Whether a door asks, for a copy; a client never says that it is dCache."""
        return self.headers.get("User-Agent", "").startswith("dCache/")

    @property
    def client(self) -> str:
        """The address that asks; a door's would be another than that of the client here."""
        return f"{'door at ' if self.by_door else ''}{self.request.remote or ''}"

    @property
    def received(self) -> int:
        """Bytes of the body that arrived so far."""
        return self.request.content.total_bytes

    @property
    def body_is_complete(self) -> bool:
        """Whether the whole body arrived and was read, or there is none."""
        return self.request.content.at_eof() or not self.request.body_exists

    async def pause(self, seconds: float) -> None:
        """Wait, by the clock of the data centre, and no longer than the client does.

        Raises:
            ClientGoneError: When it leaves.
        """
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            await asyncio.sleep(min(left, _GLANCE))
            transport = self.request.transport
            if transport is None or transport.is_closing():
                raise ClientGoneError

    def struck_by(self, name: FaultName) -> Fault | None:
        """Return the fault of some name that strikes this request now, if one does."""
        return next((fault for fault in self.faults if fault.name == name and fault.strike()), None)

    # The body

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body of an upload as it arrives, or as faults bend it, inviting it first if the client waits.

        Raises:
            ClientGoneError: When the connection ends first.
        """
        return bend(self._chunks(), struck(self.faults, self.request.content_length), self.pause)

    async def body(self, limit: int = 1 << 20) -> bytes:
        """Return a small body whole.

        Raises:
            Refusal: 413 when it is longer than the limit.
            ClientGoneError: When the connection ends first.
        """
        parts = []
        size = 0
        async for chunk in self._chunks():
            size += len(chunk)
            if size > limit:
                raise Refusal(413, "Request body is too long")
            parts.append(chunk)
        return b"".join(parts)

    async def _chunks(self) -> AsyncIterator[bytes]:
        self._invite_body()
        content = self.request.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (ConnectionError, web.RequestPayloadError) as error:
            raise ClientGoneError from error

    def leftover(self) -> bytes:
        """Return what had arrived of a body before its client was lost, and was not read yet."""
        # aiohttp keeps it, but does not give it any more.
        return b"".join(getattr(self.request.content, "_buffer", ()))

    def _invite_body(self) -> None:
        """Send `100 Continue`, once, if the client waits for it and has not lost patience."""
        if not self._may_send:
            self._may_send = True
            transport = self.request.transport
            if transport is not None and not self.received:
                transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # The answer

    async def send(
        self,
        status: int,
        headers: Headers,
        blocks: AsyncIterator[bytes],
        *,
        length: int | None,
        reason: str | None = None,
    ) -> web.StreamResponse:
        """Answer with a body that is made as it goes, or as faults bend it.

        Args:
            status: The HTTP status.
            headers: The headers without Content-Length.
            blocks: The body.
            length: Its size, None if that is not known before.
            reason: The text in the status line, None for the usual one.
        """
        faults = [] if self.is_upload else struck(self.faults, length)
        response = web.StreamResponse(status=status, headers={**headers, **self.always_sent}, reason=reason)
        response.content_length = None if hides_length(faults) else length
        if faults or self.ends_connection:
            response.force_close()
        self.log(status)
        await response.prepare(self.request)
        left = response.content_length
        async for block in bend(blocks, faults, self.pause):
            await response.write(block if left is None else block[:left])
            if left is not None and len(block) > left and self.request.transport is not None:
                # More than was announced; aiohttp would not send that.
                self.request.transport.write(block[left:])
            left = left and max(0, left - len(block))
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    async def bend_small(self, response: web.Response) -> web.StreamResponse:
        """Send an answer that is ready, as faults bend it; an error is sent as it is."""
        body = response.body
        if not isinstance(body, bytes) or self.method == "HEAD" or self.is_upload or response.status >= 300:
            return response

        async def block(whole: bytes = body) -> AsyncIterator[bytes]:
            yield whole

        headers = {name: value for name, value in response.headers.items() if name != "Content-Length"}
        return await self.send(response.status, headers, block(), length=len(body), reason=response.reason)

    async def finish(self, response: web.StreamResponse) -> None:
        """Send an answer although the body was not read, then see what of it still comes."""
        if not self._may_send:
            # The client may or may not send the body now: only a new connection is sure to be in step.
            response.force_close()
        with contextlib.suppress(ConnectionError, web.RequestPayloadError, TimeoutError):
            await response.prepare(self.request)
            await response.write_eof()
            async with asyncio.timeout(_DRAIN_SECONDS):
                while await self.request.content.readany():
                    pass
        if self._record:
            self._record.set_sent(self.received)

    async def reset(self) -> None:
        """End the connection as a crash does (TCP RST), after what was sent before has arrived."""
        transport = self.request.transport
        if transport is None:
            return
        connection: socket.socket | None = transport.get_extra_info("socket")
        end = asyncio.get_running_loop().time() + _FLUSH_SECONDS
        quiet = 0
        while connection and quiet < 2 and not transport.is_closing() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.001)
            quiet = 0 if transport.get_write_buffer_size() or _unsent(connection) else quiet + 1
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def log(self, status: int) -> None:
        """Enter the request into the log: before its answer leaves, so that a client finds it there."""
        if self._record is None:
            self._record = self._log.add(
                LoggedRequest(
                    server=self.server,
                    method=self.method,
                    path=safe_text(self.path),
                    query=safe_query(self._raw_query),
                    status=status,
                    headers=safe_headers(self.headers.items()),
                    sent=self.received,
                    form=safe_form(self.form),
                    error=self.error,
                    by_door=self.by_door,
                ),
                self._arrived,
            )


def quote_path(path: str) -> str:
    """Percent-encode a path; more than needed, as Milton does."""
    return quote(path, safe="/", errors="surrogateescape")


def path_of_url(url: str) -> str:
    """Return the decoded path of a URL or absolute path, normalised.

    Raises:
        ValueError: When there is none that can be used.
    """
    path, fault = normalise(urlsplit(url).path)
    if fault or path == "/":
        raise ValueError(fault or "no path")
    return path


def _unsent(connection: socket.socket) -> int:
    """Return the bytes that the other side has not taken yet, 0 where the system does not tell."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0])
    except OSError:
        return 0


def _split_url(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.path or "/", "", parts.query


def normalise(raw_path: str) -> tuple[str, str | None]:
    """Return a decoded path without double or trailing slashes, and why it cannot be used, if so."""
    try:
        path = unquote(raw_path, errors="strict")
    except UnicodeDecodeError:
        return raw_path, "Bad request URI: not UTF-8"
    segments = [segment for segment in path.split("/") if segment]
    fault = next(filter(None, map(uri.segment_fault, segments)), None)
    return "/" + "/".join(segments), fault and f"Bad request URI: {fault}"

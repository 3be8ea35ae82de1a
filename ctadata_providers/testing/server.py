"""What door and pools have in common: listening, requests, bodies, refusals, the log."""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from urllib.parse import parse_qs, quote, unquote, urlsplit

from aiohttp import web

from ctadata_providers import uri
from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.requestlog import LoggedRequest, Record, RequestLog, ServerName, safe_headers, safe_query

# Tokens and percent-encoded paths of non-ASCII names are long.
_MAX_LINE = 1 << 16
_READ_BUFFER = 1 << 18
# How long a body that nobody wants is read, so that its sender can see the answer before the connection ends.
_DRAIN_SECONDS = 0.5
_CLOSE_SECONDS = 0.5
_ACCEPT_PAUSE = 0.05

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
    """The client left before its body was complete."""


class Exchange:
    """One request: what it asks, its body, and its place in the log.

    Attributes:
        method: The HTTP method.
        path: The decoded path, normalised: no double slashes, none at the end.
        query: The last value of each query parameter.
        headers: The request's headers, by any case.
    """

    def __init__(self, request: web.BaseRequest, server: ServerName, log: RequestLog) -> None:
        self.request = request
        self.method = request.method
        self.headers = request.headers
        self._server: ServerName = server
        self._log = log
        self._record: Record | None = None
        self._may_send = not self.expects_continue
        target = request.raw_path
        # RFC 9112, 3.2.2: a server accepts the absolute form too.
        raw_path, _, self._raw_query = target.partition("?") if target.startswith("/") else _split_url(target)
        self.query = {k: v[-1] for k, v in parse_qs(self._raw_query, keep_blank_values=True).items()}
        self.ends_in_slash = raw_path.endswith("/")
        self.path, self.fault = _normalise(raw_path)

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body."""
        return self.headers.get("Expect", "").lower() == "100-continue"

    @property
    def received(self) -> int:
        """Bytes of the body that arrived so far."""
        return self.request.content.total_bytes

    @property
    def body_is_complete(self) -> bool:
        """Whether the whole body arrived and was read, or there is none."""
        return self.request.content.at_eof() or not self.request.body_exists

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, inviting it first if the client waits for that.

        Raises:
            ClientGoneError: When the connection ends first.
        """
        self._invite_body()
        content = self.request.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (ConnectionError, web.RequestPayloadError) as error:
            raise ClientGoneError from error

    async def body(self, limit: int = 1 << 20) -> bytes:
        """Return a small body whole.

        Raises:
            Refusal: 413 when it is longer than the limit.
            ClientGoneError: When the connection ends first.
        """
        parts = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise Refusal(413, "Request body is too long")
            parts.append(chunk)
        return b"".join(parts)

    def log(self, status: int) -> None:
        """Enter the request into the log: before its answer leaves, so that a client finds it there."""
        if self._record is None:
            self._record = self._log.add(
                LoggedRequest(
                    server=self._server,
                    method=self.method,
                    path=self.path,
                    query=safe_query(self._raw_query),
                    status=status,
                    headers=safe_headers(self.headers.items()),
                    sent=self.received,
                )
            )

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

    def _invite_body(self) -> None:
        """Send `100 Continue`, once, if the client waits for it and has not lost patience."""
        if not self._may_send:
            self._may_send = True
            transport = self.request.transport
            if transport is not None and not self.received:
                transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


class Server(ABC):
    """An HTTP(S) server on the loopback interface, one part of the fake data centre.

    Args:
        name: What it is called in the log.
        host: The name in its URL, which is also bound.
        port: The port, 0 for any free one.
        tls: The host certificate's context, None for plain HTTP.
        log: Where requests are entered.
    """

    def __init__(self, name: ServerName, *, host: str, port: int, tls: ssl.SSLContext | None, log: RequestLog) -> None:
        self.name: ServerName = name
        self._tls = tls
        self._log = log
        self._sockets = listen(host, port)
        self.port = self._sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._http: web.Server | None = None
        self._handshakes: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def handle(self, exchange: Exchange) -> web.StreamResponse:
        """Answer one request.

        Raises:
            Refusal: When the answer is an error.
            ClientGoneError: When nobody is left to answer.
        """

    @abstractmethod
    def refuse(self, exchange: Exchange, refusal: Refusal) -> web.Response:
        """Return the answer of a refused request."""

    async def start(self) -> None:
        """Begin to accept connections."""
        self._http = web.Server(
            self._answer,
            access_log=None,
            auto_decompress=False,
            lingering_time=0.0,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
            read_bufsize=_READ_BUFFER,
        )
        for listener in self._sockets:
            self._watch(listener)

    async def stop(self) -> None:
        """End every connection and close the port."""
        for listener in self._sockets:
            asyncio.get_running_loop().remove_reader(listener)
        self.close()
        for task in self._handshakes:
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)
        if self._http:
            for connection in self._http.connections:
                if connection.transport is not None:
                    connection.transport.abort()
            await self._http.shutdown(_CLOSE_SECONDS)

    def close(self) -> None:
        """Close the port, without an event loop."""
        for listener in self._sockets:
            listener.close()

    def _watch(self, listener: socket.socket) -> None:
        """Accept connections by hand: asyncio's server could not close those in the middle of a handshake."""
        if listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            # Too many open files: without a pause this would be tried for ever.
            loop.remove_reader(listener)
            loop.call_later(_ACCEPT_PAUSE, self._watch, listener)
            return
        task = loop.create_task(self._connect(connection))
        self._handshakes.add(task)
        task.add_done_callback(lambda task: self._end_handshake(task, connection))

    async def _connect(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        # A client that distrusts the certificate or goes away is no concern of the server.
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection, ssl=self._tls)

    def _end_handshake(self, task: asyncio.Task[None], connection: socket.socket) -> None:
        self._handshakes.discard(task)
        if task.cancelled():
            connection.close()

    def _protocol(self) -> asyncio.BaseProtocol:
        assert self._http is not None  # noqa: S101 - start() makes it before anything is accepted
        return self._http()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        exchange = Exchange(request, self.name, self._log)
        try:
            response = await self._handle_or_refuse(exchange)
        except (ClientGoneError, ConnectionError):
            exchange.log(0)
            if request.transport is not None:
                request.transport.abort()
            # Nobody reads it: aiohttp wants an answer, and is silent about one that cannot be sent.
            return web.Response(status=400)
        exchange.log(response.status)
        if not exchange.body_is_complete:
            await exchange.finish(response)
        return response

    async def _handle_or_refuse(self, exchange: Exchange) -> web.StreamResponse:
        try:
            if exchange.fault:
                raise Refusal(400, exchange.fault)
            return await self.handle(exchange)
        except Refusal as refusal:
            return self.refuse(exchange, refusal)
        except ConnectionError:
            raise
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            text = error.strerror or str(error) or type(error).__name__
            return self.refuse(exchange, Refusal(507 if full else 500, text))


def listen(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets with one port on every address of a host name, as far as they exist here."""
    addresses = sorted({(info[0], info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    for _ in range(20):
        sockets: list[socket.socket] = []
        for family, address in addresses:
            try:
                bound = sockets[0].getsockname()[1] if sockets else port
                sockets.append(_listening_socket(str(address), bound, family))
            except OSError as error:
                if error.errno == errno.EADDRINUSE and sockets and not port:
                    break  # free on one address, taken on the other: try another port
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    _close_all(sockets)
                    raise ConfigError(
                        f"cannot serve at port {port} of {host}: {os.strerror(error.errno or 0)}",
                        remedy="choose another port, or 0 for any free one",
                    ) from error
        else:
            if sockets:
                return sockets
        _close_all(sockets)
    raise ConfigError(f"no port is free on every address of {host}", remedy="stop some servers")


def quote_path(path: str) -> str:
    """Percent-encode a path; more than needed, as Milton does."""
    return quote(path, safe="/", errors="surrogateescape")


def _listening_socket(address: str, port: int, family: socket.AddressFamily) -> socket.socket:
    listener = socket.create_server((address, port), family=family, backlog=1024)
    listener.setblocking(False)
    return listener


def _close_all(sockets: list[socket.socket]) -> None:
    for opened in sockets:
        opened.close()


def _split_url(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.path or "/", "", parts.query


def _normalise(raw_path: str) -> tuple[str, str | None]:
    """Return a decoded path without double or trailing slashes, and why it cannot be used, if so."""
    try:
        path = unquote(raw_path, errors="strict")
    except UnicodeDecodeError:
        return raw_path, "Bad request URI: not UTF-8"
    segments = [segment for segment in path.split("/") if segment]
    fault = next(filter(None, map(uri.segment_fault, segments)), None)
    return "/" + "/".join(segments), fault and f"Bad request URI: {fault}"

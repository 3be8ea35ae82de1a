"""What door and pools have in common: listening, requests, refusals."""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing import fault_acts
from ctadata_providers.testing.exchange import ClientGoneError, Exchange, Refusal
from ctadata_providers.testing.faults import Faults
from ctadata_providers.testing.requestlog import RequestLog, ServerName
from ctadata_providers.testing.storage import Storage
from ctadata_providers.testing.wallclock import WallClock

# Tokens and percent-encoded paths of non-ASCII names are long.
_MAX_LINE = 1 << 16
_READ_BUFFER = 1 << 18
_CLOSE_SECONDS = 0.5
_ACCEPT_PAUSE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a server stands, and what it shares with the others of its data centre.

    Attributes:
        storage: The namespace and the bytes.
        host: The name in its URL, which is also bound.
        tls: The host certificate's context, None for plain HTTP.
        log: Where requests are entered.
        faults: What is switched on.
        clock: Gives the time in seconds, for what waits.
        wall_clock: Gives the time of day.
    """

    storage: Storage
    host: str
    tls: ssl.SSLContext | None
    log: RequestLog
    faults: Faults
    clock: Callable[[], float]
    wall_clock: WallClock


class Server(ABC):
    """An HTTP(S) server on the loopback interface, one part of the fake data centre.

    Args:
        name: What it is called in the log.
        site: Where it stands.
        port: The port, 0 for any free one.
    """

    def __init__(self, name: ServerName, site: Site, *, port: int = 0) -> None:
        self.name: ServerName = name
        self._storage = site.storage
        self._tls = tls = site.tls
        self._log = site.log
        self._faults = site.faults
        self._clock = site.clock
        self._wall_clock = site.wall_clock
        host = site.host
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

    async def admit(self, exchange: Exchange) -> None:  # noqa: B027 - pools admit everybody
        """Look at a request before anything else does.

        Raises:
            Refusal: When it is not even looked at.
        """

    def drop_transfer(self, exchange: Exchange) -> None:  # noqa: B027 - the door has none
        """Forget the transfer that a request names; only pools have any."""

    def was_uploaded_since(self, path: str, since: float) -> bool:
        """Tell whether an upload to a path has ended since a time on the monotonic clock."""
        entry = self._storage.stat(path)
        return entry is not None and self._storage.notes(entry).uploaded > since

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

    def leave(self) -> None:
        """Give up, in a fork, what belongs to the thread of the servers, which is not there.

        A connection ends for its client when nobody holds it any more: with the fork's copy it would live on.
        """
        self._storage.renew_lock()
        self._log.renew_lock()
        transports = [connection.transport for connection in (self._http.connections if self._http else ())]
        held = [transport.get_extra_info("socket") for transport in transports if transport is not None]
        nothing = os.open(os.devnull, os.O_RDWR)
        for one in filter(None, [*self._sockets, *held]):
            # Not closed: whoever does that later must not close a number that means something else by then.
            with contextlib.suppress(OSError):
                os.dup2(nothing, one.fileno(), inheritable=False)
        os.close(nothing)

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
        exchange = Exchange(request, self.name, self._log, self._clock, self._wall_clock.headers)
        try:
            response = await self._handle_or_refuse(exchange)
            if exchange.faults:
                fault_acts.part(exchange, response, self)
                if isinstance(response, web.Response):
                    response = await exchange.bend_small(response)
        except (ClientGoneError, ConnectionError):
            exchange.log(0)
            await exchange.reset()
            # Nobody reads it: aiohttp wants an answer, and is silent about one that cannot be sent.
            return web.Response(status=400)
        exchange.log(response.status)
        if not response.prepared:
            response.headers.update(exchange.always_sent)
        if exchange.ends_connection and not response.prepared:
            response.force_close()
        if not exchange.body_is_complete:
            await exchange.finish(response)
        return response

    async def _handle_or_refuse(self, exchange: Exchange) -> web.StreamResponse:
        """The one place where faults are looked up, and errors become answers."""
        try:
            await self.admit(exchange)
            if exchange.path_fault:
                raise Refusal(400, exchange.path_fault)
            if self._faults:
                exchange.faults = self._faults.meeting(exchange.server, exchange.method, *exchange.fault_paths)
                await fault_acts.meet(exchange, self)
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
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"cannot serve as {host}: {error}", remedy="use a name of this machine") from error
    addresses = sorted({(info[0], info[4][0]) for info in found})
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


def _listening_socket(address: str, port: int, family: socket.AddressFamily) -> socket.socket:
    listener = socket.create_server((address, port), family=family, backlog=1024)
    listener.setblocking(False)
    return listener


def _close_all(sockets: list[socket.socket]) -> None:
    for opened in sockets:
        opened.close()

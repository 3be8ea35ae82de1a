"""A WebDAV server on loopback that keeps its files in memory, and misbehaves exactly as a test tells it to."""

import socket
import ssl
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import ioctl
from itertools import count
from termios import TIOCOUTQ
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape
from zlib import adler32

from ctadata_providers.checksum import checksum_of
from tests.faults.asked import Asked
from tests.faults.multistatus import listing, response
from tests.faults.pki import make_pki
from tests.faults.ranges import etag, found

READ_BYTES = 1 << 18
LONGEST_STALL = 30.0


class Over(Exception):
    """The connection has ended, one way or another."""


class Exchange:
    """A request and the server's end of its connection."""

    def __init__(self, door: "Door", connection: socket.socket, asked: Asked, rest: bytes, number: int) -> None:
        self.door = door
        self.asked = asked
        self.number = number  # of the request on its connection, from 1
        self._connection = connection
        self.rest = rest  # what came behind the head: the body, and behind that the next request

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def body(self, data: bytes) -> None:
        """Send bytes of a body, which are counted."""
        self.asked.sent += len(data)
        self.send(data)

    def wait_until_taken(self) -> None:
        """Wait until all that was sent has arrived at the other machine, if that is still there."""
        left = array("i", [1])
        while left[0] and not self.door.stopping.wait(0.001):
            if self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise Over
            ioctl(self._connection, TIOCOUTQ, left)

    def head(self, status: int, *headers: str, reason: str = "Reason") -> None:
        lines = [f"HTTP/1.1 {status} {reason}", f"Server: {self.door.server}", *headers, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))

    def answer(self, status: int, *headers: str, body: bytes = b"", reason: str = "Reason") -> None:
        self.head(status, f"Content-Length: {len(body)}", *headers, reason=reason)
        if self.asked.method != "HEAD":
            self.body(body)

    def receive(self) -> bytes:
        """Return the next bytes of whatever kind."""
        data = self._connection.recv(READ_BYTES)
        if not data:
            raise Over
        return data

    def invite(self) -> None:
        """Let the body come, if the client waits for that."""
        if "100-continue" in self.asked.headers.get("expect", ""):
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def chunks(self) -> Iterator[bytes]:
        """Give the body as it arrives."""
        while self.asked.received < self.asked.size:
            data = self.rest or self.receive()
            missing = self.asked.size - self.asked.received
            data, self.rest = data[:missing], data[missing:]
            self.asked.received += len(data)
            yield data

    def end(self) -> NoReturn:
        """Close the connection in good order."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
        raise Over

    def reset(self) -> NoReturn:
        """End the connection as a dying machine does: RST."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        raise Over

    def stall(self) -> NoReturn:
        """Stay silent until the test ends."""
        self.door.stopping.wait(LONGEST_STALL)
        raise Over


Act = Callable[[Exchange], None]


@dataclass
class Fault:
    """What happens instead of the right answer, to how many requests."""

    method: str
    path: str | None
    act: Act
    times: int


@dataclass
class Door:
    """The server; a context manager.

    Attributes:
        tls: Whether it speaks HTTPS.
        server: What it says that it is.
        files: Contents by path.
        folders: Paths that are folders beside those that hold files.
        sizes: Sizes told instead of the true ones.
        checksums: Whether PROPFIND tells adler32, as dCache does, when asked by name.
        digests: The algorithm of which HEAD answers Want-Digest, whichever is wanted; empty for none.
        ranges: Whether GET answers Range, and GET and PROPFIND tell an ETag.
        fixed_port: The port to take, 0 for any free one.
    """

    tls: bool = True
    server: str = "scripted"
    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    checksums: bool = False
    digests: str = ""
    ranges: bool = False
    fixed_port: int = 0
    asked: list[Asked] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    _faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _connections: set[socket.socket] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.fixed_port), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop to answer, as a server does that ends; a second call does nothing."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._thread.join(5)
            for connection in list(self._connections):
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of TLS: no goodbye

    @property
    def url(self) -> str:
        return self.at("localhost")

    def at(self, host: str) -> str:
        """Return the URL of this server under another of its names."""
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def fault(self, method: str, act: Act, *, path: str | None = None, times: int = 1_000_000) -> None:
        """Answer the next requests of a method so; faults of one method are used up in their order."""
        self._faults.append(Fault(method, path, act, times))

    @property
    def is_open(self) -> bool:
        """Whether anybody is connected."""
        return bool(self._connections)

    def mend(self) -> None:
        """Answer rightly from now on."""
        self._faults.clear()

    def requests(self, method: str) -> list[Asked]:
        """Return what was asked by a method."""
        return [asked for asked in self.asked if asked.method == method]

    def is_dir(self, path: str) -> bool:
        below = path.rstrip("/") + "/"
        known = {*self.files, *self.folders}
        return path == "/" or path in self.folders or any(name.startswith(below) for name in known)

    def size(self, path: str) -> int:
        return self.sizes.get(path, len(self.files[path]))

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        # A client that goes away, and a fault that ends the connection, are what is tested here.
        with suppress(OSError, Over), closing(plain):
            plain.settimeout(LONGEST_STALL)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else head and body wait 40 ms for each other
            connection = make_pki().server_context.wrap_socket(plain, server_side=True) if self.tls else plain
            with closing(connection), self._known(connection):
                rest = b""
                for number in count(1):
                    if self.stopping.is_set():
                        return
                    rest = self._exchange(connection, rest, number)

    @contextmanager
    def _known(self, connection: socket.socket) -> Iterator[None]:
        self._connections.add(connection)
        try:
            yield
        finally:
            self._connections.discard(connection)

    def _exchange(self, connection: socket.socket, rest: bytes, number: int) -> bytes:
        while b"\r\n\r\n" not in rest:
            data = connection.recv(READ_BYTES)
            if not data:
                raise Over
            rest += data
        head, _, rest = rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        parts = urlsplit(target)
        presented = isinstance(connection, ssl.SSLSocket) and bool(connection.getpeercert())
        asked = Asked(method, unquote(parts.path), parts.query, headers, head.decode("latin-1"), presented)
        exchange = Exchange(self, connection, asked, rest, number)
        with self._lock:
            self.asked.append(asked)
            act = self._next_act(asked)
        act(exchange)
        for _ in exchange.chunks():  # what of the body nobody wanted
            pass
        return exchange.rest

    def _next_act(self, asked: Asked) -> Act:
        for fault in self._faults:
            if fault.times and fault.method == asked.method and fault.path in (None, asked.path):
                fault.times -= 1
                return fault.act
        return RIGHT.get(asked.method, nothing)


def nothing(exchange: Exchange) -> None:
    """Answer to a method that there is not."""
    exchange.answer(405)


def find(exchange: Exchange) -> str | None:
    """Return the path of the file that is asked for, having answered when there is none."""
    path = exchange.asked.path
    if path in exchange.door.files:
        return path
    exchange.answer(404)
    return None


def get(exchange: Exchange) -> None:
    path = find(exchange)
    if path is not None:
        status, headers, body = found(exchange)
        exchange.answer(status, *headers, body=body)


def head(exchange: Exchange) -> None:
    door, path = exchange.door, find(exchange)
    if path is not None:
        wanted = door.digests if "want-digest" in exchange.asked.headers else ""
        digest = [f"Digest: {wanted}={checksum_of(door.files[path], wanted)}"] if wanted else []
        exchange.head(200, f"Content-Length: {door.size(path)}", *digest)


def put(exchange: Exchange) -> None:
    exchange.invite()
    body = b"".join(exchange.chunks())
    exchange.door.files[exchange.asked.path] = body
    exchange.answer(201)


def swallow(exchange: Exchange) -> None:
    """Take a body of any size and keep only its length."""
    exchange.invite()
    for _ in exchange.chunks():
        pass
    exchange.door.files[exchange.asked.path] = b""
    exchange.door.sizes[exchange.asked.path] = exchange.asked.received
    exchange.answer(201)


def make_folder(exchange: Exchange) -> None:
    path = exchange.asked.path.rstrip("/")
    exists = exchange.door.is_dir(path) or path in exchange.door.files
    exchange.door.folders.add(path)
    exchange.answer(405 if exists else 201)


def move(exchange: Exchange) -> None:
    """Rename as dCache does: `Overwrite: T` removes whatever stands there, folders too."""
    door, source = exchange.door, find(exchange)
    if source is None:
        return
    target = unquote(urlsplit(exchange.asked.headers["destination"]).path)
    if "xrootd" in exchange.door.server.lower():  # which does not decode it
        literal = exchange.asked.headers["destination"].encode("latin-1").decode()
        target = "/" + literal.partition("://")[2].partition("/")[2]
    exists = target in door.files or door.is_dir(target)
    if exists and exchange.asked.headers.get("overwrite") != "T":
        exchange.answer(412)
        return
    _delete(door, target)
    door.files[target] = door.files.pop(source)
    if source in door.sizes:
        door.sizes[target] = door.sizes.pop(source)
    exchange.answer(204 if exists else 201)


def delete(exchange: Exchange) -> None:
    """Remove as dCache does: recursively."""
    path = exchange.asked.path.rstrip("/")
    exists = path in exchange.door.files or exchange.door.is_dir(path)
    _delete(exchange.door, path)
    exchange.answer(204 if exists else 404)


def _delete(door: Door, path: str) -> None:
    gone = [name for name in (*door.files, *door.folders) if name == path or name.startswith(path + "/")]
    for name in gone:
        door.files.pop(name, None)
        door.sizes.pop(name, None)
        door.folders.discard(name)


def propfind(exchange: Exchange) -> None:
    door, path = exchange.door, exchange.asked.path.rstrip("/") or "/"
    if path in door.files:
        exchange.answer(207, body=listing(entry(door, path)))
    elif door.is_dir(path):
        exchange.answer(207, body=listing(*_entries(door, path, exchange.asked.headers.get("depth"))))
    else:
        exchange.answer(404)


def _entries(door: Door, path: str, depth: str | None) -> list[str]:
    below = path.rstrip("/") + "/"
    names = {name[len(below) :].partition("/")[0] for name in (*door.files, *door.folders) if name.startswith(below)}
    inner = [below + name for name in sorted(names)] if depth == "1" else []
    return [entry(door, place) for place in (path, *inner)]


def entry(door: Door, path: str) -> str:
    """Return the `response` element of a file or folder."""
    if path not in door.files:
        return response(quote(path.rstrip("/") + "/"), "<D:resourcetype><D:collection/></D:resourcetype>")
    told = f"<D:resourcetype/><D:getcontentlength>{door.size(path)}</D:getcontentlength>"
    if door.ranges:
        told += f"<D:getetag>{escape(etag(door.files[path]))}</D:getetag>"
    if door.checksums:
        told += f'<c:Checksums xmlns:c="http://www.dcache.org/2013/webdav">adler32={adler32(door.files[path]):08x}'
        told += "</c:Checksums>"
    return response(quote(path), told)


RIGHT: dict[str, Act] = {
    "GET": get,
    "HEAD": head,
    "PUT": put,
    "PROPFIND": propfind,
    "MKCOL": make_folder,
    "MOVE": move,
    "DELETE": delete,
}

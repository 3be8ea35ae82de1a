"""Servers that keep a client waiting, one for each state that a transfer can be cancelled in."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PIECE = 64 * 1024
_PATIENCE = 5.0
_ANSWERS = {b"PROPFIND": b"404 Not Found", b"HEAD": b"404 Not Found", b"MKCOL": b"201 Created", b"DELETE": b"204 Gone"}
SIZE = 2 << 30
"""Of a body that never comes to its end."""


Act = Callable[[socket.socket, bytes], None]


@contextmanager
def black_hole() -> Iterator[int]:
    """Give a port where connecting neither succeeds nor fails: its queue is full and nobody takes from it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(address)
            yield address[1]
        finally:
            for one in waiting:
                one.close()


@contextmanager
def answering(act: Act) -> Iterator[int]:
    """Give a port where `act` gets each connection with whatever comes on it, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        open_ones: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):  # the listener is closed
                while True:
                    connection, _ = listener.accept()
                    open_ones.append(connection)
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        def serve(connection: socket.socket) -> None:
            with suppress(OSError):  # the client is gone: it was cancelled
                while request := connection.recv(PIECE):
                    act(connection, request)

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for connection in open_ones:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()


def say_nothing(connection: socket.socket, request: bytes) -> None:
    """Take the request and never answer."""


def stop_in_the_body(connection: socket.socket, request: bytes) -> None:
    """Begin a body, and stop after its first piece."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + bytes(PIECE))


def flow(connection: socket.socket, request: bytes) -> None:
    """Send a body as fast as it goes."""
    stop_in_the_body(connection, request)
    while True:
        connection.sendall(bytes(PIECE))


def come_back_later(connection: socket.socket, request: bytes) -> None:
    """Answer 503 with a long Retry-After."""
    connection.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n")


def never_store(connection: socket.socket, request: bytes) -> None:
    """Be an empty storage that takes what is uploaded and never says that it has."""
    method = request.partition(b" ")[0]
    if b"100-continue" in request.lower():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if method in _ANSWERS:
        connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % _ANSWERS[method])


def stop_reading(connection: socket.socket, request: bytes) -> None:
    """Be an empty storage that takes the first piece of what is uploaded and no more."""
    never_store(connection, request)
    if request.startswith(b"PUT"):
        threading.Event().wait(_PATIENCE)


class FallSilent:
    """Be an empty storage until something is uploaded; from then on say nothing to anybody."""

    def __init__(self) -> None:
        self._silent = False

    def __call__(self, connection: socket.socket, request: bytes) -> None:
        self._silent = self._silent or request.startswith(b"PUT")
        if not self._silent:
            never_store(connection, request)

"""Servers that keep a client waiting, one for each state that a transfer can be cancelled in."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PIECE = 64 * 1024
SIZE = 2 << 30
"""Of a body that never comes to its end."""


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
def answering(act: Callable[[socket.socket], None]) -> Iterator[int]:
    """Give a port where each connection is handed to `act`, in a thread, once its first request has come."""
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
                while connection.recv(PIECE):
                    act(connection)

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for connection in open_ones:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()


def say_nothing(connection: socket.socket) -> None:
    """Take the request and never answer."""


def stop_in_the_body(connection: socket.socket) -> None:
    """Begin a body, and stop after its first piece."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + bytes(PIECE))


def flow(connection: socket.socket) -> None:
    """Send a body as fast as it goes."""
    stop_in_the_body(connection)
    while True:
        connection.sendall(bytes(PIECE))


def come_back_later(connection: socket.socket) -> None:
    """Answer 503 with a long Retry-After."""
    connection.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n")

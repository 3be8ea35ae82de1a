"""What a round trip on the simulated line really takes, with nothing behind it that could be slow."""

import selectors
import socket
import statistics
import time
from contextlib import ExitStack

from benchmarks.long_line import long_line

_COUNT = 20
_ASKED, _ANSWER = b"?", b"!"


def round_trip(*, delay: float, rate: float, connections: int) -> float:
    """Return the median of the seconds from a byte to its answer, of connections that all ask again and again.

    Asked and answered in one thread, so that nobody waits for another at the interpreter.
    """
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=connections))
        line = stack.enter_context(long_line(server.getsockname()[1], delay=delay, rate=rate))
        selector = stack.enter_context(selectors.DefaultSelector())

        def kept(connection: socket.socket) -> socket.socket:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ)
            return stack.enter_context(connection)

        clients = [kept(socket.create_connection(("127.0.0.1", line.port))) for _ in range(connections)]
        for _ in clients:
            kept(server.accept()[0])
        return statistics.median(_asked(selector, clients))


def _asked(selector: selectors.BaseSelector, clients: list[socket.socket]) -> list[float]:
    asked_at: dict[socket.socket, float] = {}
    taken: list[float] = []

    def ask(client: socket.socket) -> None:
        asked_at[client] = time.perf_counter()
        client.send(_ASKED)

    for client in clients:
        ask(client)
    # The first one of each also waits for the connection.
    while len(taken) < (1 + _COUNT) * len(clients):
        for key, _ in selector.select():
            end = key.fileobj
            assert isinstance(end, socket.socket)
            if end.recv(1) == _ASKED:
                end.send(_ANSWER)
            else:
                taken.append(time.perf_counter() - asked_at[end])
                ask(end)
    return taken[len(clients) :]

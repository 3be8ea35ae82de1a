"""A long line on loopback: a TCP forwarder that delays every byte and caps every connection.

`python forwarder.py PORT DELAY RATE` forwards to 127.0.0.1:PORT, each byte DELAY seconds later, each direction of each
connection with at most RATE bytes a second. It prints its own port; then each line on its standard input is answered
with the number of connections accepted since the last one. It ends with its standard input.

One thread with epoll: it must not become the bottleneck, and with some MB/s a connection it is far from that. It needs
a process of its own, or it would compete with the client for the interpreter.
"""

import heapq
import itertools
import os
import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress

_CHUNK = 64 * 1024
_LATE = 0.0001
"""Seconds that a wait mostly takes too long: ending it so much earlier keeps the delay right on average."""
_UNWATCHED = -2
"""Mask of a socket that epoll does not know any more."""


class Lane:
    """One direction of a connection: when which bytes arrive.

    Args:
        delay: Seconds from one end to the other.
        rate: Bytes a second.
        opened: When the first byte may leave at the earliest.
    """

    def __init__(self, *, delay: float, rate: float, opened: float) -> None:
        self._delay, self._rate = delay, rate
        self._free = opened + delay
        self._most = int(2 * delay * rate) + 4 * _CHUNK
        self._queue: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self.ended = False
        """Whether the end of the stream has been put in."""

    def put(self, now: float, data: bytes) -> float:
        """Put bytes in, none at the end of the stream; return when they arrive."""
        due = max(now + self._delay, self._free)
        self._free = due + len(data) / self._rate
        self._queue.append((due, data))
        self._held += len(data)
        self.ended = self.ended or not data
        return due

    def due(self, now: float) -> bytes | None:
        """Return the first bytes if they have arrived; empty ones are the end of the stream."""
        return self._queue[0][1] if self._queue and self._queue[0][0] <= now + _LATE else None

    def taken(self, count: int) -> None:
        """Take note that so many of the first bytes are gone."""
        due, data = self._queue.popleft()
        self._held -= count
        if count < len(data):
            self._queue.appendleft((due, data[count:]))

    @property
    def has_room(self) -> bool:
        """Whether more may be put in: what is on the way is bounded, as on a real line."""
        return not self.ended and self._held < self._most


class _End:
    """One socket of a pair: bytes read from it go into `away`, those of the other's come out of it."""

    def __init__(self, connection: socket.socket, away: Lane) -> None:
        self.socket, self.away = connection, away
        self.other: _End
        self.blocked = False
        self.finished = False
        self.mask = -1


class Forwarder:
    """Forwards connections to a port of this machine."""

    def __init__(self, port: int, *, delay: float, rate: float) -> None:
        self._target, self._delay, self._rate = port, delay, rate
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._epoll.register(sys.stdin, select.EPOLLIN)
        self._ends: dict[int, _End] = {}
        self._due: list[tuple[float, int, _End]] = []
        self._order = itertools.count()
        self._accepted = 0

    def run(self) -> None:
        """Forward until the standard input ends."""
        while True:
            for fd, events in self._events():
                if fd == self._listener.fileno():
                    self._accept()
                elif fd == sys.stdin.fileno():
                    if not os.read(fd, 4096):
                        return
                    print(self._accepted, flush=True)
                    self._accepted = 0
                elif fd in self._ends:
                    self._serve(self._ends[fd], events)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now + _LATE:
                self._deliver(heapq.heappop(self._due)[2], now)

    def _events(self) -> list[tuple[int, int]]:
        """Wait for what comes first: an event, or the time at which bytes arrive.

        In select, for epoll waits whole milliseconds, rounded up: with 32 connections a round trip was 1 ms too long.
        """
        patience = max(0.0, self._due[0][0] - _LATE - time.monotonic()) if self._due else None
        select.select([self._epoll], [], [], patience)
        return self._epoll.poll(0)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        self._accepted += 1
        far = socket.create_connection(("127.0.0.1", self._target))
        now = time.monotonic()
        # On a real line the client knows only after a round trip that it is connected.
        opened = {near: now + 2 * self._delay, far: now}
        ends = [_End(s, Lane(delay=self._delay, rate=self._rate, opened=opened[s])) for s in (near, far)]
        for end, other in (ends, reversed(ends)):
            end.other = other
        for end in ends:
            end.socket.setblocking(False)
            end.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends[end.socket.fileno()] = end
            self._epoll.register(end.socket, 0)
            self._watch(end)

    def _serve(self, end: _End, events: int) -> None:
        if events & select.EPOLLOUT:
            end.blocked = False
            self._deliver(end.other, time.monotonic())
        if events & select.EPOLLERR:
            self._close(end)
        elif events & (select.EPOLLIN | select.EPOLLHUP) and not end.away.ended:
            self._read(end)
        elif events & select.EPOLLHUP and end.mask != _UNWATCHED:
            # Both ways have ended; what is still on its way to the other must arrive, and epoll would not be silent.
            end.mask = _UNWATCHED
            self._epoll.unregister(end.socket)

    def _read(self, end: _End) -> None:
        try:
            data = end.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._close(end)
            return
        due = end.away.put(time.monotonic(), data)
        heapq.heappush(self._due, (due, next(self._order), end))
        self._watch(end)

    def _deliver(self, end: _End, now: float) -> None:
        """Write what was read from `end` and has arrived at the other."""
        other = end.other
        if end.socket.fileno() < 0 or other.blocked:
            return
        try:
            while not other.blocked and (data := end.away.due(now)) is not None:
                if not data:
                    end.finished = True
                    end.away.taken(0)
                    other.socket.shutdown(socket.SHUT_WR)
                    continue
                sent = other.socket.send(data)
                end.away.taken(sent)
                other.blocked = sent < len(data)
        except BlockingIOError:
            other.blocked = True
        except OSError:
            self._close(end)
            return
        if end.finished and other.finished:
            self._close(end)
            return
        self._watch(end)
        self._watch(other)

    def _watch(self, end: _End) -> None:
        if end.mask == _UNWATCHED:
            return
        mask = (select.EPOLLIN if end.away.has_room else 0) | (select.EPOLLOUT if end.blocked else 0)
        if mask != end.mask:
            end.mask = mask
            self._epoll.modify(end.socket, mask)

    def _close(self, end: _End) -> None:
        for one in (end, end.other):
            fd = one.socket.fileno()
            if fd >= 0:
                self._ends.pop(fd, None)
                with suppress(OSError):
                    self._epoll.unregister(fd)
                one.socket.close()


def main() -> None:
    """Forward as the arguments say."""
    port, delay, rate = sys.argv[1:]
    forwarder = Forwarder(int(port), delay=float(delay), rate=float(rate))
    print(forwarder.port, flush=True)
    with suppress(KeyboardInterrupt):
        forwarder.run()


if __name__ == "__main__":
    main()

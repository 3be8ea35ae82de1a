"""Answers that come to an end.

http.client waits for each byte anew, and takes any number of interim answers, chunk extensions and trailers.
"""

import http.client
import io
import socket
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ctadata_providers.transport import MAX_HEADER_BYTES

PATIENCE_FACTOR = 10
"""A whole header, or the next bytes of a body, may take this many times the time-out."""


class HeaderTooLong(http.client.HTTPException):
    """An answer has a header, interim answers, chunk extensions or trailers without end."""


class _Wire(io.RawIOBase):
    """The bytes of a connection, as many and for as long as one step of an answer may take."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket) -> None:
        self._raw = raw
        self._connection = connection
        self._timeout = connection.gettimeout()
        self.next_step(0)

    def next_step(self, size: int) -> None:
        """Begin to read a header, or some bytes of a body."""
        self._left = MAX_HEADER_BYTES + size
        self._deadline = None if self._timeout is None else time.monotonic() + PATIENCE_FACTOR * self._timeout

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: Any, /) -> int | None:
        if self._left <= 0:
            raise HeaderTooLong
        if self._timeout is not None and self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer has no end in time")
            self._connection.settimeout(min(self._timeout, left))
        count: int | None = self._raw.readinto(buffer)
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer whose every step ends."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self._wire = _Wire(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._wire)

    def begin(self) -> None:
        """Read the header, and interim answers before it."""
        self._wire.next_step(0)
        super().begin()

    def read1(self, n: int = -1) -> bytes:
        """Read what there is of the body."""
        self._wire.next_step(max(n, 0))
        return super().read1(n)


class _Connection(HTTPConnection):
    response_class = _Response


class _TlsConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS = {"http": _Pool, "https": _TlsPool}
"""What a urllib3 pool manager makes connections with, by scheme."""

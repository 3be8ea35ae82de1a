"""Checksums that cost more than the line: computed in a thread that reads back what has been written.

The loop's thread, which moves all bytes, never computes them; hashlib lets other threads run meanwhile.
"""

import errno
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TypeVar

from zlib_ng.zlib_ng import adler32

from ctadata_providers.checksum import Hasher, new_hasher
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import CancellableFuture, fulfil, in_thread, wait
from ctadata_providers.transfer.local import explained

T = TypeVar("T")
BLOCK_BYTES = 1024 * 1024
WORTH_BYTES = 4 * BLOCK_BYTES
"""Bytes that are waited for before a thread is asked."""


class Follower:
    """Hashes a file behind whoever writes it.

    Args:
        fd: The open file; a descriptor of its own is kept.
        algorithm: The checksum.
    """

    def __init__(self, fd: int, algorithm: str) -> None:
        self._fd = os.dup(fd)
        self._hasher: Hasher = new_hasher(algorithm)
        self._lock = threading.Lock()
        self._pos = 0
        self._limit = 0
        self._working = False
        self._stopped = False
        self._size: int | None = None
        self._end: CancellableFuture[str] = CancellableFuture(self.stop)

    def advance(self, limit: int) -> None:
        """Say how many bytes are there; never waits."""
        with self._lock:
            self._limit = limit
            begins = not self._working and not self._stopped and limit - self._pos >= WORTH_BYTES
            self._working = self._working or begins
        if begins:
            in_thread(self._work)

    def digest(self, size: int) -> Future[str]:
        """Return the checksum of so many bytes, which are all there."""
        with self._lock:
            self._limit = self._size = size
            begins = not self._working
            self._working = True
        if begins:
            in_thread(self._work)
        return self._end

    def stop(self) -> None:
        """Give up."""
        with self._lock:
            self._stopped = True
            idle = not self._working
        if idle:
            self._close(CancelledError())

    def _work(self) -> None:
        buffer = memoryview(bytearray(BLOCK_BYTES))
        try:
            while True:
                with self._lock:
                    todo = min(BLOCK_BYTES, self._limit - self._pos)
                    at_end = self._stopped or self._pos == self._size
                    if at_end or todo <= 0:
                        self._working = at_end
                        break
                data = _block(self._fd, self._pos, todo, buffer)
                self._hasher.update(data)
                self._pos += len(data)
        except OSError as error:
            self._close(error)
            return
        if at_end:
            self._close(CancelledError() if self._stopped else None)

    def _close(self, error: BaseException | None) -> None:
        """End, once: a descriptor that is closed twice may be another file's by then."""
        with self._lock:
            descriptor, self._fd = self._fd, -1
        if descriptor < 0:
            return
        os.close(descriptor)
        if error is None:
            self._end.set_result(self._hasher.hexdigest())
        else:
            self._end.set_exception(error)


async def digest_of(fd: int, size: int, algorithm: str, place: Path) -> str:
    """Return the checksum of the first bytes of an open file, read in a thread.

    Raises:
        StorageError: When they cannot be read.
    """
    try:
        return await wait(Follower(fd, algorithm).digest(size))
    except OSError as error:
        raise explained(error, place, "read") from error


def adlers(fd: int, ranges: Sequence[tuple[int, int]]) -> Future[list[tuple[int, int, int]]]:
    """Return the ranges of a file with the adler32 of each, read in a thread; a cancellation waits for one block."""
    return stoppable(lambda stopped: [(start, stop, _adler(fd, start, stop, stopped)) for start, stop in ranges])


def stoppable(read: Callable[[Callable[[], bool]], T]) -> Future[T]:
    """Run what reads a file block by block in a thread.

    Args:
        read: Is given what tells, before each block, whether it shall end with `CancelledError`; a cancellation waits
            for that, so that whoever closes the file then closes it under nobody.
    """
    stopped = threading.Event()
    outcome: CancellableFuture[T] = CancellableFuture(stopped.set)
    in_thread(lambda: fulfil(outcome, lambda: read(stopped.is_set)))
    return outcome


def _adler(fd: int, start: int, stop: int, stopped: Callable[[], bool]) -> int:
    value = 1
    buffer = memoryview(bytearray(BLOCK_BYTES))
    while start < stop:
        if stopped():
            raise CancelledError
        data = _block(fd, start, min(BLOCK_BYTES, stop - start), buffer)
        value = adler32(data, value)
        start += len(data)
    return value


def _block(fd: int, pos: int, size: int, buffer: memoryview) -> memoryview:
    """Return bytes of a file, in a buffer that is used again: a new one each time costs more than adler32 does.

    Raises:
        OSError: When there are none.
    """
    count = os.preadv(fd, [buffer[:size]], pos)
    if not count:
        raise OSError(errno.EIO, f"the part has become shorter than {pos + size} bytes")
    return buffer[:count]

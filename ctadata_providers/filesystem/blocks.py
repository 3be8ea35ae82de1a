"""A block cache that reads ahead where a file is read on and on, and not where it is looked into here and there."""

from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar

from fsspec.caching import BaseCache, register_cache

MAX_AHEAD = 8 * 1024 * 1024
"""Bytes that are read ahead at most."""
KEPT = 32 * 1024 * 1024
"""Bytes that are kept of a file, beside what is asked for."""


class GrowingBlockCache(BaseCache):  # type: ignore[misc]  # fsspec has no types
    """Keeps the blocks that were used last; each fetch that goes on where one has ended reads ahead twice as far.

    HDF5 looks into a file at many places, and comes back to them: keeping blocks saves most requests. A table is read
    from its first byte to its last one: reading ahead saves most round trips.

    Args:
        blocksize: Bytes of a block.
        fetcher: Fetches bytes from the file.
        size: Bytes of the file.
    """

    name: ClassVar[str] = "ctablocks"

    def __init__(self, blocksize: int, fetcher: Callable[[int, int], bytes], size: int) -> None:
        super().__init__(blocksize, fetcher, size)
        self.nblocks = -(-size // blocksize)
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._next = 0
        self._ahead = 0

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        """Return bytes of the file, from what is kept as far as that goes."""
        first, last = start or 0, self.size if stop is None else min(stop, self.size)
        if first >= last:
            return b""
        numbers = range(first // self.blocksize, -(-last // self.blocksize))
        used: dict[int, bytes] = {}
        for number in numbers:
            if number in self._blocks:
                self._blocks.move_to_end(number)
                used[number] = self._blocks[number]
                self.hit_count += 1
        missing = [number for number in numbers if number not in used]
        while missing:
            run = [number for at, number in enumerate(missing) if number == missing[0] + at]
            used.update(self._load(run[0], run[-1] + 1))
            missing = [number for number in missing if number not in used]
        content = b"".join([used[number] for number in numbers])
        begin = first - numbers.start * self.blocksize
        self._trim()
        return content if begin == 0 and len(content) == last - first else content[begin : begin + last - first]

    def _load(self, begin: int, end: int) -> dict[int, bytes]:
        """Fetch some blocks that are missing, and some ahead."""
        goes_on = begin == self._next
        self._ahead = min(max(2 * self._ahead, 1), MAX_AHEAD // self.blocksize) if goes_on and begin else 0
        end = min(end + self._ahead, self.nblocks)
        self._next = end
        at, till = begin * self.blocksize, min(end * self.blocksize, self.size)
        data = self.fetcher(at, till)
        self.miss_count += 1
        self.total_requested_bytes += till - at
        size = self.blocksize
        blocks = {begin + n: data[n * size : (n + 1) * size] for n in range(end - begin)}
        self._blocks.update(blocks)
        return blocks

    def _trim(self) -> None:
        while len(self._blocks) * self.blocksize > KEPT:
            self._blocks.popitem(last=False)

    def close(self) -> None:
        """Let the memory go."""
        self._blocks.clear()


register_cache(GrowingBlockCache, clobber=True)

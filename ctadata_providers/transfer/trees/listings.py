"""Folders listed ahead: several at once, in the order in which they will be wanted, in bounded memory.

The consumer, mostly the main thread, uses only locks and queues written in C: a Ctrl-C between the two halves of a
Python-level lock (`threading.Condition`, `queue.Queue`) can leave it locked for ever.
"""

import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from queue import SimpleQueue

from ctadata_providers.backends import FileInfo
from ctadata_providers.session.tasks import take
from ctadata_providers.transfer.local import explained

LISTINGS_AT_ONCE = 4
LISTINGS_AHEAD = 16
"""Listings that may have begun before the consumer has come to the end of the first of them."""
ENTRIES_IN_MEMORY = 1000
"""Entries of one listing that may wait in memory; those beyond wait on disk, so that the server need not wait."""
BATCH = 250

_FIELDS = tuple(field.name for field in fields(FileInfo))
Ask = Callable[[], Iterable[FileInfo]]


@dataclass(frozen=True, slots=True)
class _OnDisk:
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class Listing:
    """The entries of one folder, on their way from the thread that lists to the one that uses them."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._arrived: SimpleQueue[FileInfo | _OnDisk | _End] = SimpleQueue()
        self._spool: int | None = None
        self._spooled = 0
        self._pid = os.getpid()

    def fill(self, closed: Callable[[], bool]) -> None:
        """List the folder, until nobody wants it any more; any error is one of the listing."""
        error: BaseException | None = None
        batch: list[FileInfo] = []
        try:
            for info in self._ask():
                if closed():
                    return
                if not batch and self._arrived.qsize() < ENTRIES_IN_MEMORY:
                    self._arrived.put(info)
                    continue
                batch.append(info)
                if len(batch) == BATCH:
                    self._write(batch)
                    batch = []
        except BaseException as caught:  # noqa: BLE001 (it belongs to who waits for it)
            error = caught
        for info in batch:
            self._arrived.put(info)
        self._arrived.put(_End(error))

    def entries(self) -> Iterator[FileInfo]:
        """Give the entries as they arrive.

        Raises:
            CtaError: That of the listing, after what came before it.
            RuntimeError: In a process forked from the one that lists.
        """
        while True:
            if os.getpid() != self._pid:
                raise RuntimeError("the threads of a walk do not live on in a forked process: begin another one there")
            item = take(self._arrived)
            if isinstance(item, FileInfo):
                yield item
            elif isinstance(item, _OnDisk):
                yield from self._read(item)
            elif item.error is not None:
                raise item.error
            else:
                return

    def __del__(self) -> None:
        # Neither thread can close it: the other may still write, or read, and meet another file of that number.
        if self._spool is not None:
            os.close(self._spool)

    def _write(self, batch: list[FileInfo]) -> None:
        rows = [[getattr(info, name) for name in _FIELDS] for info in batch]
        data = json.dumps(rows, default=dict).encode()
        try:
            if self._spool is None:
                self._spool, name = tempfile.mkstemp(prefix="ctadata-")
                Path(name).unlink()  # it lives as long as it is open
            written = 0
            while written < len(data):
                written += os.pwrite(self._spool, data[written:], self._spooled + written)
        except OSError as error:
            raise explained(error, Path(tempfile.gettempdir()), "keep a long listing in") from error
        self._arrived.put(_OnDisk(self._spooled, len(data)))
        self._spooled += len(data)

    def _read(self, place: _OnDisk) -> Iterator[FileInfo]:
        assert self._spool is not None  # noqa: S101 (its own marker says so)
        for values in json.loads(os.pread(self._spool, place.size, place.start)):
            yield FileInfo(*values)


class Listings:
    """Lists folders that were announced, in own daemon threads.

    To be used by one thread, and closed by it. What is announced later is wanted sooner: the folders of a tree, depth
    first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unstarted: list[Listing] = []
        self._permits: SimpleQueue[bool] = SimpleQueue()
        self._permitted = 0
        self._announced = 0
        self._threads = 0
        self._closed = False

    def announce(self, asks: Iterable[Ask]) -> list[Listing]:
        """Say that folders will be wanted in this order, before all that was announced earlier."""
        listings = [Listing(ask) for ask in asks]
        with self._lock:
            self._unstarted.extend(reversed(listings))
        self._announced += len(listings)
        self._permit()
        return listings

    def finish(self, listing: Listing) -> None:
        """Say that a listing has been used up; what was found in it has been announced before."""
        self._announced -= 1
        self._permitted -= 1
        self._permit()

    def close(self) -> None:
        """Begin no other listing, and end those that run at their next entry; nothing is waited for."""
        self._closed = True
        for _ in range(self._threads):
            self._permits.put(False)

    def _permit(self) -> None:
        """Let threads begin what is wanted next.

        The listing that is wanted first has begun or has a permit: each permit is spent on what is then wanted first,
        and one comes free only with a listing that was used up.
        """
        while self._permitted < min(self._announced, LISTINGS_AHEAD):
            self._permitted += 1
            self._permits.put(True)
            if self._threads < min(self._permitted, LISTINGS_AT_ONCE):
                self._threads += 1
                threading.Thread(target=self._main, name=f"ctadata-listing-{self._threads}", daemon=True).start()

    def _main(self) -> None:
        while self._permits.get() and not self._closed:
            with self._lock:
                listing = self._unstarted.pop()
            listing.fill(lambda: self._closed)
            del listing  # its consumer may be done with it long before the next

"""Transfers that are begun one by one, by whoever and whenever, and run so many at once."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, TypeVar

from ctadata_providers.forks import NewAfterFork
from ctadata_providers.session.futures import Future
from ctadata_providers.session.loop import curl_loop

T = TypeVar("T")


class Turns(NewAfterFork):
    """Lets a number of transfers run at once; the others wait for their turn, first come first served. Thread-safe."""

    def _begin_anew(self) -> None:
        self._waiting: deque[_Turn[Any]] = deque()
        self._running = 0
        self._lock = threading.Lock()

    def begin(self, start: Callable[[], Future[T]], *, limit: int) -> Future[T]:
        """Have a transfer started in the curl loop's thread when fewer than `limit` run; return its future at once.

        Cancelled, it ends with `CancelledError`: at once while it waits, else when it has cleaned up.
        """
        turn = _Turn(self, start, limit)
        with self._lock:
            self._waiting.append(turn)
            full = self._running >= limit
        if not full:
            curl_loop().call(self._start)
        return turn

    def leave(self, turn: "_Turn[Any]") -> bool:
        """Take out one that still waits; False when it does not."""
        with self._lock, suppress(ValueError):
            self._waiting.remove(turn)
            return True
        return False

    def _start(self) -> None:
        """Start what has its turn: a loop, for those that end at once must not pile up on the stack."""
        while True:
            with self._lock:
                if not self._waiting or self._running >= self._waiting[0].limit:
                    return
                turn = self._waiting.popleft()
                self._running += 1
            future = turn.run()
            if not future.done():
                future.add_done_callback(turn.end_and_go_on)
                continue
            turn.end(future)

    def go_on(self) -> None:
        """Start those whose turn has come."""
        self._start()

    def ended(self) -> None:
        """Take note that one has ended."""
        with self._lock:
            self._running -= 1


class _Turn(Future[T]):
    """One transfer, before its turn and after."""

    __slots__ = ("_future", "_start", "_stopped", "_turns", "limit")

    def __init__(self, turns: Turns, start: Callable[[], Future[T]], limit: int) -> None:
        super().__init__()
        self._turns, self._start, self.limit = turns, start, limit
        self._future: Future[T] | None = None
        self._stopped = False

    def cancel(self) -> bool:
        """Stop it; it then ends with `CancelledError`."""
        if self.done():
            return False
        self._stopped = True  # before the look at what runs, which another thread may just be starting
        if self._turns.leave(self):
            self.set_exception(CancelledError())
        elif self._future is not None:
            self._future.cancel()
        return True

    def run(self) -> Future[T]:
        """Start it; what keeps it from starting is its outcome."""
        try:
            self._future = self._start()
        except BaseException as error:  # noqa: BLE001 (it belongs to who waits for it)
            self._future = Future()
            self._future.set_exception(error)
        if self._stopped:
            self._future.cancel()
        return self._future

    def end(self, future: Future[T]) -> None:
        """Hand on the outcome, with the place free again."""
        self._turns.ended()
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            self.set_result(future.result())
        else:
            self.set_exception(error)

    def end_and_go_on(self, future: Future[T]) -> None:
        """Hand on the outcome and start the next."""
        self.end(future)
        self._turns.go_on()

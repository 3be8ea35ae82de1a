"""Something to wait for in a coroutine: that one of several things happens, or that some time has passed."""

import threading
from concurrent.futures import CancelledError, InvalidStateError
from contextlib import suppress

from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.tasks import CancellableFuture


class Pulse:
    """Wakes one coroutine; any thread may give it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given = False
        self._future: CancellableFuture[None] | None = None

    def give(self) -> None:
        """Wake who waits, or who will."""
        with self._lock:
            future, self._future = self._future, None
            self._given = future is None
        if future is not None:
            _settle(future)

    def within(self, seconds: float) -> CancellableFuture[None]:
        """Return a future that is done at the next pulse, or after some seconds."""
        loop = curl_loop()
        future: CancellableFuture[None] = CancellableFuture(lambda: loop.call(lambda: _cancel(future)))
        with self._lock:
            given, self._given = self._given, False
            self._future = None if given else future
        if given:
            _settle(future)
        else:
            loop.sleep(seconds).add_done_callback(lambda _: self._late(future))
        return future

    def _late(self, future: CancellableFuture[None]) -> None:
        with self._lock:
            if self._future is not future:
                return
            self._future = None
        _settle(future)


def _settle(future: CancellableFuture[None]) -> None:
    with suppress(InvalidStateError):  # cancelled meanwhile
        future.set_result(None)


def _cancel(future: CancellableFuture[None]) -> None:
    with suppress(InvalidStateError):
        future.set_exception(CancelledError())

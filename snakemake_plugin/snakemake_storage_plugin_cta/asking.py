"""Questions that block, each in a thread; a thread does not keep a process alive that was told to stop."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Progress = Callable[[int], object]
PATIENCE = 10.0
"""Seconds without work after which a thread ends."""


class Threads:
    """Runs functions in up to `most` threads, in the order in which they came.

    Those of `concurrent.futures` are waited for at the end of a process: a server that does not answer would keep a
    workflow alive that has been interrupted.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._threads = 0
        self._idle = 0
        self._lock = threading.Lock()

    def run(self, function: Callable[[], T]) -> Future[T]:
        """Have a function called in a thread; return the future of its result."""
        future: Future[T] = Future()
        with self._lock:
            self._work.put((future, function))
            more = self._work.qsize() > self._idle and self._threads < self._most
            self._threads += more
        if more:
            threading.Thread(target=self._serve, name="cta-question", daemon=True).start()
        return future

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                future, function = self._work.get(timeout=PATIENCE)
            except Empty:
                with self._lock:
                    self._idle -= 1
                    if not self._work.empty():
                        continue
                    self._threads -= 1
                    return
            with self._lock:
                self._idle -= 1
            if future.set_running_or_notify_cancel():
                try:
                    result = function()
                except BaseException as error:  # noqa: BLE001 (it belongs to who waits for it)
                    future.set_exception(error)
                else:
                    future.set_result(result)
            del future, function


class Stoppable(Future[None]):
    """Work in a thread that ends with `CancelledError` at its next progress after a cancellation.

    Args:
        threads: Where it runs.
        function: What is done; it is given what to tell its progress.
    """

    def __init__(self, threads: Threads, function: Callable[[Progress], None]) -> None:
        super().__init__()
        self._stopped = False
        self._function = function
        threads.run(self._run)

    def cancel(self) -> bool:
        """Ask the work to stop; False when it has ended."""
        self._stopped = True
        return not self.done()

    def _run(self) -> None:
        try:
            self._progress(0)
            self._function(self._progress)
        except BaseException as error:  # noqa: BLE001 (it belongs to who waits for it)
            self.set_exception(error)
        else:
            self.set_result(None)

    def _progress(self, _: int) -> None:
        if self._stopped:
            raise CancelledError

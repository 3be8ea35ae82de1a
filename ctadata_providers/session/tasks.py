"""Coroutines over futures: a transfer is written once, as it reads, and driven by whichever thread ends its last step.

There is no event loop here. `spawn` runs a coroutine until it waits for a future, and goes on when that future is done,
in the thread that completed it: mostly the owner thread of the curl loop, which a coroutine must not block; what blocks
goes through `in_thread`.
"""

import os
import threading
from _thread import allocate_lock
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import CancelledError, InvalidStateError
from contextlib import suppress
from copy import copy
from queue import Empty, SimpleQueue
from types import coroutine
from typing import Any, TypeVar

from ctadata_providers.errors import CtaError
from ctadata_providers.session.futures import SIGNAL_PATIENCE, STOP_PATIENCE, Future

T = TypeVar("T")
Task = Coroutine[Future[Any], Any, T]
BLOCKING_THREADS = 16


class CancellableFuture(Future[T]):
    """A future whose work can be stopped; it then ends with `CancelledError`."""

    __slots__ = ("_on_cancel",)

    def __init__(self, on_cancel: Callable[[], None]) -> None:
        super().__init__()
        self._on_cancel = on_cancel

    def cancel(self) -> bool:
        """Ask the work to stop; `result()` raises `CancelledError` when it has. False when it had ended before."""
        if self.done():
            return False
        self._on_cancel()
        return True

    def _end(self, *outcome: Any, **how: Any) -> bool:
        ended = super()._end(*outcome, **how)
        if ended:
            # What can stop the work mostly holds this future, too: as a circle, both and all that they hold, such as
            # the bytes of an answer, would wait for the garbage collector.
            self._on_cancel = _nothing
        return ended


def _nothing() -> None:
    """Stop what has ended."""


_NOT, _ASKED, _TOLD = range(3)
"""Whether a coroutine is to stop, and has been told so."""


class _Driver(Future[T]):
    """Drives one coroutine from future to future, and is the future of its result."""

    __slots__ = ("_awaited", "_stopping", "_task")

    def __init__(self, task: Task[T]) -> None:
        super().__init__()
        self._task = task
        self._awaited: Future[Any] | None = None
        self._stopping = _NOT

    def step(self, done: Future[Any] | None) -> None:
        """Go on with the outcome of the awaited future, until one must be waited for."""
        task = self._task
        while True:
            try:
                if done is None:
                    awaited = task.send(None)
                elif self._stopping == _ASKED:
                    self._stopping = _TOLD  # once: what the coroutine then awaits is its cleaning up
                    awaited = task.throw(CancelledError())
                else:
                    awaited = task.send(done.value) if done.error is None else task.throw(done.error)
            except StopIteration as stop:
                return self.set_result(stop.value)
            except BaseException as error:  # noqa: BLE001 (whatever ends the coroutine belongs to who waits for it)
                return self.set_exception(error)
            self._awaited = awaited
            if self._stopping == _ASKED:
                awaited.cancel()
            if not awaited.done():
                return awaited.add_done_callback(self.step)
            done = awaited

    def cancel(self) -> bool:
        """Ask the coroutine to stop; `result()` raises `CancelledError` when it has cleaned up."""
        if self.done():
            return False
        if self._stopping == _NOT:
            self._stopping = _ASKED
            awaited = self._awaited
            # If another thread has told it meanwhile, this may be its cleaning up already.
            if awaited is not None and self._stopping == _ASKED:
                awaited.cancel()  # what runs in a thread runs on; the coroutine then ends after it
        return True


def spawn(task: Task[T]) -> Future[T]:
    """Start a coroutine that waits for futures with `wait`; return the future of its result."""
    driver = _Driver(task)
    driver.step(None)
    return driver


def run(task: Task[T]) -> T:
    """Run a coroutine to its end; what interrupts the wait stops it, lets it clean up, and goes on."""
    future = spawn(task)
    ended = allocate_lock()  # in C: a Ctrl-C cannot tear it
    ended.acquire()
    future.add_done_callback(lambda _: ended.release())
    try:
        while not ended.acquire(timeout=SIGNAL_PATIENCE):
            pass  # a signal is acted on between two waits
        return future.result()
    finally:
        if future.cancel():  # Ctrl-C, or an engine's time-out raised in this thread
            ended.acquire(timeout=STOP_PATIENCE)


def take(queue: SimpleQueue[T]) -> T:
    """Take the next item of a queue; a signal is acted on meanwhile."""
    while True:
        try:
            return queue.get(timeout=SIGNAL_PATIENCE)
        except Empty:
            continue


@coroutine
def wait(future: Future[T]) -> Generator[Future[T], Any, T]:
    """Wait, inside a spawned coroutine, for a future and return its result."""
    outcome: T = yield future
    return outcome


def fulfil(future: Future[T], function: Callable[[], T]) -> None:
    """End a future as a function does, here and now."""
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 (it belongs to who waits for it)
        future.set_exception(error)
    else:
        future.set_result(result)


class _BlockingThreads:
    """A pool of daemon threads: one that waits for a silent server must not hold up the end of the process."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._started = 0
        self._without_thread = 0

    def submit(self, function: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._work.put((future, function))
        if not self._idle.acquire(blocking=False):
            with self._lock:
                if self._started < BLOCKING_THREADS:
                    self._start_another(future)
        return future

    def _start_another(self, future: Future[T]) -> None:
        name = f"ctadata-blocking-{self._started + 1}"
        try:
            threading.Thread(target=self._main, name=name, daemon=True).start()
        except RuntimeError:  # no more are allowed (ulimit -u, a container's limit): those that there are do it
            if not self._started:
                future.cancel()  # what has been refused is not done later
                raise
            self._without_thread += 1
        else:
            self._started += 1

    def _main(self) -> None:
        while True:
            future, function = self._work.get()
            if future.set_running_or_notify_cancel():
                fulfil(future, function)
            del future, function
            with self._lock:
                if self._without_thread:  # it is for that one that this thread looks next
                    self._without_thread -= 1
                    continue
            self._idle.release()


_threads, _asking_threads, _admitting_threads = _BlockingThreads(), _BlockingThreads(), _BlockingThreads()


def in_thread(function: Callable[[], T], *, asks: bool = False, admits: bool = False) -> Future[T]:
    """Run what blocks in a thread of a small shared pool.

    Args:
        function: What to run.
        asks: Whether nobody may wait for its end; questions to a silent server must not hold up other acts.
        admits: Whether requests in the other threads wait for it.
    """
    return (_admitting_threads if admits else _asking_threads if asks else _threads).submit(function)


def asked(function: Callable[[], T]) -> Future[T]:
    """Run what blocks in a thread; unlike `in_thread` alone, a cancellation does not wait for it.

    For questions, and for acts that may still happen after all has been given up, such as making a folder.
    """
    return following(in_thread(function, asks=True))


def following(shared: Future[T]) -> CancellableFuture[T]:
    """Return a future that ends as another one that several wait for; its cancellation leaves that one alone.

    Each gets an error of ours as its own copy: who raises one adds to its trace, which would grow with all who wait.
    """
    own: CancellableFuture[T] = CancellableFuture(lambda: _settle(own, CancelledError()))

    def take(ended: Future[T]) -> None:
        error = CancelledError() if ended.cancelled() else ended.exception()
        if error is not None:
            _settle(own, _own(error) if isinstance(error, CtaError) else error)
            return
        with suppress(InvalidStateError):  # given up meanwhile
            own.set_result(ended.result())

    shared.add_done_callback(take)
    return own


def _own(shared: CtaError) -> CtaError:
    error = copy(shared)  # without its trace
    error.__cause__ = shared
    return error


def _settle(future: Future[Any], error: BaseException) -> None:
    with suppress(InvalidStateError):
        future.set_exception(error)


def _forget_threads() -> None:
    global _threads, _asking_threads, _admitting_threads
    _threads, _asking_threads, _admitting_threads = _BlockingThreads(), _BlockingThreads(), _BlockingThreads()


os.register_at_fork(after_in_child=_forget_threads)

"""A future without the weight of a condition variable: a transfer of 10 kB meets several, and makes them in one thread.

What `concurrent.futures.Future` promises holds: results, errors, cancellation, callbacks in the thread that ends it.
"""

import logging
import os
import threading
from _thread import allocate_lock
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Generic, TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T", covariant=True)

SIGNAL_PATIENCE = 0.2
"""Seconds after which a wait looks whether a signal came.

One that another thread takes, or that comes just before the main thread falls asleep, does not wake it; Python acts on
it at the next wake-up.
"""
STOP_PATIENCE = 1.2
"""Seconds, at most, for cleaning up here after Ctrl-C; a command ends within 2 s."""
_PENDING, _RUNNING, _DONE, _CANCELLED = range(4)
_lock = threading.Lock()
"""For the few instructions in which one of all futures changes; never held while anything else is called."""


class Future(Generic[T]):
    """The outcome of something that is under way; thread-safe."""

    __slots__ = ("_callbacks", "_state", "error", "value")

    def __init__(self) -> None:
        self._state = _PENDING
        self.value: T | None = None
        """The result, once it has ended with one; `result()` waits, and raises."""
        self.error: BaseException | None = None
        """What it has ended with instead, once it has."""
        self._callbacks: Callable[[Any], object] | list[Callable[[Any], object]] | None = None

    def done(self) -> bool:
        """Tell whether it has ended, in whatever way."""
        return self._state >= _DONE

    def cancelled(self) -> bool:
        """Tell whether it was cancelled before it began."""
        return self._state == _CANCELLED

    def cancel(self) -> bool:
        """Cancel what has not begun; False when it has."""
        if not self._end(_CANCELLED, None, CancelledError(), unless_running=True):
            return self._state == _CANCELLED
        return True

    def set_running_or_notify_cancel(self) -> bool:
        """Say that it begins; False when it was cancelled."""
        with _lock:
            if self._state == _PENDING:
                self._state = _RUNNING
                return True
        return False

    def set_result(self, result: T) -> None:  # type: ignore[misc]  # who sets it has made it, and knows its T
        """End with a result.

        Raises:
            InvalidStateError: When it has ended before.
        """
        if not self._end(_DONE, result, None):
            raise InvalidStateError(f"{self._state}: {self!r}")

    def set_exception(self, error: BaseException) -> None:
        """End with an error.

        Raises:
            InvalidStateError: When it has ended before.
        """
        if not self._end(_DONE, None, error):
            raise InvalidStateError(f"{self._state}: {self!r}")

    def result(self, timeout: float | None = None) -> T:
        """Wait for the end and return the result, or raise the error.

        Raises:
            TimeoutError: When there is no end within some seconds.
            CancelledError: When it was cancelled.
        """
        error = self.exception(timeout) if self._state != _CANCELLED else self.error
        if error is not None:
            try:
                raise error
            finally:
                del self, error  # no circle of a trace that holds the frame that holds the error
        return self.value  # type: ignore[return-value]  # what it ended with

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end and return the error, None when there is none.

        Raises:
            TimeoutError: When there is no end within some seconds.
            CancelledError: When it was cancelled.
        """
        if self._state < _DONE and not self.wait(timeout):
            raise FutureTimeoutError
        if self._state == _CANCELLED:
            raise CancelledError
        return self.error

    def __await__(self) -> Generator[Any, Any, T]:
        """Wait in a task of asyncio, as `session.aio.result_of` does; our own coroutines wait with `tasks.wait`."""
        from ctadata_providers.session.aio import result_of  # asyncio only where it is used

        return result_of(self).__await__()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; tell whether it has come within some seconds."""
        if self._state >= _DONE:
            return True
        ended = allocate_lock()  # in C: a Ctrl-C cannot tear it
        ended.acquire()
        self.add_done_callback(lambda _: ended.release())
        left = float("inf") if timeout is None else timeout
        while left > SIGNAL_PATIENCE:
            if ended.acquire(timeout=SIGNAL_PATIENCE):
                return True
            left -= SIGNAL_PATIENCE  # a signal is acted on between two waits
        return ended.acquire(timeout=max(0.0, left))

    def add_done_callback(self, function: Callable[[Any], object]) -> None:
        """Have a function called with this future when it has ended, at once if it has; what it raises is logged."""
        with _lock:
            if self._state < _DONE:
                known = self._callbacks
                if known is None:
                    self._callbacks = function
                elif isinstance(known, list):
                    known.append(function)
                else:
                    self._callbacks = [known, function]
                return
        self._call(function)

    def _end(self, state: int, result: T | None, error: BaseException | None, *, unless_running: bool = False) -> bool:
        with _lock:
            if self._state >= _DONE or (unless_running and self._state == _RUNNING):
                return False
            self.value, self.error, self._state = result, error, state
            callbacks, self._callbacks = self._callbacks, None
        if isinstance(callbacks, list):
            for function in callbacks:
                self._call(function)
        elif callbacks is not None:
            self._call(callbacks)
        return True

    def _call(self, function: Callable[[Any], object]) -> None:
        try:
            function(self)
        except Exception:
            logger.exception("a callback of %r failed", self)


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)  # another thread of the parent may have held it

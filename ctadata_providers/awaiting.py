"""In asyncio: wait for what ends in another thread, and see the signals that come meanwhile."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

T_co = TypeVar("T_co", covariant=True)
SIGNAL_PATIENCE = 0.2
"""Seconds after which an event loop looks whether a signal came.

One that another thread has taken, or that comes just before the loop falls asleep, does not wake it, and asyncio has no
wake-up of its own for Ctrl-C: Python would act on it when the wait ends.
"""


class Pending(Protocol[T_co]):
    """A future of whatever make."""

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Have a function called at its end."""

    def cancel(self) -> bool:
        """Ask it to stop."""

    def done(self) -> bool:
        """Tell whether it has ended."""

    def result(self) -> T_co:
        """Return its result, or raise its error."""


async def result_of(pending: Pending[T_co], *, patience: float) -> T_co:
    """Wait for the end of a future, and return its result or raise its error.

    To cancel the waiting task stops the work, and waits a little for it to clean up; a second cancellation does not
    wait. What cannot be stopped goes on unwatched.

    Args:
        pending: The future.
        patience: Seconds that what was stopped has for cleaning up.
    """
    if not pending.done():
        try:
            with _wake_ups():
                await _end_of(pending)
        except asyncio.CancelledError:
            if pending.cancel() and not pending.done():
                await asyncio.wait([_end_of(pending)], timeout=patience)
            raise
    return pending.result()


def _end_of(pending: Pending[Any]) -> "asyncio.Future[None]":
    """Return what is done when a future is, in whatever thread that ends."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not ended.done():
            ended.set_result(None)

    def tell(_: object) -> None:
        with suppress(RuntimeError):  # that loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle)

    pending.add_done_callback(tell)
    return ended


class _WakeUps:
    """Wakes one event loop now and then, while anybody waits in it.

    They are of the loop, not of each wait: thousands may wait in it.
    """

    def __init__(self) -> None:
        self._waiting = 0
        self._begun = False

    def __enter__(self) -> None:
        self._waiting += 1
        if not self._begun:
            self._wake()

    def __exit__(self, *_: object) -> None:
        self._waiting -= 1

    def _wake(self) -> None:
        """See to the next time; Python has looked for signals before it began to run this."""
        self._begun = self._waiting > 0
        if self._begun:
            asyncio.get_running_loop().call_later(SIGNAL_PATIENCE, self._wake)


_all_wake_ups: WeakKeyDictionary[asyncio.AbstractEventLoop, _WakeUps] = WeakKeyDictionary()


def _wake_ups() -> _WakeUps:
    return _all_wake_ups.setdefault(asyncio.get_running_loop(), _WakeUps())

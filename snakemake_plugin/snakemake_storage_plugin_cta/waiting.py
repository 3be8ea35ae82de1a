"""From the futures of transfers to an event loop: Snakemake has one in each of its threads, and they come and go."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

T_co = TypeVar("T_co", covariant=True)
STOP_PATIENCE = 1.5
"""Seconds that what was stopped has for cleaning up: Ctrl-C shall end a workflow within 2 s."""
SIGNAL_PATIENCE = 0.2
"""Seconds after which an event loop looks whether a signal came.

One that another thread has taken, or that comes just before the loop falls asleep, does not wake it, and asyncio has no
wake-up of its own for Ctrl-C: Python would act on it when the transfer ends.
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


async def ended(pending: Pending[T_co]) -> T_co:
    """Wait for a future without blocking the event loop; when that is cancelled, stop it and let it clean up."""
    if not pending.done():
        try:
            with _wake_ups():
                await _end_of(pending)
        except asyncio.CancelledError:
            if pending.cancel():
                with suppress(TimeoutError):
                    await asyncio.wait_for(_end_of(pending), STOP_PATIENCE)
            raise
    return pending.result()


def _end_of(pending: Pending[Any]) -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def notice(_: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(wake)

    pending.add_done_callback(notice)
    return waiter


class _WakeUps:
    """Wakes one event loop now and then, while anybody waits in it."""

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

"""Between our futures and asyncio: what is under way is awaited without a thread of its own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TypeVar
from weakref import WeakKeyDictionary

from ctadata_providers.session.futures import SIGNAL_PATIENCE, Future
from ctadata_providers.session.tasks import INTERRUPT_PATIENCE

T = TypeVar("T")


async def result_of(future: Future[T]) -> T:
    """Wait in asyncio for the end of a future, and return its result or raise its error.

    To cancel the waiting task stops the work, and waits a little for it to clean up; a second cancellation does not
    wait. What cannot be stopped goes on unwatched.

    Raises:
        asyncio.CancelledError: When the task, or the work, was cancelled.
    """
    if not future.done():
        try:
            with _wake_ups():
                await _end_of(future)
        except asyncio.CancelledError:
            if future.cancel() and not future.done():
                await asyncio.wait([_end_of(future)], timeout=INTERRUPT_PATIENCE)
            raise
    try:
        return future.result()
    except CancelledError as error:
        raise asyncio.CancelledError from error


def _end_of(future: Future[T]) -> "asyncio.Future[None]":
    """Return what is done when a future is, in whatever thread that ends."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell(_: Future[T]) -> None:
        with suppress(RuntimeError):  # that loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle(ended))

    future.add_done_callback(tell)
    return ended


def _settle(ended: "asyncio.Future[None]") -> Callable[[], None]:
    def settle() -> None:
        if not ended.done():
            ended.set_result(None)

    return settle


class _WakeUps:
    """Wakes one event loop now and then, while anybody waits in it: asyncio has no wake-up of its own for Ctrl-C.

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

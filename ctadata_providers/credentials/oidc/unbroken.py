"""What must not be cut in the middle: between the provider's new refresh token and its place on the disk."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from ctadata_providers.exits import wait_at_exit

T = TypeVar("T")

SIGNAL_PATIENCE = 0.2
"""Seconds after which the wait looks whether a signal came: one that another thread took does not end it."""
_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def unbroken(act: Callable[[threading.Event], T]) -> T:
    """Do something to its end, whatever signals come, and return its result.

    It runs in a thread that the interpreter waits for when it ends, so that an exception in the waiting thread does not
    cut it. In the main thread SIGINT, SIGTERM and SIGHUP (a terminal that is closed) wait as well, and are delivered
    afterwards; one that comes again is delivered at once. (Other threads cannot hold signals back: only the main thread
    may set handlers.)

    Args:
        act: What to do; its argument is set when somebody wants it to end, which it may heed where that does no harm.

    Raises:
        BaseException: What the act raises.
    """
    wanted = threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(act(wanted))
        except BaseException as error:  # noqa: BLE001 (it belongs to who waits for it)
            errors.append(error)

    thread = threading.Thread(target=run, name="ctadata-credential", daemon=False)
    with _signals_held(wanted):
        thread.start()
        wait_at_exit(thread)
        try:
            while thread.is_alive():
                thread.join(SIGNAL_PATIENCE)
        finally:
            wanted.set()
    if errors:
        raise errors.pop()
    return results.pop()


@contextmanager
def _signals_held(wanted: threading.Event) -> Iterator[None]:
    """Put off signals that would end the process, for as long as that takes; nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[signal.Signals] = []

    def hold(caught: int, frame: FrameType | None) -> None:
        number = signal.Signals(caught)
        if number in pending:
            pending.remove(number)
            _deliver(number, before[number])
            return
        pending.append(number)
        wanted.set()

    found = {number: signal.getsignal(number) for number in _HELD}
    # None is a handler that was not set from Python: it could not be put back.
    before = {number: handler for number, handler in found.items() if handler not in (None, signal.SIG_IGN)}
    try:
        for number in before:
            signal.signal(number, hold)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in pending:
            signal.raise_signal(number)


def _deliver(number: signal.Signals, handler: object) -> None:
    """Let a signal do now what it did before it was held."""
    current = signal.getsignal(number)
    signal.signal(number, handler)  # type: ignore[arg-type]  # what getsignal gave
    try:
        signal.raise_signal(number)
    finally:
        signal.signal(number, current)

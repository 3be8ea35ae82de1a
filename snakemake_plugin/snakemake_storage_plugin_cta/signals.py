"""SIGTERM while a file is stored: Snakemake's handler waits for a lock that the interrupted thread itself holds."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


class _InThread:
    """Calls a handler in a thread of its own, which can wait for the lock while the transfer ends.

    Args:
        handler: The handler.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        threading.Thread(target=self._handler, args=(number, frame), name="cta-signal", daemon=True).start()


def keep_sigterm_from_blocking() -> None:
    """Have Snakemake's handler of SIGTERM, if there is one, called in a thread; it only notes that all is to end."""
    if threading.current_thread() is not threading.main_thread():
        return
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler) and not isinstance(handler, _InThread):
        signal.signal(signal.SIGTERM, _InThread(handler))

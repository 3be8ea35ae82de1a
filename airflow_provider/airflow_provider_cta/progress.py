"""How far a transfer has come, as one line for the log of a task."""

import threading
import time
from logging import Logger
from typing import Any

INTERVAL = 10.0
"""Seconds from line to line."""
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Progress:
    """Counts the bytes that pass; may be called by many threads.

    Args:
        total: Bytes that there are, None when that is not known.
        log: Where a line is written every few seconds, by the thread that counts; None for nowhere.
    """

    def __init__(self, total: int | None, log: Logger | Any | None = None) -> None:
        self._total = total
        self._log = log
        self._passed = 0
        self._lock = threading.Lock()
        self._begun = self._told = time.monotonic()

    def __call__(self, count: int) -> None:
        """Take note of bytes that have passed; negative for such as must pass again."""
        with self._lock:
            self._passed += count
            now = time.monotonic()
            due = self._log is not None and now - self._told >= INTERVAL
            if due:
                self._told = now
        if due and self._log is not None:
            self._log.info("%s", self)

    def __str__(self) -> str:
        passed, seconds = self._passed, max(time.monotonic() - self._begun, 1e-3)
        rate = f"{_bytes(passed / seconds)}/s"
        if not self._total:
            return f"{_bytes(passed)}, {rate}"
        return f"{100 * passed // self._total} %: {_bytes(passed)} of {_bytes(self._total)}, {rate}"


def _bytes(count: float) -> str:
    """Return a number of bytes with its unit.

    >>> _bytes(999), _bytes(4.2e9)
    ('999 B', '4.2 GB')
    """
    for unit in _UNITS:
        if abs(count) < 1000 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"

"""Ceilings: on requests a second, on bytes a second."""

import os
import threading
import time
from collections.abc import Callable

BURST_SECONDS = 0.1
SMALLEST_PIECE = 4096


class RateLimiter:
    """Spaces requests evenly, with a tenth of a second's worth of burst."""

    def __init__(self, per_second: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._clock = clock
        self._next = 0.0
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Take the next place and return the seconds to wait for it, 0 when there is no limit."""
        if self.per_second is None:
            return 0.0
        with self._lock:
            now = self._clock()
            self._next = max(self._next, now - BURST_SECONDS) + 1 / self.per_second
            return max(0.0, self._next - now)


class Throttle:
    """A ceiling on bytes a second, over all transfers of a process; used in the curl loop's thread alone."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._clock = clock
        self._paid_at = 0.0

    @property
    def piece(self) -> int:
        """Bytes that may pass at once, so that no transfer waits long for another."""
        return max(SMALLEST_PIECE, int(self.per_second * BURST_SECONDS))

    def delay(self) -> float:
        """Return the seconds for which nothing may pass, 0 when something may."""
        return max(0.0, self._paid_at - self._clock())

    def passed(self, count: int) -> None:
        """Take note of bytes that have passed."""
        self._paid_at = max(self._paid_at, self._clock() - BURST_SECONDS) + count / self.per_second


_throttles: dict[float, Throttle] = {}


def throttle(per_second: float | None) -> Throttle | None:
    """Return the throttle of the process for a rate, None for no limit."""
    return None if per_second is None else _throttles.setdefault(per_second, Throttle(per_second))


_limiters: dict[tuple[tuple[str, str, int], float | None], RateLimiter] = {}


def limiter(door: tuple[str, str, int], per_second: float | None) -> RateLimiter:
    """Return the limiter that all sessions of a process share at a door: it counts by our address."""
    key = door, per_second
    return _limiters.get(key) or _limiters.setdefault(key, RateLimiter(per_second))


os.register_at_fork(after_in_child=_limiters.clear)  # a lock of the parent may be held

"""A ceiling on requests a second, over all threads."""

import os
import threading
import time
from collections.abc import Callable


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
            self._next = max(self._next, now - 0.1) + 1 / self.per_second
            return max(0.0, self._next - now)


_limiters: dict[tuple[tuple[str, str, int], float | None], RateLimiter] = {}


def limiter(door: tuple[str, str, int], per_second: float | None) -> RateLimiter:
    """Return the limiter that all sessions of a process share at a door: it counts by our address."""
    key = door, per_second
    return _limiters.get(key) or _limiters.setdefault(key, RateLimiter(per_second))


os.register_at_fork(after_in_child=_limiters.clear)  # a lock of the parent may be held

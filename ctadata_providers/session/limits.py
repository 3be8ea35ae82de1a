"""A ceiling on requests a second, over all threads."""

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

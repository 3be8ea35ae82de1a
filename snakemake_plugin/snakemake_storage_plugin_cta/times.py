"""Times of change as this machine would have noted them: Snakemake compares them with those of local files."""

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

WRONG_FROM = 2.0
"""Seconds from which a server's clock counts as wrong: it tells whole seconds only, and its answer takes a while."""


class Times:
    """Translates the times of one server.

    Args:
        ahead: Tells how many seconds the server's clock was ahead at its last answer, None when it never told.
        clock: Gives the time of day here.
    """

    def __init__(self, ahead: Callable[[], float | None], clock: Callable[[], float] = time.time) -> None:
        self._told = ahead
        self._clock = clock
        self._ahead: float | None = None

    def here(self, mtime: float | None) -> float:
        """Return when a file changed, by our clock; 0 where the server keeps no times.

        0 is older than any output, so that such a server causes no reruns. What was just stored is never younger than
        now, or an output of the next job would seem older than its input, which Snakemake takes for an error.
        """
        if not mtime:
            return 0.0
        if self._ahead is None:
            self._ahead = self._told()  # once: times of one process shall not move
        ahead = self._ahead or 0.0
        changed = mtime - round(ahead) if abs(ahead) >= WRONG_FROM else mtime
        now = math.floor(self._clock())  # whole seconds: a local file takes them exactly
        return now if now < changed <= now + WRONG_FROM else changed

    def give(self, local: Path, mtime: float | None) -> None:
        """Give a local copy the time of its original: of what changes there later it is then known to be old."""
        changed = min(self.here(mtime), self._clock())
        if changed:
            with suppress(OSError):  # it counts as changed now
                os.utime(local, (changed, changed))

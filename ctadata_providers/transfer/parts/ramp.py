"""How many streams one file wants: more while their sum grows by a clear factor, fewer when it does not."""

import math
import time
from collections.abc import Callable, Sequence

MOST_STREAMS = 8
FROM_BYTES = 32 * 1024 * 1024
"""Size of a file below which one stream is enough."""
MEASURED_SECONDS = 0.1
PATIENCE = 1.0
"""Seconds after which a stream that has brought nothing yet is measured like the others."""
GAIN = 1.25
"""Factor by which the rate must have grown for another step."""
FAST = 125e6
"""Bytes a second (1 Gbit/s) of one stream that more would not exceed."""
WORTH_SECONDS = 1.0
"""What takes no longer is not divided further."""
LONG_SECONDS = 4.0
"""What takes one stream longer gets all at once: on a long line each step costs round trips."""
DOUBT = 2
"""So many times more streams are left than the rate has grown: it is measured while they still gather speed."""
TICK, LONG_TICK = 0.02, 1.0


class Ramp:
    """Decides by what arrives.

    Args:
        streams: What the user wants, None for what helps.
        size: Bytes of the file.
        clock: Seconds of a clock that nobody sets.
    """

    def __init__(self, streams: int | None, size: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.wanted = streams or 1
        """How many there should be."""
        self._grows = streams is None and size >= FROM_BYTES
        self._size = size
        self._clock = clock
        self._since: float | None = None
        self._mark: tuple[float, int] | None = None
        self._before: tuple[int, float] | None = None

    @property
    def interval(self) -> float:
        """Seconds after which to call `tick` again."""
        return TICK if self._grows else LONG_TICK

    def tick(self, received: int, begun: Sequence[bool]) -> None:
        """Take a look.

        Args:
            received: Bytes of the file that are there.
            begun: Of each stream, whether it has brought anything.
        """
        if not self._grows or not any(begun):
            return
        now = self._clock()
        if self._since is None:
            self._since = now
        waits = len(begun) < self.wanted or not all(begun)
        if self._mark is None:
            if not waits or now - self._since >= PATIENCE:
                self._mark = now, received
            return
        seconds = now - self._mark[0]
        if seconds >= MEASURED_SECONDS:
            self._measured((received - self._mark[1]) / seconds, self._size - received)

    def fewer(self, left: int) -> None:
        """Say that the server had no place for another one."""
        self._grows = False
        self.wanted = max(1, min(self.wanted, left))

    def _measured(self, rate: float, missing: int) -> None:
        self._mark = self._since = None
        if rate <= 0:
            return
        if self._before is not None:
            streams, before = self._before
            gain = rate / before
            useful = streams if gain < GAIN else math.ceil(streams * gain * DOUBT)
            if useful < self.wanted:
                self.wanted, self._grows = useful, False
                return
        if rate / self.wanted >= FAST or missing / rate < WORTH_SECONDS or self.wanted >= MOST_STREAMS:
            self._grows = False
            return
        self._before = self.wanted, rate
        is_long = missing / rate >= LONG_SECONDS
        self.wanted = MOST_STREAMS if is_long and self.wanted == 1 else min(MOST_STREAMS, self.wanted * 2)

"""How the door blocks clients that are refused again and again, or ask too fast (dCache >= 11.2, issues 8102, 8118)."""

from collections import deque
from collections.abc import Callable

from ctadata_providers.testing.exchange import Refusal

REFUSALS = 3
WINDOW_SECONDS = 20.0
BAN_SECONDS = 15.0
REQUESTS_PER_SECOND = 250


class Bans:
    """Counts by client address.

    Args:
        clock: Gives the time in seconds.
        retry_after: Whether refusals say how long to wait (dCache since June 2026, pull request 8131).
    """

    def __init__(self, *, clock: Callable[[], float], retry_after: bool) -> None:
        self._clock = clock
        self._retry_after = retry_after
        self._refusals: dict[str, deque[float]] = {}
        self._requests: dict[str, deque[float]] = {}
        self._banned_until: dict[str, float] = {}

    def admit(self, client: str) -> None:
        """Count a request.

        Raises:
            Refusal: 429 when the client is banned, or asks too fast.
        """
        now = self._clock()
        if (left := self._banned_until.get(client, 0.0) - now) > 0:
            raise self._refusal(left)
        times = self._requests.setdefault(client, deque(maxlen=REQUESTS_PER_SECOND))
        too_fast = len(times) == REQUESTS_PER_SECOND and now - times[0] < 1.0
        times.append(now)
        if too_fast:
            raise self._refusal(1.0)

    def note_401(self, client: str) -> None:
        """Count an answer 401; the third one within the window is followed by a ban."""
        now = self._clock()
        times = self._refusals.setdefault(client, deque(maxlen=REFUSALS))
        times.append(now)
        if len(times) == REFUSALS and now - times[0] <= WINDOW_SECONDS:
            self._banned_until[client] = now + BAN_SECONDS
            times.clear()

    def lift(self) -> None:
        """Forget every client."""
        for known in (self._refusals, self._requests, self._banned_until):
            known.clear()

    def _refusal(self, seconds: float) -> Refusal:
        headers = {"Retry-After": str(max(1, round(seconds)))} if self._retry_after else {}
        return Refusal(429, "Too Many Requests", headers)

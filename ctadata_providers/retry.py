"""When to try again.

Retried is `TransientError` and nothing else, only for what may be repeated safely (the caller's promise), and never
more often than the policy says. A server's `Retry-After` is obeyed; after 429 without it the wait is at least 20 s,
because dCache blocks an address for up to that long (dCache issue 8118).
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ctadata_providers.errors import TransientError

logger = logging.getLogger(__name__)
T = TypeVar("T")

TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after how long, a transient fault is tried again.

    Attributes:
        retries: Attempts after the first.
        first_delay: Seconds before the first retry; three times as many each time, with full jitter above half: the
            default waits are 25 to 50 s in sum, so that a server may be gone for 20 s.
        longest_delay: Seconds that our own backoff never exceeds.
        longest_retry_after: Seconds beyond which a server's wish to wait ends the attempts.
    """

    retries: int = 5
    first_delay: float = 0.5
    longest_delay: float = 30.0
    longest_retry_after: float = 300.0

    def delay(self, attempt: int, error: TransientError) -> float | None:
        """Return the seconds to wait after the given attempt (0 is the first), or None to give up."""
        if attempt >= self.retries:
            return None
        if error.retry_after is not None:
            return error.retry_after + random.random() if error.retry_after <= self.longest_retry_after else None  # noqa: S311 (jitter, not a secret)
        backoff: float = min(self.longest_delay, self.first_delay * 3 ** min(attempt, 32)) * (0.5 + random.random() / 2)  # noqa: S311 (jitter, not a secret)
        return max(backoff, 20.0) if error.status == TOO_MANY_REQUESTS else backoff

    def call(self, attempt_once: Callable[[], T], *, sleep: Callable[[float], object] = time.sleep) -> T:
        """Call until it succeeds, fails for good, or the attempts are used up.

        Raises:
            TransientError: The last one, when the attempts are used up.
        """
        attempt = 0
        while True:
            try:
                return attempt_once()
            except TransientError as error:
                delay = self.delay(attempt, error)
                if delay is None:
                    raise
                attempt += 1
                log_retry(error, attempt, delay)
                sleep(delay)


def log_retry(error: TransientError, attempt: int, delay: float) -> None:
    """Say that something is tried again, and why."""
    logger.warning("%s; retry %d in %.1f s", error.message, attempt, delay)

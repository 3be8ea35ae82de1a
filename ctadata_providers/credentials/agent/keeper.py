"""Keep a token file fresh: ask a source in time, replace the file when the token changes, go on through outages."""

import logging
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ctadata_providers.credentials.safe_files import write_private
from ctadata_providers.credentials.tokens import Renewable, Token, TokenProvider
from ctadata_providers.errors import CredentialError, CtaError, TransientError

logger = logging.getLogger(__name__)

RENEW_AT = 0.25
"""The share of its life that a token has left when the next one is asked for."""
PULSE = 60.0
"""Seconds between two looks at most: a laptop may have slept, or somebody removed the file."""
_LONGEST_RETRY, _LONGEST_RETRY_WHEN_REFUSED = 60.0, 300.0
_JITTER = 0.1
_SHORTEST = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How the keeping goes; nothing in it is a secret.

    Attributes:
        expires_at: When the token in the file ends, epoch seconds; None when it does not tell, or there is none yet.
        error: Why the last attempt failed; None when it did not.
        failing_since: Epoch seconds of the first failure since the last success; None without one.
    """

    expires_at: float | None = None
    error: str | None = None
    failing_since: float | None = None


class Keeper:
    """Keeps the token of a source in a file.

    Args:
        source: Gives the token; asked to renew it when it is `Renewable`.
        target: The file; always whole, 0600, replaced by rename.
        clock: Gives epoch seconds.
        chance: Gives a number from 0 to 1, so that the agents of many machines do not all come at once after an outage.
    """

    def __init__(
        self,
        source: TokenProvider,
        target: Path,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._source = source
        self._target = target
        self._clock = clock
        self._chance = chance
        self._kept: Token | None = None
        self._since = 0.0  # when that token began, as far as is known
        self._signature: tuple[int, int, int] | None = None
        self._failures = 0
        self.progress = Progress()

    def refresh(self) -> Token:
        """Bring the file up to date now.

        Returns:
            The token that it holds.

        Raises:
            CtaError: What the source says when it has none.
            OSError: When the file cannot be written.
        """
        token = self._keep(self._source())
        if self._time_left(token) <= 0 and isinstance(self._source, Renewable):
            token = self._keep(self._source.renew(token))
        if self._failures:
            outage = self._clock() - (self.progress.failing_since or self._clock())
            logger.info("tokens come again, after %.0f s", outage)
        self._failures = 0
        self.progress = Progress(expires_at=token.expires_at)
        return token

    def step(self) -> float:
        """Bring the file up to date if that is possible; what fails is logged and told in `progress`.

        Returns:
            Seconds until the next step.
        """
        try:
            token = self.refresh()
        except (CtaError, OSError) as error:
            return self._failed(error)
        return self._pause(token)

    def withdraw(self) -> None:
        """Remove the file, unless somebody else has written it since."""
        if self._signature is not None and self._signature == _signature(self._target):
            with suppress(OSError):
                self._target.unlink()

    def _keep(self, token: Token) -> Token:
        """Write the token unless the file holds it as we left it."""
        if self._kept is None:
            self._since = min(self._clock(), token.issued_at or self._clock())
        elif token.value != self._kept.value:
            self._since = self._clock()  # it came while we watched: it is new, whatever the issuer's clock says
        elif self._signature is not None and self._signature == _signature(self._target):
            return token
        write_private(self._target, f"{token.value}\n".encode("ascii"))
        self._kept, self._signature = token, _signature(self._target)
        self.progress = Progress(
            expires_at=token.expires_at, error=self.progress.error, failing_since=self.progress.failing_since
        )
        logger.info("wrote a token of %s to %s, which %s", token.source, self._target, self._validity())
        return token

    def _time_left(self, token: Token) -> float:
        """Return the seconds until the token is to be renewed; zero or less when it is time."""
        if token.expires_at is None:
            return PULSE
        life = token.expires_at - self._since
        return token.expires_at - RENEW_AT * life - self._clock()

    def _pause(self, token: Token) -> float:
        """Return the seconds to wait after a success."""
        left = self._time_left(token)
        if left <= 0:  # the source renews it by itself, in its own time
            left = ((token.expires_at or 0) - self._clock()) * _JITTER
        return min(max(left, _SHORTEST), PULSE)

    def _failed(self, error: CtaError | OSError) -> float:
        """Return the seconds to wait after a failure, the longer the more there were."""
        self._failures += 1
        longest = _LONGEST_RETRY_WHEN_REFUSED if isinstance(error, CredentialError) else _LONGEST_RETRY
        pause = min(2.0 ** min(self._failures - 1, 16), longest) * (1 + _JITTER * self._chance())
        left = (self._kept.expires_at or 0.0) - self._clock() if self._kept else 0.0
        if left > 0:  # some sources have no other token before the end of this one, and must be asked then
            pause = min(pause, max(left / 2, _SHORTEST))
        if isinstance(error, TransientError):
            pause = max(pause, min(error.retry_after or 0, _LONGEST_RETRY_WHEN_REFUSED))
        self.progress = Progress(
            expires_at=self.progress.expires_at,
            error=str(error),
            failing_since=self.progress.failing_since or self._clock(),
        )
        logger.warning("no new token (%s); the one in %s %s", error, self._target, self._validity())
        logger.info("trying again in %.0f s", pause)
        return pause

    def _validity(self) -> str:
        """Return for people how long the token in the file is good."""
        if self._kept is None:
            return "is not there yet"
        if self._kept.expires_at is None:
            return "does not tell when it ends"
        left = self._kept.expires_at - self._clock()
        return f"is valid for {left:.0f} s" if left > 0 else f"ended {-left:.0f} s ago"


def _signature(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when somebody else writes a file; None without one."""
    try:
        stat = os.lstat(path)
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size

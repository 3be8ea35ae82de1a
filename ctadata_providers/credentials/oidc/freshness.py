"""When a token is renewed: in the background in good time, at the latest just before its end, and when rejected."""

import logging
import random
import threading
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from math import inf
from typing import Protocol

from ctadata_providers.credentials.oidc.unbroken import unbroken
from ctadata_providers.credentials.tokens import Token
from ctadata_providers.errors import CredentialError, CtaError, TransientError
from ctadata_providers.exits import wait_at_exit
from ctadata_providers.forks import fork_safe_lock

logger = logging.getLogger(__name__)

ADVISORY = 0.25
"""Part of its life that a token has left when it is renewed in the background, while it is still used."""
JITTER = 0.10
"""Up to this part of its life earlier: not all processes shall ask at once."""
MANDATORY = 0.10
"""Part of its life at which who wants it waits for the next one."""


@dataclass(frozen=True, slots=True)
class Held:
    """A token with its life by our own clock, which may differ from the issuer's.

    Attributes:
        token: The token.
        obtained_at: When it was asked for, epoch seconds.
        expires_at: When it ends; None when nobody told.
    """

    token: Token
    obtained_at: float
    expires_at: float | None

    @property
    def life(self) -> float:
        """Seconds from its beginning to its end."""
        return inf if self.expires_at is None else max(self.expires_at - self.obtained_at, 0.0)

    def left(self, now: float) -> float:
        """Return the seconds until it ends."""
        return inf if self.expires_at is None else self.expires_at - now

    def within(self, part: float, now: float) -> bool:
        """Tell whether no more than a part of its life is left."""
        return self.expires_at is not None and self.left(now) <= part * self.life


def pause_after(failures: int, life: float) -> float:
    """Return the seconds for which a provider is left alone after some failures in a row.

    They follow the life of the tokens: who has 10 s of them cannot wait for 5 s.

    >>> [pause_after(count, 300.0) for count in (1, 2, 3, 4, 9)]
    [5.0, 10.0, 20.0, 40.0, 60.0]
    >>> [pause_after(count, 10.0) for count in (1, 2, 3, 4)]
    [0.5, 1.0, 2.0, 2.5]
    """
    first = min(max(life / 20, 0.5), 5.0)
    longest: float = max(min(life / 4, 60.0), first)
    return float(min(first * 2 ** (min(failures, 20) - 1), longest))


class Source(Protocol):
    """Where tokens come from."""

    @property
    def reads_only(self) -> bool:
        """Whether somebody else renews the tokens; then a living one is not worth waiting for the next."""

    def stored(self) -> Held | None:
        """Return the token that there is, None without one; asks nobody outside this machine.

        Raises:
            CredentialError: When there is none and there will be none.
        """

    def renewed(self, old: Token | None, wanted: threading.Event | None) -> Held | None:
        """Return another token than the old one; however many processes ask, the issuer is asked once.

        Args:
            old: The token to be replaced.
            wanted: None not to wait for other processes that are at it, and return None then; else an event that ends
                the wait.

        Raises:
            CredentialError: When there is none and there will be none.
            TransientError: When the issuer is away.
            ConfigError: When a setting cannot be used.
        """


class FreshToken:
    """Gives the token of a source, renewed when that is due; thread-safe, and usable after a fork.

    Args:
        source: Where tokens come from.
        clock: Gives epoch seconds.
    """

    def __init__(self, source: Source, *, clock: Callable[[], float] = time.time) -> None:
        self._source = source
        self._clock = clock
        self._held: Held | None = None
        self._advisory = ADVISORY
        self._failures = 0
        self._next_try = 0.0
        self._failure: tuple[Token | None, float, CtaError] | None = None
        self._turn = fork_safe_lock()
        self._background = fork_safe_lock()

    def ready(self) -> Token | None:
        """Return the token if it can be sent now; renew it in the background when that is due."""
        held = self._held
        if held is None:
            return None
        now = self._clock()
        waiting = now < self._next_try
        if held.within(MANDATORY, now) and not (waiting and held.left(now) > 0):
            return None
        if held.within(self._advisory, now) and not waiting:
            self._renew_in_background()
        return held.token

    def __call__(self) -> Token:
        """Return a token that is good now; wait for the next one when little or nothing is left.

        Raises:
            CredentialError: When there is none and there will be none.
            TransientError: When the last one has ended and the issuer is away.
            ConfigError: When a setting cannot be used.
        """
        token = self.ready()
        if token is not None:
            return token
        return self._in_turn(None, lambda: self.ready() or self._looked_up())

    def renew(self, rejected: Token) -> Token:
        """Return another token than the rejected one, at most one refresh for it over all threads and processes.

        Raises:
            CredentialError: When there is none.
            TransientError: When the issuer is away.
            ConfigError: When a setting cannot be used.
        """
        token = self._in_turn(rejected, lambda: self._other_than(rejected))
        if token.value == rejected.value:
            raise CredentialError(
                f"{rejected.source}: the issuer gave the token again that was rejected",
                remedy="ask the operators of the door whether they accept it (ctadata doctor shows what it says)",
            )
        return token

    def _in_turn(self, rejected: Token | None, act: Callable[[], Token]) -> Token:
        """Let one thread act at a time: the others find what it has found, or fail with it, but do not wait anew."""
        arrived = time.monotonic()
        with self._turn:
            if self._failure and self._failure[0] == rejected and self._failure[1] > arrived:
                raise copy(self._failure[2])
            self._failure = None
            try:
                return act()
            except CtaError as error:
                self._failure = rejected, time.monotonic(), copy(error)  # whose traceback would keep secrets alive
                raise

    def _other_than(self, rejected: Token) -> Token:
        """Take what there is if it is another token than the rejected one, else the next."""
        held = self._source.stored()
        if held is None or held.token.value == rejected.value or held.left(self._clock()) <= 0:
            held = self._renewed(held.token if held else None)
        self._take(held)
        return held.token

    def _looked_up(self) -> Token:
        """Take what there is, and renew it if that must be."""
        held = self._source.stored()
        now = self._clock()
        if held is None or held.within(0.0 if self._source.reads_only else MANDATORY, now):
            try:
                held = self._renewed(held.token if held else None)
            except CtaError as error:
                if held is None or held.left(self._clock()) <= 0:
                    raise
                self._put_off(held, error)
        self._take(held)
        return self.ready() or held.token

    def _renewed(self, old: Token | None) -> Held:
        held = unbroken(lambda wanted: self._source.renewed(old, wanted))
        if held is None:
            raise TransientError("another process renews the token and does not come to an end", remedy="try again")
        return held

    def _take(self, held: Held) -> None:
        if self._held is None or held.token.value != self._held.token.value:
            self._held = held
            self._advisory = ADVISORY + JITTER * random.random()  # noqa: S311 (spreads load, protects nothing)
            self._failures, self._next_try = 0, 0.0

    def _put_off(self, held: Held, error: Exception) -> None:
        """Go on with the old token for some time."""
        self._failures += 1
        now = self._clock()
        self._next_try = now + pause_after(self._failures, held.life)
        logger.warning("the token is not renewed yet, and ends in %.0f s: %s", held.left(now), error)

    def _renew_in_background(self) -> None:
        if not self._background.acquire(blocking=False):
            return
        # The interpreter waits for its end, also where a daemon thread asks, as those of a session are: a refresh that
        # is cut in the middle may cost the login.
        thread = threading.Thread(target=self._in_background, name="ctadata-credential", daemon=False)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is about to end
            self._background.release()
        else:
            wait_at_exit(thread)

    def _in_background(self) -> None:
        try:
            held = self._source.stored()
            if held is None or held.within(self._advisory, self._clock()):
                held = self._source.renewed(held.token if held else None, None)
            if held is not None:
                self._take(held)
            elif self._held is not None:
                self._next_try = self._clock() + min(max(self._held.life / 100, 0.25), 30.0)
        except CtaError as error:
            if self._held is not None:
                self._put_off(self._held, error)
        finally:
            self._background.release()

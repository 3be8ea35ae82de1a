"""Logins that wait for their user: the device authorization grant (RFC 8628)."""

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.oidc.clients import OAuthError

# RFC 8628, 6.1: no vowels, so that no words come out.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_SLOWER = 5.0
# A client that waits as it was told may still arrive a little early.
_TOLERANCE = 0.9


@dataclass(slots=True, kw_only=True)
class Waiting:
    """A login that waits.

    Attributes:
        client_id: Which client asked.
        scope: What it asked for.
        audience: For whom the token is to be, empty when nothing was said.
        expires: When it is too late, by the clock of the data centre.
        pace: Seconds that must lie between two polls.
        asked: When it was polled the last time.
        subject: Who has approved it.
        denied: Whether it was refused.
    """

    client_id: str
    scope: str
    audience: str
    expires: float
    pace: float
    asked: float | None = None
    subject: str | None = None
    denied: bool = False
    device_code: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    user_code: str = field(default_factory=lambda: f"{_letters()}-{_letters()}")


class Devices:
    """The logins that wait, and what was decided of them. Not thread-safe.

    Args:
        clock: Gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[str, Waiting] = {}
        self._decided: deque[str | None] = deque()

    @property
    def user_codes(self) -> list[str]:
        """The codes about which nothing is decided yet, oldest first."""
        return [waiting.user_code for waiting in self._undecided()]

    def begin(
        self, client_id: str, scope: str, audience: str, *, lifetime: float, pace: float, subject: str | None
    ) -> Waiting:
        """Let a login begin; it is decided at once when that was said before, or a subject is given."""
        waiting = Waiting(
            client_id=client_id, scope=scope, audience=audience, expires=self._clock() + lifetime, pace=pace
        )
        self._waiting[waiting.device_code] = waiting
        if self._decided:
            _decide(waiting, self._decided.popleft())
        elif subject is not None:
            _decide(waiting, subject)
        return waiting

    def decide(self, user_code: str, subject: str | None) -> None:
        """Approve a login for a user, or refuse it with None.

        Raises:
            ConfigError: When no login waits under this code.
        """
        wanted = user_code.replace("-", "").upper()
        for waiting in self._undecided():
            if waiting.user_code.replace("-", "") == wanted:
                return _decide(waiting, subject)
        raise ConfigError(f"no login waits under the code {user_code!r}", remedy="look at `waiting`")

    def decide_next(self, subject: str | None) -> None:
        """Decide the oldest login that waits, or the next that comes."""
        waiting = next(iter(self._undecided()), None)
        if waiting is None:
            self._decided.append(subject)
        else:
            _decide(waiting, subject)

    def poll(self, device_code: str, client_id: str, *, too_fast: bool = False) -> Waiting:
        """Return a login that was approved; it is then over.

        Args:
            device_code: What the client was given.
            client_id: Which client asks.
            too_fast: Answer `slow_down` whatever time has passed.

        Raises:
            OAuthError: As long as it was not, or when it never will be (RFC 8628, 3.5).
        """
        waiting = self._waiting.get(device_code)
        if waiting is None or waiting.client_id != client_id:
            raise OAuthError("invalid_grant", "Device code not valid")
        now = self._clock()
        since, waiting.asked = waiting.asked, now
        if now >= waiting.expires:
            del self._waiting[device_code]
            raise OAuthError("expired_token", "Device code is expired")
        if too_fast or (since is not None and now - since < waiting.pace * _TOLERANCE):
            waiting.pace += _SLOWER
            raise OAuthError("slow_down", "Slow down")
        if waiting.subject is None and not waiting.denied:
            raise OAuthError("authorization_pending", "The authorization request is still pending")
        del self._waiting[device_code]
        if waiting.denied:
            raise OAuthError("access_denied", "The end user denied the authorization request")
        return waiting

    def _undecided(self) -> list[Waiting]:
        now = self._clock()
        return [w for w in self._waiting.values() if w.subject is None and not w.denied and now < w.expires]


def _decide(waiting: Waiting, subject: str | None) -> None:
    waiting.subject, waiting.denied = subject, subject is None


def _letters() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(4))

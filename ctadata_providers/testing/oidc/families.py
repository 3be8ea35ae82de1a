"""Refresh tokens: each login begins a family, of which only the youngest token is good (RFC 9700, 4.14)."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from ctadata_providers.testing.oidc.clients import OAuthError

OFFLINE = "offline_access"


@dataclass(slots=True, kw_only=True)
class Family:
    """A login with its refresh tokens, one after the other.

    Attributes:
        subject: Who has logged in.
        client_id: By which client.
        scope: What was granted.
        audience: For whom access tokens are, empty when nothing was said.
        family_id: Its name.
        current: The refresh token that is good.
        expires: When that ends, seconds since the epoch; None for never.
        ended: Why none is good any more.
    """

    subject: str
    client_id: str
    scope: str
    audience: str
    family_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    current: str = field(default="", repr=False)
    expires: float | None = None
    ended: str = ""

    @property
    def is_offline(self) -> bool:
        """Whether it lives without a session of the user."""
        return OFFLINE in self.scope.split()


class Families:
    """All families of a provider. Not thread-safe.

    Args:
        clock: Gives the time of day, seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_token: dict[str, Family] = {}
        self._by_id: dict[str, Family] = {}
        self._reused: list[str] = []

    @property
    def reused(self) -> list[str]:
        """The families that ended because a token was used a second time."""
        return list(self._reused)

    def extend(self, family: Family, token: str, *, lifetime: float) -> None:
        """Make a token the good one of a family, for so many seconds unless it is for offline access."""
        family.current = token
        family.expires = None if family.is_offline else self._clock() + lifetime
        self._by_token[token] = family
        self._by_id[family.family_id] = family

    def use(self, token: str, client_id: str) -> Family:
        """Return the family whose good token this is. One that is so no more ends the family.

        Raises:
            OAuthError: `invalid_grant` when it is not good.
        """
        family = self._by_token.get(token)
        if family is None or family.client_id != client_id:
            raise OAuthError("invalid_grant", "Invalid refresh token")
        if family.ended:
            raise OAuthError("invalid_grant", family.ended)
        if family.expires is not None and self._clock() >= family.expires:
            raise OAuthError("invalid_grant", "Token is not active")
        if token != family.current:
            family.ended = "Session not active"
            self._reused.append(family.family_id)
            raise OAuthError("invalid_grant", "Maximum allowed refresh token reuse exceeded")
        return family

    def end(self, token: str, client_id: str) -> None:
        """End the family of a token; an unknown one is fine (RFC 7009, 2.2).

        Raises:
            OAuthError: When it belongs to another client.
        """
        if family := self._by_token.get(token):
            if family.client_id != client_id:
                raise OAuthError("invalid_token", "Unmatching clients")
            family.ended = family.ended or "Session not active"

    def end_all(self) -> None:
        """End every family, as an administrator does who logs everybody out."""
        for family in self._by_id.values():
            family.ended = family.ended or "Session not active"

    def is_over(self, family_id: str) -> bool:
        """Tell whether a family has ended; one without refresh tokens never has."""
        return family_id in self._by_id and bool(self._by_id[family_id].ended)

"""How an OpenID provider behaves: lives of tokens, the pace of polls, what it says of itself."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.tokens import FULL_SCOPE

ASSUMED_INTERVAL = 5.0
"""Seconds between two polls when nothing is said (RFC 8628, 3.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What can be told to an issuer; the defaults are Keycloak's.

    Attributes:
        token_lifetime: Seconds for which an access token is valid.
        device_lifetime: Seconds for which a login waits for its user.
        interval: Seconds between two polls of a waiting client; 0 lets it ask as often as it likes, None is not told
            to the client, which then has to take 5.
        session_lifetime: Seconds for which a refresh token is valid that is not for `offline_access`.
        rotation: Whether a refresh gives a new refresh token and ends the old one, whose second use ends its family;
            without it none is in the answer, and the old one stays.
        scope: What is granted when no storage scope is asked for.
        opaque: Whether access tokens are random text instead of JWTs.
        approve: Every login is approved at once for this user; None waits for somebody to do so.
        metadata: What the discovery document says instead; None takes an entry away.
    """

    token_lifetime: float = 300.0
    device_lifetime: float = 600.0
    interval: float | None = ASSUMED_INTERVAL
    session_lifetime: float = 1800.0
    rotation: bool = True
    scope: str = FULL_SCOPE
    opaque: bool = False
    approve: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("token_lifetime", "device_lifetime", "session_lifetime"):
            if not (_is_number(getattr(self, name)) and getattr(self, name) > 0):
                raise ConfigError(f"a {name} of {getattr(self, name)!r} s is none", remedy="use a number above 0")
        if self.interval is not None and not (_is_number(self.interval) and self.interval >= 0):
            raise ConfigError(f"an interval of {self.interval!r} s is none", remedy="use a number from 0 on, or None")
        if not (self.approve is None or (isinstance(self.approve, str) and self.approve)):
            raise ConfigError(f"approve={self.approve!r} names no user", remedy="use a name, or None")
        if not isinstance(self.scope, str) or not isinstance(self.metadata, Mapping):
            raise ConfigError("scope is a text, metadata a mapping", remedy="use '' or {} for none")

    @property
    def pace(self) -> float:
        """Seconds that a client has to wait between two polls."""
        return ASSUMED_INTERVAL if self.interval is None else self.interval


def _is_number(value: object) -> bool:
    """Tell whether a value can stand in JSON as a number."""
    return isinstance(value, int | float) and math.isfinite(value)

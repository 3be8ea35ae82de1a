"""Bearer tokens of the WLCG profile: issued, checked, and turned into rights as dCache does."""

import base64
import enum
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ctadata_providers.errors import ConfigError

FULL_SCOPE = "storage.read:/ storage.create:/ storage.modify:/ storage.stage:/"
ISSUER = "https://issuer.sandbox.invalid/"
# WLCG token profile 1.0: the audience that every service accepts.
ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"


class Activity(enum.Flag):
    """What a login may do; dCache's own names."""

    LIST = enum.auto()
    READ_METADATA = enum.auto()
    DOWNLOAD = enum.auto()
    UPLOAD = enum.auto()
    MANAGE = enum.auto()
    DELETE = enum.auto()
    UPDATE_METADATA = enum.auto()
    STAGE = enum.auto()


READING = Activity.LIST | Activity.READ_METADATA | Activity.DOWNLOAD
_WRITE = Activity.READ_METADATA | Activity.UPLOAD | Activity.MANAGE | Activity.UPDATE_METADATA
# dCache: gplazma2-oidc, WlcgProfile.
_ACTIVITIES = {
    "storage.read": READING,
    "storage.create": _WRITE,
    "storage.modify": _WRITE | Activity.LIST | Activity.DELETE,
    "storage.stage": READING | Activity.STAGE,
    "storage.poll": Activity.READ_METADATA,
}
Grants = tuple[tuple[Activity, str], ...]
"""Permitted activities with the path at and below which they hold."""

EVERYTHING = READING | _WRITE | Activity.DELETE | Activity.STAGE
# dCache: MultiTargetedRestriction allows these on the folders above a permitted path.
_ALLOWED_ON_PARENTS = Activity.LIST | Activity.READ_METADATA


class LoginError(Exception):
    """A credential is not accepted; the text is the reason shown to the client."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks, and what is permitted where.

    Attributes:
        subject: The name in the token, None for an anonymous client.
        grants: Permitted activities with the path at and below which they hold.
    """

    subject: str | None
    grants: Grants

    @property
    def home(self) -> str:
        """The folder to which a user is led who may not list the root."""
        return f"/users/{self.subject}"

    def may(self, activity: Activity, path: str) -> bool:
        """Tell whether an activity is permitted on a path."""
        for activities, top in self.grants:
            if activity in activities and _is_at_or_below(path, top):
                return True
            if activity in _ALLOWED_ON_PARENTS and _is_at_or_below(top, path):
                return True
        return False


class TokenIssuer:
    """Issues and checks JWTs (RFC 7519, HS256) with a key of its own.

    Args:
        clock: Gives the time, seconds since the epoch.
        prefix: The folder below which the paths of scopes lie (dCache: `-prefix` of an issuer).

    Attributes:
        audiences: The audiences of tokens that are accepted.
        readers: Each gives the claims of a token of another issuer that is trusted too, None for one that is not its
            own, and raises `LoginError` for a forged one.

    Raises:
        ConfigError: When the prefix is no path.
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, prefix: str = "/") -> None:
        if prefix[:1] != "/":
            raise ConfigError(f"{prefix!r} is no path", remedy="let issuer_prefix begin with /")
        self._key = secrets.token_bytes(32)
        self._clock = clock
        self._prefix = prefix.rstrip("/")
        self.audiences = {ANY_AUDIENCE}
        self.readers: list[Callable[[str], Mapping[str, Any] | None]] = []

    def issue(
        self,
        *,
        lifetime: float = 3600.0,
        scope: str = FULL_SCOPE,
        subject: str = "alice",
        audience: str = ANY_AUDIENCE,
        issuer: str = ISSUER,
    ) -> str:
        """Return a signed token; a lifetime below zero makes one that has expired."""
        now = self._clock()
        # A token that expires before it begins would fail for another reason than its age.
        begin = min(now, now + lifetime) - 5
        claims = {
            "wlcg.ver": "1.0",
            "iss": issuer,
            "sub": subject,
            "aud": audience,
            "iat": int(begin),
            "nbf": int(begin),
            "exp": round(now + lifetime, 3),
            "jti": str(uuid.uuid4()),
            "scope": scope,
        }
        signed = f"{encode_part({'typ': 'JWT', 'alg': 'HS256'})}.{encode_part(claims)}"
        return f"{signed}.{self._sign(signed)}"

    def login(self, token: str) -> Login:
        """Return what a token permits.

        Raises:
            LoginError: When it is malformed, not signed by this issuer, not for this audience, too early
                or expired.
        """
        if not token.isascii():
            raise LoginError("unable to parse bearer token")
        claims = next(filter(None, (read(token) for read in self.readers)), None) or self._read_own(token)
        audience = claims.get("aud")
        if self.audiences.isdisjoint(audience if isinstance(audience, list) else [audience]):
            raise LoginError("token is intended for another audience")
        self._check_time(claims)
        subject = claims.get("preferred_username") or claims.get("sub")
        return Login(subject=str(subject), grants=_grants(str(claims.get("scope", "")), self._prefix))

    def _read_own(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token of this issuer."""
        signed, _, signature = token.rpartition(".")
        head, body = map(read_part, signed.partition(".")[::2])
        if not head or not body:
            raise LoginError("unable to parse bearer token")
        if body.get("iss") != ISSUER:
            raise LoginError("token issued by an unknown issuer")
        if head.get("alg") != "HS256" or not hmac.compare_digest(signature.encode(), self._sign(signed).encode()):
            raise LoginError("token signature is invalid")
        return body

    def _check_time(self, claims: Mapping[str, Any]) -> None:
        """Refuse a token outside its time."""
        now = self._clock()
        if now >= float(claims["exp"]):
            raise LoginError("token has expired")
        if now < float(claims.get("nbf", 0)):
            raise LoginError("token is not yet valid")

    def _sign(self, text: str) -> str:
        digest = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        return encode_bytes(digest)


def _grants(scope: str, prefix: str = "") -> Grants:
    """Return the activities of a scope claim, one grant for each storage scope with a path.

    >>> [(a.name, p) for a, p in _grants("openid storage.poll:/lst/")]
    [('READ_METADATA', '/lst')]
    """
    grants = []
    for item in scope.split():
        name, colon, path = item.partition(":")
        if colon and path.startswith("/") and name in _ACTIVITIES:
            grants.append((_ACTIVITIES[name], (prefix + path).rstrip("/") or "/"))
    return tuple(grants)


def _is_at_or_below(path: str, top: str) -> bool:
    return path == top or top == "/" or path.startswith(f"{top}/")


def encode_part(value: Mapping[str, object]) -> str:
    """Return head or claims of a JWT as they stand in it."""
    return encode_bytes(json.dumps(value, separators=(",", ":")).encode())


def encode_bytes(data: bytes) -> str:
    """Return bytes as base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_part(part: str) -> dict[str, Any]:
    """Return head or claims of a JWT, none for what is no JSON object."""
    try:
        found = json.loads(decode_part(part))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def decode_part(part: str) -> bytes:
    """Return the bytes of a part of a JWT.

    Raises:
        ValueError: When it is not base64url.
    """
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)

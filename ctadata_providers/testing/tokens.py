"""Bearer tokens of the WLCG profile: issued, checked, and turned into rights as dCache does."""

import base64
import binascii
import enum
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
    grants: tuple[tuple[Activity, str], ...]

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
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, prefix: str = "/") -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock
        self._prefix = prefix.rstrip("/")

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
        signed = f"{_encode({'typ': 'JWT', 'alg': 'HS256'})}.{_encode(claims)}"
        return f"{signed}.{self._sign(signed)}"

    def login(self, token: str) -> Login:
        """Return what a token permits.

        Raises:
            LoginError: When it is malformed, not signed by this issuer, not for this audience, too early
                or expired.
        """
        signed, _, signature = token.rpartition(".")
        try:
            head, body = (json.loads(_decode(part)) for part in signed.split("."))
        except (ValueError, binascii.Error) as error:
            raise LoginError("unable to parse bearer token") from error
        if not isinstance(head, dict) or not isinstance(body, dict):
            raise LoginError("unable to parse bearer token")
        if body.get("iss") != ISSUER:
            raise LoginError("token issued by an unknown issuer")
        if head.get("alg") != "HS256" or not hmac.compare_digest(signature.encode(), self._sign(signed).encode()):
            raise LoginError("token signature is invalid")
        if body.get("aud") != ANY_AUDIENCE:
            raise LoginError("token is intended for another audience")
        self._check_time(body)
        return Login(subject=str(body.get("sub")), grants=_grants(str(body.get("scope", "")), self._prefix))

    def _check_time(self, claims: dict[str, Any]) -> None:
        """Refuse a token outside its time."""
        now = self._clock()
        if now >= float(claims["exp"]):
            raise LoginError("token has expired")
        if now < float(claims["nbf"]):
            raise LoginError("token is not yet valid")

    def _sign(self, text: str) -> str:
        digest = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _grants(scope: str, prefix: str = "") -> tuple[tuple[Activity, str], ...]:
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


def _encode(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _decode(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)

"""Bearer tokens: a value, or a file that is read again when it changes."""

import base64
import binascii
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctadata_providers.errors import CredentialError

WHITESPACE = " \t\n\v\f\r"
"""C99 white space, which WLCG bearer token discovery strips."""
LONGEST_TOKEN = 65536
CLOCK_LEEWAY = 60.0


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; its value is in no representation and no pickle.

    Attributes:
        value: What goes behind `Bearer `.
        expires_at: Epoch seconds, None when the token does not tell (it is opaque).
        scopes: The scopes that the token tells, None when it does not tell.
        source: Where it came from, for messages.
    """

    value: str = field(repr=False)
    expires_at: float | None = None
    scopes: frozenset[str] | None = None
    source: str = ""

    @classmethod
    def parse(cls, text: str, *, source: str) -> "Token":
        """Make a token of a text; what a JWT says of itself is read unverified, as a hint only (RFC 7519).

        Raises:
            CredentialError: When the text cannot be sent as a bearer token (RFC 6750).
        """
        value = text.strip(WHITESPACE)
        if not value or len(value) > LONGEST_TOKEN or not all(33 <= ord(c) <= 126 for c in value):
            raise CredentialError(
                f"{source} does not hold a bearer token (empty, too long, or with a blank, newline or odd character)",
                remedy="write the token alone into it, or ask your token issuer for a new one",
            )
        claims = _claims(value)
        scope = claims.get("scope")
        return cls(
            value=value,
            expires_at=_time(claims.get("exp")),
            scopes=frozenset(scope.split()) if isinstance(scope, str) else None,
            source=source,
        )

    def expired(self, now: float) -> bool:
        """Tell whether the token says that it has expired, with a minute's grace for a wrong clock."""
        return self.expires_at is not None and now >= self.expires_at + CLOCK_LEEWAY

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a Token is not pickled: the other process resolves its own")


TokenProvider = Callable[[], Token]
"""Gives a token that is good now; raises CredentialError when there is none."""


def fixed_token(text: str, *, source: str) -> TokenProvider:
    """Return a provider of one token."""
    parsed = Token.parse(text, source=source)
    return lambda: parsed


class FileToken:
    """Provides the token of a file, read at the first call and again when the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[tuple[int, int, int], Token] | None = None

    def __call__(self) -> Token:
        """Return the token that the file holds now.

        Raises:
            CredentialError: When the file cannot be read or holds no token.
        """
        source = f"token file {self._path}"
        try:
            stat = os.stat(self._path)  # noqa: PTH116 (called for every request: a third of the cost of Path.stat)
            signature = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if self._seen and self._seen[0] == signature:
                return self._seen[1]
            with self._path.open("rb") as file:
                text = file.read(LONGEST_TOKEN + 1).decode("ascii", "replace")
        except OSError as error:
            raise CredentialError(
                f"cannot read {source}: {error.strerror}",
                path=self._path,
                remedy="check token_file (BEARER_TOKEN_FILE) and the file's permissions",
            ) from error
        token = Token.parse(text, source=source)
        self._seen = (signature, token)
        return token


def require_fresh(token: Token, *, clock: Callable[[], float] = time.time) -> Token:
    """Return the token if it has not expired by its own words.

    Raises:
        CredentialError: When it has: sending it would only count towards a ban (dCache blocks an address after three).
    """
    if token.expired(clock()):
        ago = clock() - (token.expires_at or 0)
        raise CredentialError(
            f"the token of {token.source} expired {ago:.0f} s ago",
            remedy="get a new token (for example: oidc-token ACCOUNT > FILE) and run again",
        )
    return token


def _time(value: object) -> float | None:
    """Return a NumericDate (RFC 7519), None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
        return None
    return float(value)


def _claims(token: str) -> dict[str, Any]:
    """Return the unverified claims of a JWT, empty for an opaque token."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    payload = parts[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}

"""Bearer tokens: what they say of themselves, and what gives them."""

import base64
import binascii
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from ctadata_providers.credentials.discreet import discreet
from ctadata_providers.errors import CredentialError

WHITESPACE = " \t\n\v\f\r"
"""C99 white space, which WLCG bearer token discovery strips."""
LONGEST_TOKEN = 65536
CLOCK_LEEWAY = 60.0


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token; its value is in no representation and no pickle.

    All but the value is read unverified and may be missing: it is a hint for us, only the server judges.

    Attributes:
        value: What goes behind `Bearer `.
        expires_at: Epoch seconds, None when the token does not tell (it is opaque).
        issued_at: Epoch seconds, None when the token does not tell.
        scopes: The scopes that the token tells, None when it does not tell.
        issuer: Who issued it.
        audience: Whom it is for.
        subject: Whom it speaks for, as the issuer's own name for them.
        username: The name by which that person logs in (Keycloak's `preferred_username`).
        source: Where it came from, for messages.
    """

    value: str = field(repr=False)
    expires_at: float | None = None
    issued_at: float | None = None
    scopes: frozenset[str] | None = None
    issuer: str | None = None
    audience: tuple[str, ...] = ()
    subject: str | None = None
    username: str | None = None
    source: str = ""

    @classmethod
    @discreet
    def parse(cls, text: str, *, source: str, path: Path | None = None) -> Self:
        """Make a token of a text; what a JWT says of itself is read unverified, as a hint only (RFC 7519).

        Args:
            text: The token, perhaps with white space around it.
            source: Where it came from.
            path: The file, where it came from one.

        Raises:
            CredentialError: When the text cannot be sent as a bearer token (RFC 6750).
        """
        value = text.strip(WHITESPACE)
        if not value or len(value) > LONGEST_TOKEN or not all(33 <= ord(c) <= 126 for c in value):
            raise CredentialError(
                f"{source} does not hold a bearer token (empty, too long, or with a blank, newline or odd character)",
                path=path,
                remedy="write the token alone into it, or ask your token issuer for a new one",
            )
        claims = _claims(value)
        scope = _text(claims.get("scope"))
        return cls(
            value=value,
            expires_at=_time(claims.get("exp")),
            issued_at=_time(claims.get("iat")),
            scopes=None if scope is None else frozenset(scope.split()),
            issuer=_text(claims.get("iss")),
            audience=_texts(claims.get("aud")),
            subject=_text(claims.get("sub")),
            username=_text(claims.get("preferred_username")),
            source=source,
        )

    def expired(self, now: float) -> bool:
        """Tell whether the token says that it has expired, with a minute's grace for a wrong clock."""
        return self.dead(now - CLOCK_LEEWAY)

    def dead(self, now: float) -> bool:
        """Tell whether the token says that it has ended, to the second."""
        return self.expires_at is not None and now >= self.expires_at

    def life_left(self, now: float) -> float | None:
        """Return the seconds until the token ends, below zero afterwards; None when it does not tell."""
        return None if self.expires_at is None else self.expires_at - now

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a Token is not pickled: the other process resolves its own")


TokenProvider = Callable[[], Token]
"""Gives a token that is good now; raises CredentialError when there is none."""


@runtime_checkable
class Prompt(Protocol):
    """A token provider that can tell at once whether it has a token."""

    def __call__(self) -> Token:
        """Return a token that is good now, after waiting for it if need be."""

    def ready(self) -> Token | None:
        """Return the token if it can be sent now, after no more than a look at one file; else None."""


@runtime_checkable
class Renewable(Prompt, Protocol):
    """A token provider that can get another token before the present one ends."""

    def renew(self, rejected: Token) -> Token:
        """Return another token than the rejected one.

        However many ask, in threads and processes, one rejected token costs one refresh at most.

        Raises:
            CredentialError: When there is none.
            TransientError: When whoever gives them is away.
        """


@dataclass(frozen=True, slots=True)
class FixedToken:
    """Provides one token, for ever the same."""

    token: Token

    def __call__(self) -> Token:
        """Return the token."""
        return self.token

    def ready(self) -> Token:
        """Return the token."""
        return self.token


def read_file(path: Path) -> bytes:
    """Return the first bytes of a file, enough to hold a token; links are followed."""
    with path.open("rb") as file:
        return file.read(LONGEST_TOKEN + 1)


class FileToken:
    """Provides the token of a file, read at the first call and again when the file has changed.

    A token that has ended is read again at each call: on a file system of the network what a look at the file tells may
    be a minute old, longer than some tokens have left when they are replaced. To open it asks the server.

    While the file is empty the last token goes on, as long as it lives: `program > file` empties it first, and writes
    when the program has got the next one.

    Args:
        path: The file.
        read: Returns its first bytes; raises OSError or CredentialError.
        follow: Whether the path may be a symbolic link.
        remedy: What to do when it cannot be read.
    """

    def __init__(
        self,
        path: Path,
        *,
        read: Callable[[Path], bytes] = read_file,
        follow: bool = True,
        remedy: str = "check token_file (BEARER_TOKEN_FILE) and the file's permissions",
    ) -> None:
        self.path = path
        self._read = read
        self._stat = os.stat if follow else os.lstat
        self._remedy = remedy
        self._seen: tuple[tuple[int, ...], Token] | None = None

    def __call__(self) -> Token:
        """Return the token that the file holds now.

        Raises:
            CredentialError: When the file cannot be read or holds no token.
        """
        return self._token(again=False)

    def read_again(self) -> Token:
        """Return the token that the file holds now, whether the file seems to have changed or not.

        Raises:
            CredentialError: When the file cannot be read or holds no token.
        """
        return self._token(again=True)

    @discreet
    def _token(self, *, again: bool) -> Token:
        source = f"token file {self.path}"
        try:
            signature = self._signature()
            if self._seen and self._seen[0] == signature and not (again or self._seen[1].dead(time.time())):
                return self._seen[1]
            text = self._read(self.path).decode("ascii", "replace")
        except OSError as error:
            raise CredentialError(
                f"cannot read {source}: {error.strerror}", path=self.path, remedy=self._remedy
            ) from error
        if self._seen and not text.strip(WHITESPACE) and not self._seen[1].expired(time.time()):
            return self._seen[1]
        token = Token.parse(text, source=source, path=self.path)
        self._seen = (signature, token)
        return token

    def ready(self) -> Token | None:
        """Return the token if it lives and the file is as it was when it was read."""
        if self._seen is None or self._seen[1].dead(time.time()):
            return None
        try:
            return self._seen[1] if self._signature() == self._seen[0] else None
        except OSError:
            return None

    def _signature(self) -> tuple[int, ...]:
        """Return what changes when the file does (called for every request: `os.stat` costs a third of `Path.stat`)."""
        stat = self._stat(self.path)
        return stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_ctime_ns


def require_fresh(token: Token, *, clock: Callable[[], float] = time.time) -> Token:
    """Return the token if it has not expired by its own words.

    Raises:
        CredentialError: When it has: sending it would only count towards a ban (dCache blocks an address after three).
    """
    if token.expired(clock()):
        ago = clock() - (token.expires_at or 0)
        raise CredentialError(
            f"the token of {token.source} expired {ago:.0f} s ago by the clock of this machine",
            remedy="put a new token there, or take it away and say 'ctadata login'; 'ctadata doctor' tells more",
        )
    return token


def _time(value: object) -> float | None:
    """Return a NumericDate (RFC 7519), None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
        return None
    return float(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> tuple[str, ...]:
    """Return an audience, which is a text or a list of them (RFC 7519)."""
    values = value if isinstance(value, list) else [value]
    return tuple(text for text in values if isinstance(text, str) and text)


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

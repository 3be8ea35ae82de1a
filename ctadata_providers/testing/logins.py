"""Who asks the door: from tokens, passwords and client certificates to rights."""

import base64
import hmac
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.exchange import Exchange, Refusal
from ctadata_providers.testing.tokens import EVERYTHING, READING, Grants, Login, LoginError, TokenIssuer

Anonymous = bool | Literal["full"]
_ANONYMOUS_GRANTS: dict[Anonymous, Grants] = {
    False: (),
    True: ((READING, "/"),),
    "full": ((EVERYTHING, "/"),),
}


class Logins:
    """Turns the credentials of a request into a login, in one step for all of them (dCache: AuthenticationHandler).

    A token or a password that is refused fails the login, whatever else there is; its rights are all that the
    request has.

    Args:
        issuer: Who checks tokens.
        users: Passwords by name.
        anonymous: What a client without credential may do: nothing, read, or everything.
        secure: Whether the door speaks TLS; without it no credential is accepted.
        cache_seconds: For how long the result of a token's check is kept (webdav.service.gplazma.cache.timeout).
        clock: Gives the time in seconds.

    Raises:
        ConfigError: When `anonymous` is none of these.
    """

    def __init__(
        self,
        issuer: TokenIssuer,
        users: Mapping[str, str],
        *,
        anonymous: Anonymous,
        secure: bool,
        cache_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        if anonymous not in _ANONYMOUS_GRANTS:
            raise ConfigError(f"{anonymous!r} is nothing for anonymous", remedy='use True or "full"')
        self._issuer = issuer
        self._users = dict(users)
        self._anonymous = Login(subject=None, grants=_ANONYMOUS_GRANTS[anonymous])
        self._secure = secure
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._cache: dict[str, tuple[Login | LoginError, float]] = {}

    def login(self, exchange: Exchange) -> Login:
        """Return who sent a request.

        Raises:
            Refusal: 401 when a credential is not accepted.
        """
        scheme, _, secret = exchange.headers.get("Authorization", "").partition(" ")
        if not scheme and (secret := exchange.query.get("authz", "").removeprefix("Bearer ")):
            scheme = "Bearer"
        try:
            match scheme.lower():
                case "":
                    return self._by_certificate(exchange) or self._anonymous
                case "bearer":
                    self._check_secure("bearer token")
                    return self._by_token(secret.strip())
                case "basic":
                    self._check_secure("password")
                    return self._by_password(secret.strip())
            # The scheme is not named: it may be a token without one.
            raise LoginError("unknown scheme")
        except LoginError as error:
            raise Refusal(401, f"Login failed: {error}") from error

    def forget(self) -> None:
        """Forget all results that are kept."""
        self._cache.clear()

    def _check_secure(self, what: str) -> None:
        if not self._secure:
            raise LoginError(f"not allowed to send {what} unencrypted")

    def _by_token(self, token: str) -> Login:
        """Check a token, or remember what came of it the last time."""
        if not self._cache_seconds:
            return self._issuer.login(token)
        known, until = self._cache.get(token, (None, 0.0))
        if known is None or self._clock() >= until:
            try:
                known = self._issuer.login(token)
            except LoginError as error:
                known = error
            self._cache[token] = known, self._clock() + self._cache_seconds
        if isinstance(known, LoginError):
            raise known
        return known

    def _by_password(self, text: str) -> Login:
        try:
            name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
        except ValueError as error:
            raise LoginError("unable to parse name and password") from error
        if name not in self._users or not hmac.compare_digest(self._users[name].encode(), password.encode()):
            raise LoginError("unknown user or wrong password")
        return Login(subject=name, grants=((EVERYTHING, "/"),))

    def _by_certificate(self, exchange: Exchange) -> Login | None:
        """Log in by the certificate that the TLS handshake has verified."""
        transport = exchange.request.transport
        connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object") if transport else None
        certificate: Mapping[str, Any] | None = connection.getpeercert() if connection else None
        if not certificate:
            return None
        names = [value for rdn in certificate["subject"] for name, value in rdn if name == "commonName"]
        # A proxy adds a number to the name of its user (RFC 3820, 3.4).
        return Login(subject=names[0], grants=((EVERYTHING, "/"),))

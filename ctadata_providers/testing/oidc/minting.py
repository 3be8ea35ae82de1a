"""What a token endpoint gives out: access, refresh and identity tokens, with Keycloak's claims."""

import math
import secrets
import uuid
from collections.abc import Callable, Mapping

from ctadata_providers.testing.oidc.families import Family
from ctadata_providers.testing.oidc.keys import Claims, read_claims, signing_key
from ctadata_providers.testing.oidc.manners import Manners
from ctadata_providers.testing.tokens import ANY_AUDIENCE, LoginError


class Mint:
    """Makes the tokens of one provider, and knows them again.

    Args:
        url: The provider's name, which stands in each token.
        clock: Gives the time of day, seconds since the epoch.
    """

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self._url = url
        self._clock = clock
        self._opaque: dict[str, Claims] = {}
        self._revoked: set[str] = set()

    def answer(self, family: Family, manners: Manners, refresh_token: str | None) -> dict[str, object]:
        """Return the answer of the token endpoint (RFC 6749, 5.1)."""
        claims = self._claims(family, manners.token_lifetime)
        answer: dict[str, object] = {
            "access_token": self._access_token(claims, manners),
            "expires_in": tidy(manners.token_lifetime),
            "token_type": "Bearer",
            "not-before-policy": 0,
            "session_state": family.family_id,
            "scope": family.scope,
        }
        if refresh_token is not None:
            # Keycloak: 0 is never.
            left = 0 if family.is_offline else tidy(manners.session_lifetime)
            answer |= {"refresh_token": refresh_token, "refresh_expires_in": left}
        if "openid" in family.scope.split():
            answer["id_token"] = signing_key().sign(
                {**claims, "typ": "ID", "aud": family.client_id, "jti": str(uuid.uuid4())}
            )
        return answer

    def refresh_token(self) -> str:
        """Return a new refresh token: random, since only the provider reads it."""
        return secrets.token_urlsafe(48)

    def read(self, token: str) -> Claims | None:
        """Return the claims of an access token, or None when it is none of this provider.

        Raises:
            LoginError: When it says that it is, and is not.
        """
        if token in self._opaque:
            return self._opaque[token]
        if read_claims(token).get("iss") != self._url:
            return None
        return signing_key().verify(token)

    def revoke(self, token: str) -> None:
        """Let the provider itself refuse an access token; a door that reads it offline knows nothing of that."""
        if claims := self._known(token):
            self._revoked.add(str(claims["jti"]))

    def introspect(self, token: str) -> Claims | None:
        """Return the claims of an access token that is good now, as the provider sees it."""
        claims = self._known(token)
        if claims is None or claims["jti"] in self._revoked or self._clock() >= claims["exp"]:
            return None
        return claims if claims["typ"] == "Bearer" else None

    def forget(self) -> None:
        """Forget every opaque token, and what was revoked."""
        self._opaque.clear()
        self._revoked.clear()

    def _known(self, token: str) -> Claims | None:
        try:
            return self.read(token)
        except LoginError:
            return None

    def _access_token(self, claims: Claims, manners: Manners) -> str:
        if not manners.opaque:
            return signing_key().sign(claims)
        token = secrets.token_urlsafe(32)
        self._opaque[token] = claims
        return token

    def _claims(self, family: Family, lifetime: float) -> Claims:
        # Keycloak counts in whole seconds.
        issued = math.floor(self._clock()) if float(lifetime).is_integer() else round(self._clock(), 3)
        return {
            "exp": tidy(issued + lifetime),
            "iat": issued,
            "nbf": issued,  # XRootD takes no token without
            "jti": str(uuid.uuid4()),
            "iss": self._url,
            "aud": family.audience or ANY_AUDIENCE,
            # Keycloak's subjects are no names.
            "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._url}/users/{family.subject}")),
            "typ": "Bearer",
            "azp": family.client_id,
            "sid": family.family_id,
            "wlcg.ver": "1.0",
            "scope": family.scope,
            "preferred_username": family.subject,
        }


def userinfo(claims: Mapping[str, object]) -> dict[str, object]:
    """Return what the userinfo endpoint tells of a token's user."""
    return {"sub": claims["sub"], "preferred_username": claims["preferred_username"]}


def tidy(seconds: float) -> float | int:
    """Return whole seconds as an integer, as servers write them."""
    return int(seconds) if float(seconds).is_integer() else round(seconds, 3)

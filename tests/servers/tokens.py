"""A token issuer without a server: WLCG bearer tokens and the key set that verifies them."""

import json
import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
FULL_SCOPE = "storage.read:/ storage.create:/ storage.modify:/ storage.stage:/"


class TokenIssuer:
    """Signs WLCG tokens (ES256) under one issuer name.

    No trailing slash in the name: XRootD then refuses every token.
    """

    def __init__(self, issuer: str = "https://issuer.invalid/realms/test") -> None:
        self.issuer = issuer
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._key_id = "test-key"

    def jwks(self) -> dict[str, Any]:
        """Return the JSON Web Key Set with the public key."""
        key: dict[str, Any] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**key, "kid": self._key_id, "alg": "ES256", "use": "sig"}]}

    def mint(
        self,
        *,
        scope: str = FULL_SCOPE,
        subject: str = "alice",
        audience: str = ANY_AUDIENCE,
        lifetime: float = 3600.0,
    ) -> str:
        """Return a signed token; a negative lifetime makes an expired one."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": subject,
            "aud": audience,
            "scope": scope,
            "iat": now - 60,
            "nbf": now - 60,
            "exp": int(now + lifetime),
            "jti": str(uuid.uuid4()),
            "wlcg.ver": "1.0",
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._key_id})

"""The key with which access tokens are signed: RS256 (RFC 7518, 3.3), as Keycloak does by default."""

import base64
import hashlib
import threading
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ctadata_providers.testing.tokens import LoginError, decode_part, encode_bytes, encode_part, read_part

Claims = dict[str, Any]


class SigningKey:
    """An RSA key of 2048 bits: making one takes some ten milliseconds."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._key.public_key().public_numbers()
        modulus, exponent = _number(numbers.n), _number(numbers.e)
        self.key_id = encode_bytes(hashlib.sha256(modulus.encode()).digest())
        self.jwk = {"kid": self.key_id, "kty": "RSA", "alg": "RS256", "use": "sig", "n": modulus, "e": exponent}

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return a JWT."""
        signed = f"{encode_part({'alg': 'RS256', 'typ': 'JWT', 'kid': self.key_id})}.{encode_part(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{encode_bytes(signature)}"

    def verify(self, token: str) -> Claims:
        """Return the claims of a token that this key has signed.

        Raises:
            LoginError: When it has not.
        """
        signed, _, signature = token.rpartition(".")
        head = read_part(signed.partition(".")[0])
        if head.get("alg") != "RS256" or head.get("kid") != self.key_id:
            raise LoginError("token signature is invalid")
        try:
            self._key.public_key().verify(decode_part(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError) as error:
            raise LoginError("token signature is invalid") from error
        return read_claims(token)


def read_claims(token: str) -> Claims:
    """Return the claims of a JWT without a look at its signature; none for what is no JWT."""
    return read_part(token.partition(".")[2].partition(".")[0])


_lock = threading.Lock()
_made: list[SigningKey] = []


def signing_key() -> SigningKey:
    """Return the key of this process, made at the first call."""
    with _lock:
        if not _made:
            _made.append(SigningKey())
        return _made[0]


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()

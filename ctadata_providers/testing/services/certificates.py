"""The certificates that users have delegated: what is stored for whom, and whether it is any good."""

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from ctadata_providers.testing.services.users import fragment

CertificateState = Literal["none", "expired", "valid", "keyless"]
"""What a user has for a key: nothing, something too old, something good, or a certificate without its key."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\r?\n?", re.DOTALL)
_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
_LONGEST = datetime.timedelta(days=7)


class CertificateError(Exception):
    """A certificate is refused, or there is none; the text is what users are shown."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A certificate that is stored.

    Attributes:
        expires: When it expires, None for never.
        has_key: Whether its private key is with it.
    """

    expires: datetime.datetime | None = None
    has_key: bool = True


_STATES: dict[CertificateState, Stored | None] = {
    "none": None,
    "expired": Stored(datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)),
    "valid": Stored(),
    "keyless": Stored(has_key=False),
}


class Certificates:
    """What is stored for whom. Everybody has a good certificate for every key unless it is said otherwise.

    Args:
        ca_pem: Who must have signed what is uploaded; None when no authority is configured.
        wall_clock: Gives the time of day.
    """

    def __init__(self, ca_pem: bytes | None, wall_clock: Callable[[], float]) -> None:
        self._authority = x509.load_pem_x509_certificate(ca_pem) if ca_pem else None
        self._wall_clock = wall_clock
        self._own: dict[tuple[str, str], Stored | None] = {}
        self.shared: Stored | None = Stored()

    def reset(self) -> None:
        """Let everybody have a good certificate again."""
        self._own.clear()
        self.shared = Stored()

    def set_state(self, user: str, key: str, state: CertificateState) -> None:
        """Say what a user has for a key."""
        self._own[fragment(user), key] = _STATES[state]

    def set_shared(self, state: CertificateState) -> None:
        """Say what the shared certificate is."""
        self.shared = _STATES[state]

    def own(self, user: str, key: str) -> Stored | None:
        """Return what a user has for a key."""
        return self._own.get((fragment(user), key), Stored())

    def find(self, user: str, key: str, *, shared: bool) -> Stored:
        """Return the certificate with which the storage is asked.

        Args:
            user: For whom.
            key: For which part of the storage.
            shared: Whether the shared one will do if there is none of the user's own.

        Raises:
            CertificateError: When there is none, or it has expired.
        """
        own = self.own(user, key)
        found = own or (self.shared if shared else None)
        if found is None:
            raise CertificateError("You do not have any certificate configured")
        if self.has_expired(found):
            if own:
                raise CertificateError("Your configured certificate is invalid, please reupload it.")
            raise CertificateError("Configured certificate invalid please contact CTAO CD Admin team.")
        return found

    def has_expired(self, stored: Stored) -> bool:
        """Tell whether a certificate is too old."""
        return stored.expires is not None and stored.expires <= self._now()

    def store(self, user: str, key: str, pem: str) -> datetime.datetime | None:
        """Store a user's certificate, and return until when it is valid; None when it is for too long.

        Raises:
            CertificateError: When its chain is wrong or it has expired.
        """
        stored = self._verified(pem)
        if stored is None:
            return None
        self._own[fragment(user), key] = stored
        return stored.expires

    def store_shared(self, pem: str) -> bool:
        """Store the shared certificate, and tell whether that was done: not when it is valid for too long.

        Raises:
            CertificateError: When its chain is wrong or it has expired.
        """
        stored = self._verified(pem)
        self.shared = stored or self.shared
        return stored is not None

    def _verified(self, pem: str) -> Stored | None:
        chain = self._chain(pem)
        self._require_chain(chain)
        expires = chain[0].not_valid_after_utc
        # By days, not hours.
        if expires.date() > self._now().date() + _LONGEST:
            return None
        # The chain was checked, and nobody looks for the key.
        return Stored(expires, has_key=_KEY.search(pem) is not None)

    def _chain(self, pem: str) -> list[x509.Certificate]:
        try:
            chain = [x509.load_pem_x509_certificate(found.encode()) for found in _CERTIFICATE.findall(pem)]
        except ValueError as error:
            raise CertificateError(f"invalid certificate : {error}") from error
        if not chain:
            raise CertificateError("no valid certificate provided")
        return chain

    def _require_chain(self, chain: list[x509.Certificate]) -> None:
        """See that each is signed by the next, the last by the authority, and that none has expired."""
        now = self._now()
        issuers = [*chain[1:], *([self._authority] if self._authority else [])]
        try:
            if len(issuers) != len(chain):
                raise ValueError("no authority is configured")
            for certificate, issuer in zip(chain, issuers, strict=True):
                certificate.verify_directly_issued_by(issuer)
                if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
                    raise ValueError("outside of its time")
        except (ValueError, TypeError, InvalidSignature) as error:
            raise CertificateError("invalid certificate verification chain") from error

    def _now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self._wall_clock(), datetime.UTC)

"""Client certificates: an RFC 3820 proxy, or a certificate with its key."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ctadata_providers.errors import CredentialError


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Files that TLS presents to the origins they are bound to.

    Attributes:
        cert_file: PEM of the certificate; of a proxy also its key and chain.
        key_file: PEM of the private key; None when `cert_file` holds it.
    """

    cert_file: Path
    key_file: Path | None = None

    def check(self) -> None:
        """Make sure that the files can be used now.

        An expired certificate would otherwise show only as a broken TLS connection, because a TLS 1.3 handshake
        succeeds before the server looks at it.

        Raises:
            CredentialError: When a file is missing or unreadable, has no key, is encrypted, or has expired.
        """
        remedy = "make a new proxy, or check proxy_file (X509_USER_PROXY), cert_file and key_file"
        for path in filter(None, (self.cert_file, self.key_file)):
            try:
                with path.open("rb") as file:
                    text = file.read(1 << 20)
            except OSError as error:
                raise CredentialError(f"cannot read {path}: {error.strerror}", path=path, remedy=remedy) from error
            if b"ENCRYPTED" in text:
                raise CredentialError(
                    f"the private key in {path} is encrypted",
                    path=path,
                    remedy="make a proxy of it (its key has no passphrase) and give that as proxy_file",
                )
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_cert_chain(self.cert_file, self.key_file)
        except (ssl.SSLError, OSError) as error:
            raise CredentialError(
                f"{self.cert_file} does not hold a certificate with its private key ({error})",
                path=self.cert_file,
                remedy=remedy,
            ) from error
        expires = self.expires_at()
        if expires <= datetime.now(UTC):
            when = f"{expires:%Y-%m-%d %H:%M:%S} UTC"
            raise CredentialError(f"{self.cert_file} expired at {when}", path=self.cert_file, remedy=remedy)

    def expires_at(self) -> datetime:
        """Return when the first certificate of the chain ends, in UTC.

        Raises:
            CredentialError: When the file holds no certificate that can be read.
        """
        from cryptography.x509 import load_pem_x509_certificates

        try:
            chain = load_pem_x509_certificates(self.cert_file.read_bytes())
        except (OSError, ValueError) as error:
            raise CredentialError(f"{self.cert_file} holds no readable certificate", path=self.cert_file) from error
        return min(certificate.not_valid_after_utc for certificate in chain)

"""Certificates as they should be, and as nobody should make them: built by hand, without the code under test."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC)
HOUR = dt.timedelta(hours=1)
PROXY_CERT_INFO = "1.3.6.1.5.5.7.1.14"
INHERIT_ALL, INDEPENDENT = bytes.fromhex("2b06010505071501"), bytes.fromhex("2b06010505071502")
LIMITED, UNKNOWN = bytes.fromhex("2b060104019b5001010109"), bytes.fromhex("2a0304")

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Held:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.sealed_key(None)

    def sealed_key(self, passphrase: str | None, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
        """Return the key, with a passphrase encrypted."""
        how: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            how = BestAvailableEncryption(passphrase.encode())
        return self.key.private_bytes(Encoding.PEM, form, how)


def der(tag: int, *parts: bytes) -> bytes:
    """Return a short DER element."""
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


def proxy_cert_info(language: bytes = INHERIT_ALL, *, path_length: int | None = None, policy: bytes = b"") -> bytes:
    """Return the DER of a ProxyCertInfo (RFC 3820, 3.8)."""
    length = b"" if path_length is None else der(2, bytes([path_length]))
    return der(0x30, length, der(0x30, der(6, language), der(4, policy) if policy else b""))


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def named(*common_names: str) -> x509.Name:
    """Return `/O=TestGrid` and common names behind it."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "TestGrid"),
            *(x509.NameAttribute(NameOID.COMMON_NAME, name) for name in common_names),
        ]
    )


def usage(*, signs: bool = True, certifies: bool = False, enciphers: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=enciphers,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certifies,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )


class Lenient(x509.UnrecognizedExtension):
    """An extension of ours that is not marked as critical."""


class Strict(x509.UnrecognizedExtension):
    """An extension of ours that is."""


CRITICAL = (Strict, x509.KeyUsage, x509.BasicConstraints)


def certify(
    subject: x509.Name,
    issuer: Held | None,
    *extensions: x509.ExtensionType,
    key: Key | None = None,
    hours: float = 240.0,
    begins: float = -24.0,
) -> Held:
    """Return a certificate from `begins` to `hours` from now; without an issuer it signs itself."""
    key = key or new_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begins * HOUR)
        .not_valid_after(NOW + hours * HOUR)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, CRITICAL))
    return Held(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def make_authority() -> Held:
    key = new_key()
    return certify(
        named("CA"),
        None,
        x509.BasicConstraints(ca=True, path_length=None),
        usage(signs=False, certifies=True),
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        key=key,
    )


def make_user(authority: Held, *extensions: x509.ExtensionType, key: Key | None = None, hours: float = 240.0) -> Held:
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.certificate.public_key())  # type: ignore[arg-type]  # a CA's key
    return certify(named("Alice"), authority, signer, *(extensions or (usage(),)), key=key, hours=hours)


def make_proxy(
    issuer: Held,
    *extensions: x509.ExtensionType,
    info: bytes | None = None,
    critical: bool = True,
    subject: x509.Name | None = None,
    key: Key | None = None,
    hours: float = 12.0,
    begins: float = -5.0,
) -> Held:
    """Return a proxy, good unless told otherwise."""
    name = subject or x509.Name([*issuer.certificate.subject, x509.NameAttribute(NameOID.COMMON_NAME, "123456")])
    kind = Strict if critical else Lenient
    extension = kind(x509.ObjectIdentifier(PROXY_CERT_INFO), proxy_cert_info() if info is None else info)
    return certify(name, issuer, extension, *extensions, key=key, hours=hours, begins=begins)


def write(path: Path, *parts: bytes, mode: int = 0o600) -> Path:
    """Write a PEM file."""
    path.write_bytes(b"".join(parts))
    path.chmod(mode)
    return path

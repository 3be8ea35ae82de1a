"""A throw-away certificate authority: host certificates for loopback names, user certificates and proxies."""

import datetime
import functools
import ssl
import time
from dataclasses import dataclass

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ctadata_providers.credentials.x509.pem import to_pem
from ctadata_providers.credentials.x509.proxies import new_key, sign_proxy, usage_to_sign

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

_SKEW = datetime.timedelta(minutes=5)

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Pki:
    """A certificate authority with one host certificate.

    Attributes:
        ca_pem: The authority's certificate, PEM.
        server_context: What a server needs to present the host certificate.
        door_context: The same for one that asks for client certificates, and takes RFC 3820 proxies.
        ca_key_pem: The authority's key, PEM.
    """

    ca_pem: bytes
    server_context: ssl.SSLContext
    door_context: ssl.SSLContext
    ca_key_pem: bytes

    def issue_certificate(self, subject: str, lifetime: float) -> bytes:
        """Return a user's certificate and key, PEM."""
        certificate, key = self._user(subject, max(lifetime, 1.0))
        return to_pem([certificate], key)

    def issue_proxy(self, subject: str, lifetime: float) -> bytes:
        """Return a proxy, its key and the user's certificate behind it, PEM, in the order that Grid tools write."""
        certificate, key = self._user(subject, max(lifetime, 1.0))
        proxy_key = new_key("ec")
        end = time.time() + lifetime
        begin = min(time.time(), end) - _SKEW.total_seconds()
        proxy = sign_proxy(proxy_key, certificate, key, starts_at=begin, expires_at=end)
        return to_pem([proxy, certificate], proxy_key)

    def _user(self, subject: str, lifetime: float) -> tuple[x509.Certificate, Key]:
        authority = x509.load_pem_x509_certificate(self.ca_pem)
        authority_key = serialization.load_pem_private_key(self.ca_key_pem, None)
        assert isinstance(authority_key, Key)  # noqa: S101 - trustme makes this kind
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "CTA sandbox"),
                x509.NameAttribute(NameOID.COMMON_NAME, subject),
            ]
        )
        builder = (
            _builder(name, authority.subject, key, lifetime)
            .serial_number(x509.random_serial_number())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )
        return builder.sign(authority_key, hashes.SHA256()), key


@functools.cache
def make_pki(*names: str) -> Pki:
    """Return the PKI for some host names, made once in a process (EC keys: a few milliseconds).

    All that a process makes have one authority: its data centres trust each other, whatever they are called.

    The certificates carry key identifiers and key usage, so they pass `ssl.VERIFY_X509_STRICT`,
    which Python 3.13 switches on by default.
    """
    return new_pki(_authority(), *names)


@functools.cache
def _authority() -> trustme.CA:
    return new_authority()


def new_authority() -> trustme.CA:
    """Return an authority that nobody trusts yet."""
    return trustme.CA(organization_name="CTA sandbox", organization_unit_name="not for production")


def new_pki(authority: trustme.CA, *names: str) -> Pki:
    """Return the PKI of an authority for some host names."""
    certificate = authority.issue_cert(*dict.fromkeys((*LOOPBACK_NAMES, *names)))
    server, door = _server_context(certificate), _server_context(certificate)
    door.verify_mode = ssl.CERT_OPTIONAL
    door.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
    door.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    return Pki(
        ca_pem=authority.cert_pem.bytes(),
        server_context=server,
        door_context=door,
        ca_key_pem=authority.private_key_pem.bytes(),
    )


def _server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    certificate.configure_cert(context)
    return context


def _builder(name: x509.Name, issuer: x509.Name, key: Key, lifetime: float) -> x509.CertificateBuilder:
    """Begin a certificate that ends after some seconds; below 0 for one that has expired."""
    now = datetime.datetime.now(datetime.UTC)
    end = now + datetime.timedelta(seconds=lifetime)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .not_valid_before(min(now, end) - _SKEW)
        .not_valid_after(end)
        .add_extension(usage_to_sign(), critical=True)
    )

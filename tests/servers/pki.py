"""A throw-away grid PKI: a CA, a host and a user certificate, RFC 3820 proxies."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

_PROXY_CERT_INFO = ObjectIdentifier("1.3.6.1.5.5.7.1.14")
# DER of SEQUENCE { SEQUENCE { OID id-ppl-inheritAll } }, RFC 3820 section 3.8.
_INHERIT_ALL = bytes.fromhex("300c300a06082b06010505071501")
_HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class _Pair:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True)
class Pki:
    """The files of one PKI, all in `folder`."""

    folder: Path

    @property
    def ca_file(self) -> Path:
        """The CA's certificate."""
        return self.folder / "ca.pem"

    @property
    def host_cert(self) -> Path:
        """Certificate for localhost, 127.0.0.1 and ::1."""
        return self.folder / "host.pem"

    @property
    def host_key(self) -> Path:
        """Key of `host_cert`."""
        return self.folder / "host.key"

    @property
    def user_cert(self) -> Path:
        """A long-lived user certificate."""
        return self.folder / "user.pem"

    @property
    def user_key(self) -> Path:
        """Key of `user_cert`."""
        return self.folder / "user.key"

    @property
    def proxy(self) -> Path:
        """A proxy good for 12 hours: certificate, key, chain in one file."""
        return self.folder / "proxy.pem"

    @property
    def expired_proxy(self) -> Path:
        """A proxy that ended an hour ago."""
        return self.folder / "expired.pem"

    user_dn: str = "/C=CH/O=TestGrid/CN=Alice Example"


def make_pki(folder: Path) -> Pki:
    """Write a new PKI into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    ca = _make_ca(now)
    host = _make_leaf(ca, "localhost", now, server=True)
    user = _make_leaf(ca, "Alice Example", now, server=False)
    pki = Pki(folder)
    _write(pki.ca_file, ca.pem)
    for pair, certificate, key in (
        (host, pki.host_cert, pki.host_key),
        (user, pki.user_cert, pki.user_key),
    ):
        _write(certificate, pair.pem)
        _write(key, pair.key_pem)
    for path, end in ((pki.proxy, now + 12 * _HOUR), (pki.expired_proxy, now - _HOUR)):
        proxy = _make_proxy(user, start=now - 5 * _HOUR, end=end)
        _write(path, proxy.pem + proxy.key_pem + user.pem)
    return pki


def _write(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "TestGrid"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: dt.datetime, end: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _make_ca(now: dt.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("TestGrid CA")
    # Key identifiers everywhere: Python >= 3.13 and OpenSSL's strict mode refuse a chain without them.
    builder = (
        _builder(name, name, key, now - 24 * _HOUR, now + 240 * _HOUR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _Pair(key, builder.sign(key, hashes.SHA256()))


def _make_leaf(ca: _Pair, common_name: str, now: dt.datetime, *, server: bool) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(_name(common_name), ca.certificate.subject, key, now - 24 * _HOUR, now + 240 * _HOUR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), critical=False)
    )
    if server:
        loopback = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), *loopback])
        builder = builder.add_extension(names, critical=False)
    return _Pair(key, builder.sign(ca.key, hashes.SHA256()))


def _make_proxy(user: _Pair, *, start: dt.datetime, end: dt.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # RFC 3820 section 3.4: the issuer's subject plus one common name, here a number.
    number = x509.NameAttribute(NameOID.COMMON_NAME, str(x509.random_serial_number() % 2**31))
    issuer = user.certificate.subject
    builder = (
        _builder(x509.Name([*issuer, number]), issuer, key, start, end)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.UnrecognizedExtension(_PROXY_CERT_INFO, _INHERIT_ALL), critical=True)
    )
    return _Pair(key, builder.sign(user.key, hashes.SHA256()))

"""Proxy certificates (RFC 3820): what a certificate says of itself, the rules that it must keep, and new ones.

Imported at first use only: it loads `cryptography`.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

from ctadata_providers.credentials.x509.certificate import Kind
from ctadata_providers.credentials.x509.pem import PrivateKey

KeyType = Literal["rsa", "ec"]

PROXY_CERT_INFO = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14")
"""The extension that makes a certificate a proxy (RFC 3820, 3.8)."""
_DRAFT_PROXY_CERT_INFO = x509.ObjectIdentifier("1.3.6.1.4.1.3536.1.222")
"""The same in Globus Toolkit 3, before the RFC."""
_LEGACY_NAMES = ("proxy", "limited proxy")
"""The last common name of a proxy of Globus Toolkit 2, which has no extension."""

# Content of the DER of the object identifiers of policy languages (RFC 3820, 3.8.2; the limited one is Globus').
_INHERIT_ALL = bytes.fromhex("2b06010505071501")
_LIMITED = bytes.fromhex("2b060104019b5001010109")
_LANGUAGES: dict[bytes, Kind] = {
    _INHERIT_ALL: "proxy",
    bytes.fromhex("2b06010505071502"): "independent proxy",
    _LIMITED: "limited proxy",
}
_SEQUENCE, _INTEGER, _IDENTIFIER, _OCTETS = 0x30, 0x02, 0x06, 0x04
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class ProxyCertInfo:
    """What the extension says.

    Attributes:
        kind: What the proxy may do of what its issuer may.
        path_length: How many further proxies may stand below it, None for any number.
        critical: Whether who does not know the extension must refuse the certificate.
    """

    kind: Kind
    path_length: int | None
    critical: bool


def proxy_cert_info(certificate: x509.Certificate) -> ProxyCertInfo | None:
    """Return what makes a certificate a proxy, None when it is none.

    Raises:
        ValueError: When the extension is malformed.
    """
    for extension in certificate.extensions:
        if extension.oid == PROXY_CERT_INFO and isinstance(extension.value, x509.UnrecognizedExtension):
            kind, path_length = _parse(extension.value.value)
            return ProxyCertInfo(kind, path_length, extension.critical)
    return None


def kind_of(certificate: x509.Certificate) -> Kind:
    """Tell what a certificate is.

    Raises:
        ValueError: When it is a proxy with a malformed extension.
    """
    info = proxy_cert_info(certificate)
    if info is not None:
        return info.kind
    if any(extension.oid == _DRAFT_PROXY_CERT_INFO for extension in certificate.extensions):
        return "legacy proxy"
    return "legacy proxy" if _added_name(certificate) in _LEGACY_NAMES else "certificate"


def proxies_of(chain: Sequence[x509.Certificate]) -> list[ProxyCertInfo]:
    """Return what the proxies at the begin of a chain say of themselves, the last made first.

    Raises:
        ValueError: When one of them is malformed.
    """
    found = []
    for certificate in chain:
        info = proxy_cert_info(certificate)
        if info is None:
            break
        found.append(info)
    return found


def path_length(proxies: Sequence[ProxyCertInfo]) -> int | None:
    """Return how many further proxies may be made of the first one, None for any number; below 0: it is one too far."""
    limits = [info.path_length - depth for depth, info in enumerate(proxies) if info.path_length is not None]
    return min(limits, default=None)


def broken_rule(chain: Sequence[x509.Certificate]) -> str | None:
    """Return which rule of RFC 3820 (3 and 4.1) the proxies of a chain break, None when they keep all.

    Names and signatures from one certificate to the next are not looked at.

    Raises:
        ValueError: When a proxy is malformed.
    """
    proxies = proxies_of(chain)
    if len(proxies) == len(chain):
        return "the certificate that signed the proxy is missing behind it"
    limit = path_length(proxies)
    if limit is not None and limit < 0:
        return "there are more proxies of proxies than the first of them allows"
    for info, (proxy, issuer) in zip(proxies, pairwise(chain), strict=False):
        if not info.critical:
            return "the proxyCertInfo of the proxy is not marked as critical"
        if _added_name(proxy) is None:
            return "the proxy's name is not that of its issuer with one common name behind it"
        if _is_authority(proxy) or _extension(proxy, x509.SubjectAlternativeName):
            return "a proxy may neither be an authority nor have alternative names"
        if not may_sign(issuer):
            return "the key usage of the certificate that signed the proxy does not include digital signatures"
    return None


def may_sign(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate may sign proxies: no authority, and made for signatures (RFC 3820, 3.1 and 3.6)."""
    usage = _extension(certificate, x509.KeyUsage)
    return not _is_authority(certificate) and (usage is None or usage.digital_signature)


def new_key(key_type: KeyType) -> PrivateKey:
    """Return a new key: RSA of 2048 bits, which every server takes, or the smaller and faster EC on P-256."""
    if key_type == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def sign_proxy(
    key: PrivateKey,
    issuer: x509.Certificate,
    issuer_key: PrivateKey,
    *,
    starts_at: float,
    expires_at: float,
    limited: bool = False,
) -> x509.Certificate:
    """Return a proxy.

    Args:
        key: Its own key.
        issuer: The user's certificate, or a proxy.
        issuer_key: The key of that.
        starts_at: Begin of its life, epoch seconds.
        expires_at: End of its life, epoch seconds.
        limited: Whether it may not be used to start jobs, as Globus understands it.
    """
    # Serial and name are to be unique among all proxies of an issuer (RFC 3820, 3.3 and 3.4).
    serial = secrets.randbits(63) | 1
    number = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, str(serial))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([*issuer.subject.rdns, number]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(datetime.fromtimestamp(starts_at, UTC))
        .not_valid_after(datetime.fromtimestamp(expires_at, UTC))
        .add_extension(_key_usage(key, issuer), critical=True)
        .add_extension(x509.UnrecognizedExtension(PROXY_CERT_INFO, _info(limited=limited)), critical=True)
        .add_extension(_authority_key(issuer), critical=False)
    )
    purposes = _extension(issuer, x509.ExtendedKeyUsage)
    if purposes is not None:
        builder = builder.add_extension(purposes, critical=False)
    signed_whole = isinstance(issuer_key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(issuer_key, None if signed_whole else hashes.SHA256())


def _added_name(proxy: x509.Certificate) -> str | None:
    """Return the common name that the subject has behind the issuer's name, None when it is not that and no more."""
    groups = proxy.subject.rdns
    if groups[:-1] != proxy.issuer.rdns or not groups:
        return None
    attributes = list(groups[-1])
    is_common_name = [attribute.oid for attribute in attributes] == [NameOID.COMMON_NAME]
    return str(attributes[0].value) if is_common_name else None


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _is_authority(certificate: x509.Certificate) -> bool:
    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _key_usage(key: PrivateKey, issuer: x509.Certificate) -> x509.KeyUsage:
    allowed = _extension(issuer, x509.KeyUsage)
    # What RSA key exchange of TLS 1.2 needs.
    return usage_to_sign(
        key_encipherment=isinstance(key, rsa.RSAPrivateKey) and (allowed is None or allowed.key_encipherment)
    )


def usage_to_sign(*, key_encipherment: bool = False) -> x509.KeyUsage:
    """Return the key usage of who signs in a handshake, and nothing else but what is allowed here."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Return which key signs; OpenSSL's strict mode, Python's default since 3.13, wants to be told."""
    identifier = _extension(issuer, x509.SubjectKeyIdentifier)
    if identifier is None:
        identifier = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _info(*, limited: bool) -> bytes:
    """Return the DER of a ProxyCertInfo without limit of depth."""
    language = _LIMITED if limited else _INHERIT_ALL
    policy = bytes([_IDENTIFIER, len(language)]) + language
    inner = bytes([_SEQUENCE, len(policy)]) + policy
    return bytes([_SEQUENCE, len(inner)]) + inner


def _parse(data: bytes) -> tuple[Kind, int | None]:
    """Return kind and path length of the DER of a ProxyCertInfo.

    SEQUENCE { pCPathLenConstraint INTEGER OPTIONAL, SEQUENCE { policyLanguage OBJECT IDENTIFIER, policy OCTET STRING
    OPTIONAL } }
    """
    ((tag, body),) = _elements(data)
    parts = _elements(body)
    length = None
    if parts and parts[0][0] == _INTEGER:
        length = int.from_bytes(parts.pop(0)[1], "big", signed=True)
    ((inner_tag, policy),) = parts
    (identifier, language), *text = _elements(policy)
    if (tag, inner_tag, identifier) != (_SEQUENCE, _SEQUENCE, _IDENTIFIER) or (length is not None and length < 0):
        raise ValueError("not a ProxyCertInfo")
    if [tag for tag, _ in text] not in ([], [_OCTETS]):
        raise ValueError("a ProxyCertInfo with more than language and policy")
    return _LANGUAGES.get(language, "restricted proxy"), length


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """Return tags and contents of DER elements that follow each other."""
    return list(_each(data))


def _each(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        if len(data) < 2:
            raise ValueError("DER is cut off")
        begin, length = 2, data[1]
        if length & 0x80:
            begin += length & 0x7F
            length = int.from_bytes(data[2:begin], "big")
        end = begin + length
        if end > len(data):
            raise ValueError("DER is cut off")
        yield data[0], data[begin:end]
        data = data[end:]

"""Certificate, key and chain of a client, checked as far as that can be done before a server sees them.

Imported at first use only: it loads `cryptography`.
"""

import ssl
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from ctadata_providers.credentials.x509.certificate import Kind, ProxyInfo
from ctadata_providers.credentials.x509.pem import Pem, PrivateKey, load_key, read_pem, require_private
from ctadata_providers.credentials.x509.proxies import (
    ProxyCertInfo,
    broken_rule,
    kind_of,
    path_length,
    proxies_of,
)
from ctadata_providers.errors import CredentialError

MAKE_PROXY = "make a new proxy with 'ctadata proxy create'"
_OTHER_NAMES = {NameOID.EMAIL_ADDRESS: "emailAddress"}
Chain: TypeAlias = tuple[x509.Certificate, ...]
"""Certificates from that of the key up, each signed by the next."""


def examine(cert_file: Path, key_file: Path | None, *, proxy: bool) -> ProxyInfo:
    """Return what files hold, with the first thing that is wrong with them as `fault`; the time is not looked at.

    Raises:
        CredentialError: When a file cannot be read, or holds no certificate that can be parsed.
    """
    certificates = read_certificates(cert_file)
    fault: CredentialError | None = None
    try:
        keys = certificates if key_file is None else read_pem(key_file)
        for pem in (certificates, keys):
            if pem.keys:
                require_private(pem)
        require_kind(certificates.chain, cert_file, proxy=proxy)
        require_key(certificates.chain, load_key(keys), cert_file)
        require_chain(certificates.chain, cert_file)
        require_tls(cert_file, key_file)
    except CredentialError as error:
        fault = error
    return describe(certificates.chain, cert_file, fault)


def read_certificates(path: Path) -> Pem:
    """Read a file that must hold a certificate.

    Raises:
        CredentialError: When it cannot be read, or holds none that can be parsed.
    """
    pem = read_pem(path)
    if not pem.chain:
        raise CredentialError(f"{path} holds no certificate", path=path, remedy=MAKE_PROXY)
    return pem


def require_kind(chain: Chain, path: Path, *, proxy: bool) -> None:
    """Make sure that a file holds an RFC 3820 proxy, or a certificate where no proxy is meant.

    Raises:
        CredentialError: When it does not, or the proxy is malformed.
    """
    kind = _kind(chain[0])
    if kind is None:
        raise CredentialError(
            f"the proxyCertInfo of the proxy in {path} cannot be parsed", path=path, remedy=MAKE_PROXY
        )
    if kind == "legacy proxy":
        raise CredentialError(
            f"{path} holds a proxy from before RFC 3820, which today's servers refuse", path=path, remedy=MAKE_PROXY
        )
    if proxy and kind == "certificate":
        raise CredentialError(
            f"{path} holds a long-lived certificate where a proxy is meant",
            path=path,
            remedy="make a proxy of it with 'ctadata proxy create', or give it as cert_file and key_file",
        )


def require_key(chain: Chain, key: PrivateKey, path: Path) -> None:
    """Make sure that the key belongs to the first certificate.

    Raises:
        CredentialError: When it does not.
    """
    public = key.public_key()
    if chain[0].public_key() == public:
        return
    if any(certificate.public_key() == public for certificate in chain[1:]):
        raise CredentialError(
            f"the certificates in {path} are in the wrong order",
            path=path,
            remedy="put the certificate that belongs to the key first, then each one's issuer",
        )
    raise CredentialError(
        f"the private key does not belong to the certificate in {path}",
        path=path,
        remedy="give the two that were made together (cert_file and key_file, or one proxy_file)",
    )


def require_chain(chain: Chain, path: Path) -> None:
    """Make sure that each certificate was signed by the next, and that proxies keep the rules of RFC 3820.

    Raises:
        CredentialError: When it is not so.
    """
    for certificate, issuer in pairwise(chain):
        _require_issuer(certificate, issuer, path)
    try:
        fault = broken_rule(chain)
    except ValueError:
        fault = "its proxyCertInfo cannot be parsed"
    if fault:
        raise CredentialError(f"{path} holds no good proxy: {fault}", path=path, remedy=MAKE_PROXY)


def require_tls(cert_file: Path, key_file: Path | None = None, *, source: Path | None = None) -> None:
    """Make sure that TLS takes the files: it refuses, for example, RSA keys of 1024 bits and signatures with MD5.

    Args:
        cert_file: A proxy, or a certificate.
        key_file: Its key; None when `cert_file` holds it.
        source: The certificate that a new proxy was made of, which is then at fault.

    Raises:
        CredentialError: When TLS does not.
    """
    try:
        # The password keeps OpenSSL from asking for one on the terminal, whatever the file holds.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert_file, key_file, password="")
    except (ssl.SSLError, OSError) as error:
        reason = (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or "unknown reason"
        path = source or cert_file
        raise CredentialError(
            f"TLS does not take {path}: {reason.lower().replace('_', ' ')}",
            path=path,
            remedy="ask your authority for a new certificate" if source else MAKE_PROXY,
        ) from error


def describe(chain: Chain, path: Path, fault: CredentialError | None = None) -> ProxyInfo:
    """Return what is known of a chain."""
    proxies = _proxies(chain)
    first = chain[0]
    return ProxyInfo(
        path=path,
        subject=slashed(first.subject),
        issuer=slashed(first.issuer),
        identity=slashed(chain[len(proxies) - 1].issuer if proxies else first.subject),
        kind=_kind(first) or "malformed proxy",
        strength=strength(first),
        path_length=path_length(proxies),
        starts_at=max(certificate.not_valid_before_utc.timestamp() for certificate in _of_user(chain)),
        expires_at=expires_at(chain),
        fault=fault,
    )


def slashed(name: x509.Name) -> str:
    """Return a name as grid-mapfiles have it: `/C=CH/O=CTA/CN=Alice`."""
    return "".join(
        f"/{_OTHER_NAMES.get(part.oid, part.rfc4514_attribute_name)}={part.value!s}"
        for group in name.rdns
        for part in group
    )


def strength(certificate: x509.Certificate) -> str:
    """Return kind and size of a certificate's key: `RSA 2048`, `EC secp256r1`."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return type(key).__name__.removeprefix("_").removesuffix("PublicKey")


def expires_at(chain: Chain) -> float:
    """Return when the first of a chain ends, epoch seconds."""
    return min(certificate.not_valid_after_utc.timestamp() for certificate in _of_user(chain))


def _of_user(chain: Chain) -> Chain:
    """Return the certificates of a chain whose time counts: the user's and its proxies, not those of authorities.

    No authority gives certificates that outlive its own. Where one behind them has ended, it is an old signature on a
    key that has a newer one by now, and servers take that of their own store.
    """
    return chain[: len(_proxies(chain)) + 1]


def _proxies(chain: Chain) -> list[ProxyCertInfo]:
    try:
        return proxies_of(chain)
    except ValueError:
        return []


def _require_issuer(certificate: x509.Certificate, issuer: x509.Certificate, path: Path) -> None:
    if certificate.issuer != issuer.subject:
        raise CredentialError(
            f"the certificates in {path} are not in order: {slashed(certificate.subject)} was issued by "
            f"{slashed(certificate.issuer)}, and behind it stands {slashed(issuer.subject)}",
            path=path,
            remedy="put behind each certificate its issuer's",
        )
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CredentialError(
            f"the signature of {slashed(certificate.subject)} in {path} is not by the certificate behind it",
            path=path,
            remedy="get the certificate with its own chain anew",
        ) from error


def _kind(certificate: x509.Certificate) -> Kind | None:
    try:
        return kind_of(certificate)
    except ValueError:
        return None

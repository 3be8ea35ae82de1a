"""Certificates and private keys as files hold them: PEM (RFC 7468), for the making of proxies also PKCS#12 (RFC 7292).

Imported at first use only: it loads `cryptography`.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from ctadata_providers.errors import CredentialError

PrivateKey: TypeAlias = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)
AskPassphrase: TypeAlias = Callable[[Path], str]
"""Gives the passphrase of the key in a file; called only when there is one."""

LARGEST_FILE = 256 * 1024
"""Bytes; a proxy with the attributes of a virtual organisation and the whole chain has some 20,000."""
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_MALFORMED = (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE")


@dataclass(frozen=True, slots=True)
class Pem:
    """What a PEM file holds.

    Attributes:
        path: The file.
        mode: Its permission bits, as `0o600`.
        owned: Whether it is ours.
        named: Whether it can be found in a folder; a file in memory cannot, so its mode opens it to nobody.
        chain: Its certificates, in their order.
        keys: Its private keys, PEM.
    """

    path: Path
    mode: int
    owned: bool
    named: bool
    chain: tuple[x509.Certificate, ...]
    keys: tuple[bytes, ...] = field(repr=False)


def read_pem(path: Path) -> Pem:
    """Read certificates and keys; neither has been checked for anything but its form.

    Raises:
        CredentialError: When the file cannot be read, or a certificate in it cannot be parsed.
    """
    status, data = _read(path)
    chain, keys = [], []
    for block in _BLOCK.finditer(data):
        if block[1] in _CERTIFICATES:
            chain.append(_certificate(block[0], path))
        elif block[1].endswith(b"PRIVATE KEY"):
            keys.append(block[0])
    return _pem(path, status, tuple(chain), tuple(keys))


def require_private(pem: Pem, *, of_anybody: bool = False) -> None:
    """Make sure that nobody else may read a file with a key.

    Files of other owners, as containers and batch systems mount them, are left to those unless `of_anybody`.

    Raises:
        CredentialError: When group or others may.
    """
    if pem.mode & 0o077 and pem.named and (pem.owned or of_anybody):
        raise CredentialError(
            f"{pem.path} holds a private key and is open to others (mode {pem.mode:04o})",
            path=pem.path,
            remedy=f"chmod 600 {pem.path}",
        )


def load_key(pem: Pem, passphrase: AskPassphrase | None = None) -> PrivateKey:
    """Return the only key of a file; without `passphrase` it may not be encrypted.

    Raises:
        CredentialError: When there is none, several or an encrypted one, the passphrase is wrong, or it cannot be used.
    """
    if len(pem.keys) != 1:
        count = "several private keys" if pem.keys else "no private key"
        raise CredentialError(f"{pem.path} holds {count}", path=pem.path, remedy="give a file with exactly one")
    encrypted = b"ENCRYPTED" in pem.keys[0]
    if encrypted and passphrase is None:
        raise CredentialError(
            f"the private key in {pem.path} is encrypted",
            path=pem.path,
            remedy="make a proxy of it with 'ctadata proxy create' (its key has no passphrase)",
        )
    given = passphrase(pem.path) if encrypted and passphrase else None
    try:
        return _usable(load_pem_private_key(pem.keys[0], None if given is None else _encoded(given)), pem.path)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Their texts are not passed on: what they say of the bytes of a key is nobody's business.
        raise _unreadable(pem.path, encrypted=encrypted) from None
    finally:
        del given  # a trace may show variables, and what was mistyped is nearly the passphrase


def is_pkcs12(path: Path) -> bool:
    """Tell whether a file is PKCS#12 by its name, as browsers export certificates."""
    return path.suffix.lower() in (".p12", ".pfx")


def read_pkcs12(path: Path, passphrase: AskPassphrase) -> tuple[Pem, PrivateKey]:
    """Read a PKCS#12 file: its certificates, the user's first, and its key.

    Raises:
        CredentialError: When it cannot be read, the passphrase is wrong, or certificate or key is missing.
    """
    status, data = _read(path)
    given = passphrase(path)
    try:
        key, certificate, more = pkcs12.load_key_and_certificates(data, _encoded(given) or None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unreadable(path, encrypted=True) from None
    finally:
        del given  # as above
    if key is None or certificate is None:
        raise CredentialError(f"{path} holds no certificate with its private key", path=path)
    return _pem(path, status, _in_order(certificate, more), ()), _usable(key, path)


def to_pem(certificates: Iterable[x509.Certificate], key: PrivateKey) -> bytes:
    """Return certificates and key as Grid tools write a proxy: the first certificate, the key, the others."""
    first, *others = (certificate.public_bytes(Encoding.PEM) for certificate in certificates)
    # What all of them read; grid-proxy-info knows no "EC PRIVATE KEY".
    kind = PrivateFormat.TraditionalOpenSSL if isinstance(key, rsa.RSAPrivateKey) else PrivateFormat.PKCS8
    return b"".join((first, key.private_bytes(Encoding.PEM, kind, NoEncryption()), *others))


def _read(path: Path) -> tuple[os.stat_result, bytes]:
    try:
        # A pipe would wait for its writer for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise CredentialError(f"cannot read {path}: not a regular file", path=path, remedy="give a PEM file")
        with path.open("rb") as file:
            return os.fstat(file.fileno()), file.read(LARGEST_FILE)
    except OSError as error:
        raise CredentialError(
            f"cannot read {path}: {error.strerror}",
            path=path,
            remedy="check proxy_file (X509_USER_PROXY), cert_file and key_file, or make a proxy with "
            "'ctadata proxy create'",
        ) from error


def _pem(path: Path, status: os.stat_result, chain: tuple[x509.Certificate, ...], keys: tuple[bytes, ...]) -> Pem:
    return Pem(
        path=path,
        mode=stat.S_IMODE(status.st_mode),
        owned=status.st_uid == os.geteuid(),
        named=status.st_nlink > 0,
        chain=chain,
        keys=keys,
    )


def _certificate(block: bytes, path: Path) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(block)
        # These are parsed when they are asked for; all that is malformed shall be told here.
        _ = certificate.subject, certificate.issuer, certificate.extensions, certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, *_MALFORMED) as error:
        raise CredentialError(
            f"{path} holds a certificate that cannot be parsed", path=path, remedy="get the file anew"
        ) from error
    return certificate


def _encoded(passphrase: str) -> bytes:
    """Return the bytes that were typed in, also those that are no UTF-8.

    Raises:
        UnicodeEncodeError: When nobody can have typed it. It holds the passphrase and is not to be passed on.
    """
    return passphrase.encode("utf-8", "surrogateescape")


def _usable(key: object, path: Path) -> PrivateKey:
    if not isinstance(key, PrivateKey):
        raise CredentialError(f"the private key in {path} is of a kind that TLS does not use", path=path)
    return key


def _unreadable(path: Path, *, encrypted: bool) -> CredentialError:
    if encrypted:
        return CredentialError(
            f"the passphrase of {path} is wrong, or the file is damaged", path=path, remedy="try again"
        )
    return CredentialError(f"the private key in {path} cannot be parsed", path=path, remedy="get the file anew")


def _in_order(first: x509.Certificate, others: list[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Return the certificates from the user's up, as TLS sends them; PKCS#12 keeps them in no order."""
    by_subject = {certificate.subject: certificate for certificate in others}
    chain = [first]
    while (issuer := by_subject.pop(chain[-1].issuer, None)) is not None:
        chain.append(issuer)
    return tuple(chain)

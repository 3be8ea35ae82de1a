"""Whom we trust: the system's CAs plus the user's, the same for both HTTP stacks."""

import atexit
import os
import ssl
import tempfile
from functools import cache
from pathlib import Path

from ctadata_providers.credentials import ClientCertificate
from ctadata_providers.errors import ConfigError

GRID_CERTIFICATES = Path("/etc/grid-security/certificates")
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL, Alma
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)


@cache
def system_bundle() -> Path:
    """Return the system's CA bundle, else the one that requests brings."""
    default = ssl.get_default_verify_paths().cafile
    for candidate in (default, *_BUNDLES):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    import certifi

    return Path(certifi.where())


@cache
def hashed_folder(ca_path: Path | None) -> Path | None:
    """Return the folder of further CAs: the user's, else the grid's where it exists."""
    if ca_path is not None and ca_path.is_dir():
        return ca_path
    return GRID_CERTIFICATES if ca_path is None and GRID_CERTIFICATES.is_dir() else None


def check_ca_path(ca_path: Path | None) -> None:
    """Make sure that the extra CAs can be read.

    Raises:
        ConfigError: When there is no such file or folder.
    """
    if ca_path is not None and not os.access(ca_path, os.R_OK):
        raise ConfigError(
            f"ca_path {ca_path} cannot be read", path=ca_path, remedy="give a PEM file or a hashed folder of CAs"
        )


@cache
def bundle(ca_path: Path | None) -> Path:
    """Return one PEM file of the system's CAs and, if `ca_path` is a file, the user's.

    libcurl takes a single file, and only a file is parsed once for all connections: a blob or a folder costs every
    connection 20 ms. The joined file lives until the process ends.
    """
    if ca_path is None or ca_path.is_dir():
        return system_bundle()
    descriptor, name = tempfile.mkstemp(prefix="ctadata-ca-", suffix=".pem")
    with os.fdopen(descriptor, "wb") as joined:
        joined.write(system_bundle().read_bytes() + b"\n" + ca_path.read_bytes())
    atexit.register(_unlink, Path(name), os.getpid())
    return Path(name)


def ssl_context(ca_path: Path | None, certificate: ClientCertificate | None) -> ssl.SSLContext:
    """Return the context of the message stack: same trust as libcurl's, optionally with a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Python 3.13 refuses CAs without an Authority Key Identifier by default; grid CAs may lack it, libcurl takes them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    folder = hashed_folder(ca_path)
    context.load_verify_locations(cafile=bundle(ca_path), capath=folder)
    if certificate is not None:
        context.load_cert_chain(certificate.cert_file, certificate.key_file)
    return context


def _unlink(path: Path, pid: int) -> None:
    if os.getpid() == pid:
        path.unlink(missing_ok=True)

"""Whom we trust: the system's CAs plus the user's, the same for both HTTP stacks.

Certificate revocation lists are not looked at, also where a grid's folder of CAs holds them (`*.r0`): neither stack
fetches or checks them. What is revoked is trusted until it expires or its CA is removed.
"""

import os
import re
import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ctadata_providers.errors import ConfigError

GRID_CERTIFICATES = Path("/etc/grid-security/certificates")
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL, Alma
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
_FOLDERS = ("/etc/ssl/certs", "/etc/pki/ca-trust/extracted/pem/directory-hash")
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d")


@dataclass(frozen=True, slots=True)
class Trust:
    """Trusted CAs as libcurl takes them; what is given adds up.

    Attributes:
        file: PEM file, read for every connection unless it is all there is.
        folders: Hashed folders, looked into only for the CA that is wanted.
        pem: PEM text instead of `file`.
    """

    file: Path | None
    folders: tuple[Path, ...] = ()
    pem: bytes | None = None


@cache
def system_bundle() -> Path:
    """Return the system's CA bundle, else the one that requests brings."""
    default = ssl.get_default_verify_paths().cafile
    for candidate in (default, *_BUNDLES):
        if candidate and os.path.isfile(candidate) and os.access(candidate, os.R_OK):  # noqa: PTH113 (never raises)
            return Path(candidate)
    import certifi

    return Path(certifi.where())


@cache
def system_folder() -> Path | None:
    """Return the hashed folder with the same CAs as the system's bundle, None without one."""
    chosen = os.environ.get("SSL_CERT_DIR")
    if not chosen and os.environ.get("SSL_CERT_FILE"):
        return None
    default = chosen or ssl.get_default_verify_paths().capath
    return next((Path(folder) for folder in (default, *_FOLDERS) if folder and _is_hashed(Path(folder))), None)


@cache
def trust(ca_path: Path | None) -> Trust:
    """Return whom libcurl is to trust: the system's CAs and the user's, else the grid's where they are installed.

    libcurl takes one file, and parses it for each connection unless it is alone (20 ms for the system's 140); folders
    cost next to nothing.
    """
    extra = ca_path or _grid_certificates()
    if extra is None:
        return Trust(system_bundle())
    system = system_folder()
    if _is_folder(extra):
        return Trust(None, (system, extra)) if system else Trust(system_bundle(), (extra,))
    if system:
        return Trust(extra, (system,))
    return Trust(None, pem=system_bundle().read_bytes() + b"\n" + extra.read_bytes())


def check_ca_path(ca_path: Path | None) -> None:
    """Make sure that the extra CAs can be read.

    Raises:
        ConfigError: When there is no such file or folder.
    """
    if ca_path is not None and not os.access(ca_path, os.R_OK | os.X_OK if _is_folder(ca_path) else os.R_OK):
        raise ConfigError(
            f"ca_path {ca_path} cannot be read", path=ca_path, remedy="give a PEM file or a hashed folder of CAs"
        )


def ssl_context(ca_path: Path | None, *, cert_file: Path | None = None, key_file: Path | None = None) -> ssl.SSLContext:
    """Return the context of the message stack: same trust as libcurl's, optionally with a client certificate.

    Raises:
        ConfigError: When `ca_path` holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Python 3.13 refuses CAs without an Authority Key Identifier by default; grid CAs may lack it, libcurl takes them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    system = system_folder()
    if system:
        context.load_verify_locations(capath=system)  # looked into only for the CA that is wanted: 20 ms less
    else:
        context.load_verify_locations(cafile=system_bundle())
    extra = ca_path or _grid_certificates()
    if extra is not None and _is_folder(extra):
        context.load_verify_locations(capath=extra)
    elif extra is not None:
        try:
            context.load_verify_locations(cafile=extra)
        except ssl.SSLError as error:
            raise ConfigError(
                f"ca_path {extra} holds no certificate", path=extra, remedy="give a PEM file or a hashed folder of CAs"
            ) from error
        except OSError as error:
            raise ConfigError(
                f"ca_path {extra} cannot be read: {error.strerror}",
                path=extra,
                remedy="check the file, and the limit of open files (ulimit -n)",
            ) from error
    if cert_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context


def _grid_certificates() -> Path | None:
    return GRID_CERTIFICATES if _is_folder(GRID_CERTIFICATES) else None


def _is_folder(place: Path) -> bool:
    return os.path.isdir(place)  # noqa: PTH112 (`Path.is_dir` raises below a folder that may not be entered)


def _is_hashed(folder: Path) -> bool:
    try:
        return any(_HASHED_NAME.fullmatch(name) for name in os.listdir(folder))  # noqa: PTH208 (names are wanted)
    except OSError:
        return False

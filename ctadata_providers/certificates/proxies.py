"""Proxies: checked before they are used or given away, and made.

Imported lightly: `cryptography` is loaded when something is done.
"""

import errno
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ctadata_providers.config.folders import home_folder
from ctadata_providers.credentials.x509.certificate import CLOCK_LEEWAY, ProxyInfo, inspect
from ctadata_providers.errors import ConfigError, CredentialError

if TYPE_CHECKING:
    from ctadata_providers.credentials.x509.chains import Chain
    from ctadata_providers.credentials.x509.pem import AskPassphrase, PrivateKey
    from ctadata_providers.credentials.x509.proxies import KeyType

DEFAULT_HOURS = 12.0
LONGEST_UPLOAD_DAYS = 7
"""The certificateservice stores nothing that lives longer, though it answers 200."""
_KEY_TYPES = ("rsa", "ec")
_HOUR, _DAY = 3600.0, 86400.0
_SHORTEST = 60.0


def proxy_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return where a proxy is kept: `X509_USER_PROXY`, else `/tmp/x509up_u` with our user number, as Globus has it."""
    named = (os.environ if environ is None else environ).get("X509_USER_PROXY")
    return Path(named).expanduser() if named else Path(f"/tmp/x509up_u{os.geteuid()}")  # noqa: S108 (Globus' place)


def inspect_proxy(path: str | Path, *, now: float | None = None) -> ProxyInfo:
    """Return what a proxy file holds, and as `fault` why it cannot be used.

    Args:
        path: The file.
        now: Epoch seconds; default the clock's.

    Raises:
        ConfigError: When the path is an empty text.
        CredentialError: When it cannot be read, or holds no certificate that can be parsed.
    """
    return inspect(_given(path), proxy=True, now=now)


def check_proxy(path: str | Path, *, upload: bool = False, now: float | None = None) -> ProxyInfo:
    """Make sure that a proxy can be used.

    Args:
        path: The file: proxy, key and chain in PEM.
        upload: Whether it is to be given away to the certificateservice: it may then live for a week at most, and the
            file may be open to nobody else, whoever owns it.
        now: Epoch seconds; default the clock's.

    Returns:
        What is known of it.

    Raises:
        ConfigError: When the path is an empty text.
        CredentialError: When the file cannot be read, is open to others, or holds no RFC 3820 proxy but, above all, a
            long-lived certificate; when the key is missing, encrypted, another one's or one of several; the chain is
            out of order, wrongly signed or against the rules; it has expired, is not valid yet, or lives too long.
    """
    now = time.time() if now is None else now
    info = inspect_proxy(path, now=now)
    if info.fault is not None:
        raise info.fault
    if upload:
        from ctadata_providers.credentials.x509.pem import read_pem, require_private

        require_private(read_pem(info.path), of_anybody=True)
        if info.life_left(now) > LONGEST_UPLOAD_DAYS * _DAY:
            raise CredentialError(
                f"the proxy in {path} lives for {info.life_left(now) / _DAY:.1f} days; at most "
                f"{LONGEST_UPLOAD_DAYS} are accepted",
                path=info.path,
                remedy="make a shorter one: ctadata proxy create --hours 12",
            )
    return info


@dataclass(frozen=True, slots=True)
class Delegable:
    """A proxy that may be given away.

    Attributes:
        info: What is known of it.
        pem: Its certificates and key, as they are given away: secret, so that no variable keeps it.
    """

    info: ProxyInfo
    pem: bytes = field(repr=False)


def delegable(path: str | Path, *, now: float | None = None) -> Delegable:
    """Return a proxy as it is given away: certificates and key, and no more.

    Raises:
        ConfigError: As `check_proxy`.
        CredentialError: As `check_proxy` with `upload`; or when the file is replaced in this moment.
    """
    from ctadata_providers.credentials.x509 import chains, pem

    info = check_proxy(path, upload=True, now=now)
    found = pem.read_pem(info.path)
    # What was looked at is what is given away, and never what has come to stand there since.
    if not found.chain or chains.describe(found.chain, info.path) != info:
        raise CredentialError(f"{info.path} changed while it was looked at", path=info.path, remedy="try again")
    key = pem.load_key(found)
    chains.require_key(found.chain, key, info.path)
    return Delegable(info, pem.to_pem(found.chain, key))


def create_proxy(
    cert_file: str | Path | None = None,
    key_file: str | Path | None = None,
    *,
    out: str | Path | None = None,
    hours: float = DEFAULT_HOURS,
    key_type: "KeyType" = "rsa",
    limited: bool = False,
    passphrase: "AskPassphrase | None" = None,
    environ: Mapping[str, str] | None = None,
    now: float | None = None,
) -> ProxyInfo:
    """Make an RFC 3820 proxy of a user's certificate, or of another proxy, with all rights of that.

    Args:
        cert_file: Certificate or proxy in PEM, or PKCS#12 with its key; default `X509_USER_CERT`, else
            `~/.globus/usercert.pem`, else `~/.globus/usercred.p12`.
        key_file: Its key; default what `cert_file` holds. Of the default certificates it is in `X509_USER_KEY`, or in
            `~/.globus/userkey.pem`.
        out: The file to write, open to its owner only, in one step; default `proxy_path()`.
        hours: How long it lives; less when the certificate ends before.
        key_type: `rsa` with 2048 bits, or `ec` on P-256.
        limited: Whether it may not be used to start jobs.
        passphrase: Gives the passphrase of the key, if that is encrypted; None lets an encrypted key be an error.
        environ: The environment; default `os.environ`.
        now: Epoch seconds; default the clock's.

    Returns:
        What was made.

    Raises:
        ConfigError: When `hours` is less than a minute or no number, `key_type` unknown, a path an empty text, or `out`
            one of the sources.
        CredentialError: When certificate or key cannot be read or used, the passphrase is wrong, or `out` cannot be
            written. What stood there is unharmed then.
    """
    _require_possible(hours, key_type)
    environ = os.environ if environ is None else environ
    now = time.time() if now is None else now
    certificate, key_path = _sources(cert_file, key_file, environ)
    target = proxy_path(environ) if out is None else _given(out)
    _require_other(target, certificate, key_path)
    chain, issuer_key = _signer(certificate, key_path, passphrase, now)
    data = _signed(chain, issuer_key, key_type=key_type, limited=limited, starts_at=now, hours=hours)
    _write(target, data, certificate)
    return check_proxy(target, now=now)


def _require_possible(hours: float, key_type: str) -> None:
    if not (math.isfinite(hours) and hours * _HOUR >= _SHORTEST) or key_type not in _KEY_TYPES:
        raise ConfigError(
            f"cannot make a proxy of {hours} hours with a key of type {key_type!r}",
            remedy="give at least a minute, and rsa or ec",
        )


def _signed(
    chain: "Chain", issuer_key: "PrivateKey", *, key_type: "KeyType", limited: bool, starts_at: float, hours: float
) -> bytes:
    """Return a new proxy with its key and chain, as it stands in a file."""
    from ctadata_providers.credentials.x509 import chains, pem, proxies

    key = proxies.new_key(key_type)
    proxy = proxies.sign_proxy(
        key,
        chain[0],
        issuer_key,
        starts_at=starts_at - CLOCK_LEEWAY,  # a server may be behind our clock
        expires_at=min(starts_at + hours * _HOUR, chains.expires_at(chain)),
        limited=limited or proxies.kind_of(chain[0]) == "limited proxy",
    )
    return pem.to_pem([proxy, *chain], key)


def _given(path: str | Path) -> Path:
    """Return a path that the user named; an empty text, such as a variable without a value, is none."""
    if not str(path):
        raise ConfigError("an empty text is no path of a proxy, certificate or key", remedy="name a file")
    return Path(path).expanduser()


def _write(target: Path, data: bytes, source: Path) -> None:
    """Write a proxy in one step, if TLS takes it: the certificate that it was made of may be too weak."""
    from ctadata_providers.credentials.safe_files import write_private
    from ctadata_providers.credentials.x509.chains import require_tls

    try:
        if target.exists() and not target.is_file():
            raise OSError(errno.EINVAL, "not a regular file")  # root could replace a device
        with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            trial = Path(folder, target.name)
            write_private(trial, data)
            require_tls(trial, source=source)
            trial.replace(target)
    except OSError as error:
        raise CredentialError(
            f"cannot write the proxy to {target}: {error.strerror}",
            path=target,
            remedy="name another file: ctadata proxy create --out FILE, and export X509_USER_PROXY=FILE",
        ) from error


def _sources(
    cert_file: str | Path | None, key_file: str | Path | None, environ: Mapping[str, str]
) -> tuple[Path, Path | None]:
    """Return the certificate and the key to take, None for a key in the file of the certificate."""
    if cert_file is None and key_file is not None:
        raise ConfigError("a key without its certificate", remedy="give cert_file too")
    if cert_file is not None:
        return _given(cert_file), None if key_file is None else _given(key_file)
    if environ.get("X509_USER_CERT"):
        named = environ.get("X509_USER_KEY")
        return Path(environ["X509_USER_CERT"]).expanduser(), Path(named).expanduser() if named else None
    home = home_folder(environ) / ".globus"
    certificate, bundle = home / "usercert.pem", home / "usercred.p12"
    if _seen(certificate):
        return certificate, home / "userkey.pem"
    if _seen(bundle):
        return bundle, None
    raise CredentialError(
        f"cannot find {certificate}, where your certificate is looked for",
        path=certificate,
        remedy="name it: ctadata proxy create --cert-file FILE --key-file FILE (X509_USER_CERT, X509_USER_KEY)",
    )


def _require_other(target: Path, *sources: Path | None) -> None:
    there = _seen(target)
    for source in sources:
        found = _seen(source) if source else None
        if there and found and os.path.samestat(there, found):
            raise ConfigError(
                f"the proxy would overwrite {source}, of which it is made", path=target, remedy="give another file"
            )


def _seen(path: Path) -> os.stat_result | None:
    """Return what stands at a path, None when nothing can be seen there; who reads or writes it will be told why."""
    try:
        return path.stat()
    except OSError:
        return None


def _signer(
    cert_file: Path, key_file: Path | None, passphrase: "AskPassphrase | None", now: float
) -> "tuple[Chain, PrivateKey]":
    """Return a chain that can sign a proxy now, and its key.

    Raises:
        CredentialError: When it cannot.
    """
    from ctadata_providers.credentials.x509 import chains, pem

    if key_file is None and pem.is_pkcs12(cert_file):
        certificates, key = pem.read_pkcs12(cert_file, passphrase or _no_passphrase)
        pem.require_private(certificates)
        _require_signer(certificates.chain, cert_file, now)
    else:
        certificates = chains.read_certificates(cert_file)
        keys = certificates if key_file is None else pem.read_pem(key_file)
        if keys.keys:
            pem.require_private(keys)
        # Before the user is asked for a passphrase.
        _require_signer(certificates.chain, cert_file, now)
        key = pem.load_key(keys, passphrase)
    chains.require_key(certificates.chain, key, cert_file)
    return certificates.chain, key


def _require_signer(chain: "Chain", path: Path, now: float) -> None:
    from ctadata_providers.credentials.x509 import chains, proxies

    chains.require_kind(chain, path, proxy=False)
    chains.require_chain(chain, path)
    info = chains.describe(chain, path)
    info.require_life(now)
    if not proxies.may_sign(chain[0]) or info.path_length == 0:
        why = "it allows no further ones" if info.path_length == 0 else "it is an authority's, or not for signatures"
        raise CredentialError(
            f"no proxy can be made of {path}: {why}", path=path, remedy="give your own certificate and its key"
        )


def _no_passphrase(path: Path) -> str:
    raise CredentialError(
        f"{path} needs a passphrase", path=path, remedy="make the proxy where you can be asked: ctadata proxy create"
    )

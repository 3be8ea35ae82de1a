"""Client certificates: an RFC 3820 proxy, or a certificate with its key."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from ctadata_providers.credentials.safe_files import read_private
from ctadata_providers.errors import CredentialError

Kind = Literal[
    "proxy",
    "limited proxy",
    "independent proxy",
    "restricted proxy",
    "malformed proxy",
    "legacy proxy",
    "certificate",
]
"""What a certificate is.

A `proxy` has all rights of its user, a `limited` one may not start jobs (Globus), an `independent` one inherits
nothing, a `restricted` one has a policy that only some servers understand, a `legacy` one is from before RFC 3820.
"""

FilesState: TypeAlias = tuple[tuple[int, int, int, int], ...]
"""Changes when one of the files of a certificate does."""

CLOCK_LEEWAY = 300.0
"""Seconds by which a certificate may begin in the future: the machine that made it may be ahead of ours."""


WRITTEN_SECONDS = 2.0
"""Age in seconds from which on a file is taken to be whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyInfo:
    """What is known of a proxy, or of a certificate.

    Attributes:
        path: The file.
        subject: Its name, as grid-mapfiles have it.
        issuer: Who signed it.
        identity: The user that it stands for: the name of the certificate that its proxies were made of.
        kind: What it is.
        strength: Kind and size of its key, as `RSA 2048`.
        path_length: How many further proxies may be made of it, one of the other; None for any number.
        starts_at: When it and all that it is made of are valid, epoch seconds; authorities do not count.
        expires_at: When the first of these ends, epoch seconds.
        fault: Why it cannot be used, None when it can.
    """

    path: Path
    subject: str
    issuer: str
    identity: str
    kind: Kind
    strength: str
    path_length: int | None
    starts_at: float
    expires_at: float
    fault: CredentialError | None = field(default=None, compare=False)

    @property
    def usable(self) -> bool:
        """Tell whether it can be used."""
        return self.fault is None

    def life_left(self, now: float) -> float:
        """Return the seconds from now to its end, below 0 after that."""
        return self.expires_at - now

    def require_life(self, now: float) -> None:
        """Make sure that it is valid now.

        Raises:
            CredentialError: When it has expired, or is not valid yet.
        """
        if now < self.starts_at - CLOCK_LEEWAY:
            raise CredentialError(
                f"{self.path} is not valid before {_date(self.starts_at)}",
                path=self.path,
                remedy="check the clock of this machine",
            )
        if now >= self.expires_at:
            what = "renew the certificate at your authority, or make" if self.kind == "certificate" else "make"
            raise CredentialError(
                f"{self.path} expired at {_date(self.expires_at)}",
                path=self.path,
                remedy=f"{what} a new proxy with 'ctadata proxy create'",
            )


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Files that TLS presents to the origins they are bound to.

    Attributes:
        cert_file: PEM of the certificate; of a proxy also its key and chain.
        key_file: PEM of the private key; None when `cert_file` holds it.
        proxy: Whether a proxy is meant: a long-lived certificate is refused then.
        named: Whether somebody has named `cert_file`; else it must be our own file, open to nobody else, and no link.
    """

    cert_file: Path
    key_file: Path | None = None
    proxy: bool = False
    named: bool = True

    def check(self, *, now: float | None = None) -> FilesState:
        """Make sure that the files can be used now; cheap enough for every request while they stay the same.

        What is wrong with them would otherwise show only as a broken TLS connection, because a TLS 1.3 handshake
        succeeds before the server looks at the certificate.

        Returns:
            Something that differs when the files are others than at the last call.

        Raises:
            CredentialError: When a file is missing, unreadable, malformed or open to others; it holds no key, several,
                an encrypted or another one's; the chain is out of order, wrongly signed or against RFC 3820; it is not
                what is meant; it has expired or is not valid yet.
        """
        state = self._state()
        _examined(self, state).require_life(time.time() if now is None else now)
        return state

    def expires_at(self) -> float:
        """Return when the certificate, or the first that it is made of, ends, epoch seconds; as cheap as `check`.

        Raises:
            CredentialError: As `check`, but not for its time.
        """
        return _examined(self, self._state()).expires_at

    def is_being_written(self) -> bool:
        """Tell whether a file is missing, or so new that who writes it may not have come to its end."""
        found = self._state()
        return not found or any(abs(time.time() - modified / 1e9) < WRITTEN_SECONDS for modified, *_ in found)

    def _state(self) -> FilesState:
        try:
            # Called for every request: os.stat costs a third of Path.stat.
            found = [os.stat(path) for path in (self.cert_file, self.key_file) if path]  # noqa: PTH116
        except OSError:
            return ()  # the reading tells which file it is
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino, one.st_mode) for one in found)


def inspect(
    cert_file: Path, key_file: Path | None = None, *, proxy: bool = False, now: float | None = None
) -> ProxyInfo:
    """Return what files hold, and as `fault` why they cannot be used.

    Args:
        cert_file: The proxy, or a certificate.
        key_file: Its private key; None when `cert_file` holds it.
        proxy: Whether a proxy is meant: a long-lived certificate is at fault then.
        now: Epoch seconds; default the clock's.

    Raises:
        CredentialError: When a file cannot be read, or holds no certificate that can be parsed.
    """
    from ctadata_providers.credentials.x509.chains import examine

    info = examine(cert_file, key_file, proxy=proxy)
    if info.fault is None:
        try:
            info.require_life(time.time() if now is None else now)
        except CredentialError as error:
            return replace(info, fault=error)
    return info


@lru_cache(maxsize=64)
def _examined(certificate: ClientCertificate, state: FilesState) -> ProxyInfo:
    """Return what good files hold; read again when their state changes."""
    from ctadata_providers.credentials.x509.chains import examine

    if not certificate.named:
        with suppress(OSError):  # told by who reads all of it
            read_private(certificate.cert_file)
    info = examine(certificate.cert_file, certificate.key_file, proxy=certificate.proxy)
    if info.fault is not None:
        raise info.fault
    return info


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))

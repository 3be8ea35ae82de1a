"""What the tests of certificates share."""

import functools
from dataclasses import dataclass
from pathlib import Path

import pytest

from ctadata_providers import CredentialError
from ctadata_providers.credentials import ClientCertificate
from ctadata_providers.credentials.x509.certificate import inspect
from tests.unit.credentials.made import Held, make_authority, make_proxy, make_user, write


@dataclass(frozen=True)
class Grid:
    """An authority, a user, her proxy, a proxy of that, and what has nothing to do with them."""

    authority: Held
    user: Held
    proxy: Held
    second: Held
    stranger: Held

    def proxy_file(self, folder: Path) -> Path:
        """Write a good proxy."""
        return write(folder / "proxy.pem", self.proxy.pem, self.proxy.key_pem, self.user.pem)

    def certificate(self, folder: Path) -> tuple[Path, Path]:
        """Write the user's certificate and key."""
        return write(folder / "cert.pem", self.user.pem, mode=0o644), write(folder / "key.pem", self.user.key_pem)


@functools.cache
def make_grid() -> Grid:
    """Return it, made once in a process."""
    authority = make_authority()
    user = make_user(authority)
    proxy = make_proxy(user)
    return Grid(authority, user, proxy, make_proxy(proxy), make_user(make_authority()))


def fault_of(path: Path, key: Path | None = None, *, proxy: bool = True) -> CredentialError:
    """Return the error of a check, which also is the fault that an inspection tells."""
    with pytest.raises(CredentialError) as caught:
        ClientCertificate(path, key, proxy).check()
    told = inspect(path, key, proxy=proxy).fault

    assert str(told) == str(caught.value)
    assert caught.value.path is not None
    assert caught.value.remedy
    return caught.value

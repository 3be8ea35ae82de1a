"""One trusted authority instead of the system's 140, which cost 20 to 50 ms in each client of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from ctadata_providers.transport.trust import system_bundle, system_folder, trust


@contextmanager
def small_trust(folder: Path) -> Iterator[None]:
    """Let the system trust nobody but an authority that nobody uses."""
    stranger = folder / "bundle.pem"
    stranger.write_bytes(trustme.CA(organization_name="nobody").cert_pem.bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(stranger))
        patch.delenv("SSL_CERT_DIR", raising=False)
        _forget()
        yield
    _forget()


def _forget() -> None:
    for cached in (system_bundle, system_folder, trust):
        cached.cache_clear()

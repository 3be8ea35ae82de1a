"""Fixtures that put a CTA data centre beside a test. Loaded by pytest in every run, so it imports nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ctadata_providers.testing import FakeCta

# Settings of a developer's own shell that would lead a test elsewhere.
_FOREIGN = ("CTA_", "CTADS_", "CTACS_", "BEARER_TOKEN", "X509_", "JUPYTERHUB_API_TOKEN", "OIDC_SOCK")
# Where a developer's own settings and logins are. Not HOME, below which a user's Python packages may be too: nothing
# there is looked at where a token or an issuer is given.
_HOMES = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
_A_LONG_RUN = 7 * 24 * 3600.0


@pytest.fixture(scope="session")
def cta_server() -> Iterator[FakeCta]:
    """A running data centre that all tests of the session share."""
    from ctadata_providers.testing import FakeCta

    with FakeCta(token_lifetime=_A_LONG_RUN) as cta, _past_proxies(cta):
        yield cta


@pytest.fixture
def fake_cta(cta_server: FakeCta) -> FakeCta:
    """A running data centre without files and with an empty request log."""
    cta_server.reset()
    return cta_server


@pytest.fixture
def cta_environ(
    fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """An environment in which `Config.from_env()` and the commands `ctadata` reach `fake_cta`, and nothing else."""
    return _only(fake_cta.environ(), monkeypatch, tmp_path_factory)


@pytest.fixture
def cta_login_environ(
    fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The same of somebody without a token, who can log in at once at the issuer of `fake_cta`, as alice."""
    fake_cta.issuer.configure(approve="alice", interval=0)
    return _only(fake_cta.oidc_environ(), monkeypatch, tmp_path_factory)


@pytest.fixture(scope="session")
def cta_services_server() -> Iterator[FakeCta]:
    """A running data centre with the CTA services, which all tests of the session share."""
    from ctadata_providers.testing import FakeCta

    with FakeCta(services=True, token_lifetime=_A_LONG_RUN) as cta, _past_proxies(cta):
        yield cta


@pytest.fixture
def fake_cta_services(cta_services_server: FakeCta) -> FakeCta:
    """A running data centre with the CTA services, without files and with an empty request log."""
    cta_services_server.reset()
    return cta_services_server


@pytest.fixture
def cta_services_environ(
    fake_cta_services: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """An environment in which `Config.from_env()` and the commands `ctadata` reach the services, and nothing else."""
    return _only(fake_cta_services.service_environ(), monkeypatch, tmp_path_factory)


@contextmanager
def _past_proxies(cta: FakeCta) -> Iterator[None]:
    """Lead this process and what it starts past the proxy that the developer's shell names, if any."""
    from ctadata_providers.testing.past_proxies import past_proxies

    with pytest.MonkeyPatch.context() as patch:
        for name, value in past_proxies([cta.door_url, *cta.pool_urls]).items():
            patch.setenv(name, value)
        yield


def _only(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Put settings into an environment that has no others."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("cta")
    for name in _HOMES:
        (folder / name.lower()).mkdir(mode=0o700)
        environ[name] = str(folder / name.lower())
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return environ

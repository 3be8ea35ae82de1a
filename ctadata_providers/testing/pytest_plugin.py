"""Fixtures that put a CTA data centre beside a test. Loaded by pytest in every run, so it imports nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ctadata_providers.testing.fake import FakeCta

# Settings of a developer's own shell that would lead a test elsewhere.
_FOREIGN = ("CTA_", "CTADS_", "CTACS_", "BEARER_TOKEN", "X509_", "JUPYTERHUB_API_TOKEN", "XDG_CONFIG_HOME")
_A_LONG_RUN = 7 * 24 * 3600.0


@pytest.fixture(scope="session")
def cta_server() -> Iterator[FakeCta]:
    """A running data centre that all tests of the session share."""
    from ctadata_providers.testing.fake import FakeCta

    with FakeCta(token_lifetime=_A_LONG_RUN) as cta:
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
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            monkeypatch.delenv(name)
    environ = {**fake_cta.environ(), "XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("config"))}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return environ

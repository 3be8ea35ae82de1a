"""A machine on which no credential lies about."""

import os
from pathlib import Path

import pytest

from ctadata_providers.credentials import discovery


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without credentials: the folders `home`, `runtime`, `state` and, for /tmp, `shared`."""
    for name in ("home", "runtime", "shared"):
        (tmp_path / name).mkdir()
    for variable in list(os.environ):
        if variable.startswith(("BEARER_", "CTA_", "X509_", "OIDC_", "XDG_")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(discovery, "SHARED_FOLDER", tmp_path / "shared")
    return tmp_path

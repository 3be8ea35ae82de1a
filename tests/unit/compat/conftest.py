"""An empty current folder, and a door that the environment leads to."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers.testing import FakeCta


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def files(here: Path) -> Callable[[], list[str]]:
    """What lies in the current folder and below, hidden parts too."""
    return lambda: sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file())


@pytest.fixture
def door(fake_cta: FakeCta, cta_environ: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCta:
    """A small tree at a door that the environment leads to."""
    monkeypatch.setenv("HOME", str(tmp_path))
    fake_cta.put("/lst/some-data-dir/some-data-file", b"0123456789")
    fake_cta.put("/lst/some-data-dir/sub/b c%20#ü.txt", b"bb")
    fake_cta.make_dir("/cta")
    return fake_cta

"""A local tree and one at a FakeCta, and a client for both."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from ctadata_providers import (
    Config,
    CtaClient,
)
from ctadata_providers.testing import FakeCta
from ctadata_providers.transfer.trees.sync import SyncResult

TOP = "/lst/tree"
ADDRESS = "cta://lst/tree"
FILES = {"a.fits": b"aaaa", "n/b.fits": b"bb", "n/m/c d#1.h5": b"", "z/ü%41+[x].fits": b"zzz"}


def plant(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def sow(cta: FakeCta, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        cta.put(f"{TOP}/{name}", data)


def stored(cta: FakeCta) -> dict[str, bytes]:
    return {path.removeprefix(f"{TOP}/"): cta.get(path) for path in cta.paths() if path.startswith(TOP)}


def methods(cta: FakeCta) -> set[str]:
    return {request.method for request in cta.requests}


class Bytes(BytesIO):
    """Bytes as the source of an upload."""

    def rewind(self) -> None:
        self.seek(0)


def kinds(result: SyncResult) -> list[tuple[str, str]]:
    return [(change.kind, change.path) for change in result.changes]


@pytest.fixture
def client(fake_cta: FakeCta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CtaClient]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with CtaClient(Config(**fake_cta.settings(), retries=1)) as opened:  # type: ignore[arg-type]  # a mapping of settings
        yield opened


@pytest.fixture
def local(tmp_path: Path) -> Path:
    (tmp_path / "local").mkdir()
    return tmp_path / "local"

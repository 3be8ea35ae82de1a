from pathlib import Path

import pytest

from tests.unit.trees.storage import FILES


@pytest.fixture(autouse=True)
def keep_state_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A local tree."""
    for name in FILES:
        (tmp_path / "local" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "local" / name).write_bytes(name.encode())
    (tmp_path / "local" / "empty").mkdir()
    return tmp_path / "local"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A local folder that is not there yet."""
    return tmp_path / "new"

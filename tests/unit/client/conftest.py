from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers import CtaClient
from ctadata_providers.testing import FakeCta
from tests.unit.client.calls import connect


@pytest.fixture(autouse=True)
def keep_state_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember temporary names in a folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def client(fake_cta: FakeCta) -> Iterator[CtaClient]:
    """A client that may do everything, and tries again only once."""
    with connect(fake_cta) as made:
        yield made


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A local folder with a file `sent`."""
    folder = tmp_path / "local"
    folder.mkdir()
    (folder / "sent").write_bytes(b"12345")
    return folder

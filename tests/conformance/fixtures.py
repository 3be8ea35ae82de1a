"""What the suite needs beside a fixture `storage`."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers import CtaClient
from tests.conformance.limits import known_limit
from tests.conformance.storage import Storage

__all__ = ["client", "folder", "keep_state_apart", "local", "mark_known_limit"]

_numbers = itertools.count(1)


@pytest.fixture
def client(storage: Storage) -> Iterator[CtaClient]:
    """A fresh client that may do everything."""
    with storage.client() as opened:
        yield opened


@pytest.fixture
def folder() -> str:
    """A remote folder of the test's own; not made yet."""
    return f"/conformance/{next(_numbers)}"


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A local folder of the test's own, for files to send and to receive."""
    path = tmp_path / "local"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def keep_state_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember temporary names in a folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def mark_known_limit(request: pytest.FixtureRequest, storage: Storage) -> None:
    """Expect the failure that the table of limits tells; a test that passes all the same then fails."""
    callspec = getattr(request.node, "callspec", None)
    limit = known_limit(storage.name, request.node.originalname, callspec.params.get("name") if callspec else None)
    if limit is not None:
        request.applymarker(pytest.mark.xfail(strict=limit.certain, reason=limit.reason, raises=limit.error))

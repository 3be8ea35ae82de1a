"""What the suite needs beside a fixture `storage`."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers import CtaClient
from ctadata_providers.backends import Backend
from tests.conformance.limits import known_limit
from tests.conformance.outcomes import LIMIT, VERSION
from tests.conformance.storage import Storage

__all__ = ["backend", "client", "folder", "keep_state_apart", "local", "mark_known_limit", "source"]

BIG = 8 * 1024 * 1024

_numbers = itertools.count(1)


@pytest.fixture
def client(storage: Storage) -> Iterator[CtaClient]:
    """A fresh client that may do everything."""
    with storage.client() as opened:
        yield opened


@pytest.fixture
def backend(storage: Storage) -> Iterator[Backend]:
    """What a client works with."""
    opened = storage.backend()
    yield opened
    opened.close()


@pytest.fixture
def folder(storage: Storage) -> str:
    """A remote folder of the test's own; not made yet."""
    return f"{storage.home}/conformance/{next(_numbers)}"


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A local folder of the test's own, for files to send and to receive."""
    path = tmp_path / "local"
    path.mkdir()
    return path


@pytest.fixture
def source(local: Path) -> Path:
    """A local file that takes a while to send to a server."""
    path = local / "sent"
    path.write_bytes(os.urandom(BIG))
    return path


@pytest.fixture(autouse=True)
def keep_state_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember temporary names in a folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def mark_known_limit(request: pytest.FixtureRequest, storage: Storage) -> None:
    """Expect the failure that the table of limits tells; a test that passes all the same then fails."""
    item = request.node
    callspec = getattr(item, "callspec", None)
    limit = known_limit(storage.name, item.originalname, callspec.params if callspec else {})
    item.stash[VERSION] = storage.version
    if limit is not None:
        item.stash[LIMIT] = limit
        request.applymarker(pytest.mark.xfail(strict=limit.certain, reason=limit.reason.text, raises=limit.error))

"""fsspec's own abstract suite, for whatever fixture `storage` gives.

A storage says what it cannot do; a test that passes all the same fails.
"""

import itertools
import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.tests.abstract import (
    AbstractCopyTests,
    AbstractFixtures,
    AbstractGetTests,
    AbstractOpenTests,
    AbstractPipeTests,
    AbstractPutTests,
)

from ctadata_providers.filesystem import CtaFileSystem
from tests.servers.server import Server

_numbers = itertools.count(1)


class CtaFixtures(AbstractFixtures):
    """What fsspec's tests need."""

    @pytest.fixture(autouse=True)
    def keep_state_apart(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Remember temporary names in a folder of the test's own."""
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    @pytest.fixture
    def fs(self, server: Server) -> Iterator[CtaFileSystem]:
        """The file system under test."""
        fs = file_system(server)
        yield fs
        fs.client.close()

    @pytest.fixture
    def fs_path(self) -> str:
        """A remote folder of the test's own; not made yet."""
        return f"/abstract/{next(_numbers)}"

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return posixpath.join


class TestCopy(AbstractCopyTests, CtaFixtures):
    pass


class TestGet(AbstractGetTests, CtaFixtures):
    pass


class TestPut(AbstractPutTests, CtaFixtures):
    pass


class TestOpen(AbstractOpenTests, CtaFixtures):
    pass


class TestPipe(AbstractPipeTests, CtaFixtures):
    pass


def file_system(server: Server, **options: Any) -> CtaFileSystem:
    """Return a file system for a server; it tries once more only, to fail fast."""
    return CtaFileSystem(config={**server.settings(), "retries": "1"}, skip_instance_cache=True, **options)

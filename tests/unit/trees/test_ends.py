"""Trees on a storage in memory: errors that end all of it, and which of several is raised."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import (
    ConfigError,
    CredentialError,
    FileInfo,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    TransientError,
)
from ctadata_providers.backends import ReadResult
from ctadata_providers.patterns import Selection
from ctadata_providers.session.futures import Future
from ctadata_providers.session.request import Sink
from ctadata_providers.transfer import download_tree, upload_tree
from tests.unit.trees.storage import FILES, PATIENCE, Storage, context, names

# Errors that nothing survives


@pytest.mark.parametrize("error", [CredentialError("refused"), ConfigError("wrong"), QuotaError("full")])
@pytest.mark.parametrize("at", [("read", "/t/b/1"), ("list", "/t/b")])
def test_what_no_other_file_would_survive_is_raised_at_once(new: Path, error: Exception, at: tuple[str, str]) -> None:
    storage = Storage(FILES)
    storage.faults[at] = error
    with pytest.raises(type(error)):
        download_tree(context(storage), "/t", new, on_error="continue")

    assert not [name for name in names(new) if name.endswith("ctapart")]


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_a_top_that_cannot_be_used_is_raised(local: Path, new: Path, on_error: Any) -> None:
    storage = Storage(("f",))
    with pytest.raises(NotFoundError):
        download_tree(context(storage), "/t/none", new, on_error=on_error)
    with pytest.raises(NotADirError):
        download_tree(context(storage), "/t/f", new, on_error=on_error)
    assert not new.exists()
    with pytest.raises(NotADirError):
        download_tree(context(storage), "/t", local / "a", on_error=on_error)
    with pytest.raises(NotADirError):
        upload_tree(context(storage), local, "/t/f/up", on_error=on_error)
    with pytest.raises(NotFoundError):
        upload_tree(context(storage), local / "none", "/t/up", on_error=on_error)


def test_an_error_ends_the_listings_even_while_it_is_looked_at(local: Path) -> None:
    with pytest.raises(NotADirError) as caught:
        download_tree(context(Storage(FILES)), "/t", local / "a")
    listing = [thread for thread in threading.enumerate() if thread.name.startswith("ctadata-listing")]
    for thread in listing:
        thread.join(PATIENCE)

    assert not any(thread.is_alive() for thread in listing)
    assert caught.traceback


def test_another_word_for_the_policy_is_refused(local: Path, new: Path) -> None:
    for act in (
        lambda: download_tree(context(Storage()), "/t", new, on_error="ignore"),  # type: ignore[arg-type]  # tried
        lambda: upload_tree(context(Storage()), local, "/t", on_error="ignore"),  # type: ignore[arg-type]  # tried
    ):
        with pytest.raises(ConfigError, match="ignore"):
            act()


class Failing(Storage):
    """Files 1 and 2 are read at once and fail, 2 before 1, while the walk stands at file 4."""

    def __init__(self, end: Exception | None = None) -> None:
        super().__init__(("1", "2", "3", "4"))
        self._end = end
        self._reads: dict[str, Future[ReadResult]] = {}
        failed = self._failed = threading.Event()

        class Waiting(Selection):
            def takes(self, relative: str, *, is_dir: bool) -> bool:
                return relative != "4" or not failed.wait(PATIENCE)

        self.selection = Waiting()

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        yield from super().list_dir(path)
        if self._end:
            raise self._end

    def read(self, path: str, sink: Sink, **how: Any) -> Future[ReadResult]:
        future = self._reads[path] = Future()
        if len(self._reads) == 3:
            threading.Thread(target=self._fail).start()
        return future

    def _fail(self) -> None:
        self._reads["/t/2"].set_exception(NotFoundError("second"))
        self._reads["/t/1"].set_exception(NotFoundError("first"))
        self._reads["/t/3"].set_result(ReadResult(size=0))
        self._failed.set()


@pytest.mark.parametrize("end", [None, TransientError("the listing broke")])
def test_the_error_that_is_raised_is_the_first_by_the_tree_of_those_there_were(
    new: Path, end: Exception | None
) -> None:
    storage = Failing(end)
    with pytest.raises(NotFoundError, match="first"):
        download_tree(context(storage), "/t", new, selection=storage.selection)


def test_an_ordinary_error_does_not_hide_the_one_that_ends_all(new: Path) -> None:
    storage = Failing(QuotaError("full"))
    with pytest.raises(QuotaError):
        download_tree(context(storage), "/t", new, selection=storage.selection, on_error="continue")


def test_the_first_error_leaves_what_is_whole_and_no_parts(local: Path, new: Path) -> None:
    storage = Storage(FILES)
    storage.faults["list", "/t/d"] = TransientError("down")
    with pytest.raises(TransientError, match="down"):
        download_tree(context(storage), "/t", new)
    target = Storage()
    target.faults["write", "x"] = PermissionDeniedError("no")
    with pytest.raises(PermissionDeniedError):
        upload_tree(replace(context(target), max_parallel=1), local, "/t/up")

    assert [name for name in names(new) if not name.endswith("/")] == [name for name in names(new) if name in FILES]
    assert not [name for name in target.tree() if "ctapart" in name]

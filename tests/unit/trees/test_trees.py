"""Trees on a storage in memory: what is taken, what is told, and what goes on at once."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import (
    FileInfo,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientError,
)
from ctadata_providers.backends import ReadResult
from ctadata_providers.patterns import Selection
from ctadata_providers.session.futures import Future
from ctadata_providers.session.request import Sink
from ctadata_providers.transfer import download_tree, upload_tree
from tests.unit.trees.storage import FILES, PATIENCE, Storage, context, names, told

# Selections


def test_a_download_makes_only_what_is_selected(new: Path) -> None:
    storage = Storage(FILES)
    result = download_tree(context(storage), "/t", new, selection=Selection(include=("x", "z"), exclude=("d/",)))

    assert (result.files, names(new)) == (2, ["b/", "b/c/", "b/c/x", "z"])
    assert ("list", "/t/d") not in storage.acts


def test_an_upload_makes_only_folders_that_are_needed(local: Path) -> None:
    storage = Storage()
    result = upload_tree(context(storage), local, "/t/up", selection=Selection(include=("x", "a"), exclude=("d",)))

    assert result.files == 2
    assert storage.tree("/t/up/") == ["a", "b/", "b/c/", "b/c/x"]


def test_an_upload_makes_empty_folders_unless_they_are_excluded(local: Path) -> None:
    storage = Storage()
    upload_tree(context(storage), local, "/t/up", selection=Selection(exclude=("*/*/*",)))
    upload_tree(context(storage), local, "/t/other", selection=Selection(exclude=("empty/", "b")))

    assert storage.tree("/t/up/") == ["a", "b/", "b/1", "b/2", "b/c/", "d/", "d/y", "empty/", "z"]
    assert storage.tree("/t/other/") == ["a", "d/", "d/y", "z"]


# At once


def test_files_are_downloaded_while_their_folder_is_being_listed(new: Path) -> None:
    downloaded = threading.Event()

    class Slow(Storage):
        def list_dir(self, path: str) -> Iterator[FileInfo]:
            for number, info in enumerate(super().list_dir(path)):
                if number == 1:
                    assert downloaded.wait(PATIENCE)
                yield info

    storage = Slow(("a", "b"))
    storage.faults["read", "/t/a"] = downloaded.set

    assert download_tree(context(storage), "/t", new).files == 2


def test_remote_folders_are_made_at_once(local: Path) -> None:
    storage = Storage()
    together = threading.Barrier(3)
    for name in ("b", "d", "empty"):
        storage.faults["make", f"/t/up/{name}"] = lambda: together.wait(PATIENCE)

    assert upload_tree(context(storage), local, "/t/up").files == len(FILES)


def test_a_file_waits_for_its_own_folder_alone(local: Path) -> None:
    storage = Storage()
    sent = threading.Event()
    storage.faults["write", "y"] = sent.set
    storage.faults["make", "/t/up/b"] = lambda: sent.wait(PATIENCE)
    result = upload_tree(context(storage, max_parallel=2), local, "/t/up")
    order = [name for act, name in storage.acts if act in ("write", "make")]

    assert result.files == len(FILES)
    assert order.index("/t/up/b/c") < order.index("x")
    assert storage.tree("/t/up/") == names(local)


def test_a_folder_is_made_while_files_of_others_wait_for_their_turn(tmp_path: Path) -> None:
    for name in ("many/1", "many/2", "many/3", "other/x"):
        (tmp_path / "l" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "l" / name).touch()
    storage = Storage()
    made = threading.Event()
    storage.faults["make", "/t/up/other"] = made.set
    storage.faults["make", "/t/up/many"] = lambda: made.wait(PATIENCE)

    assert upload_tree(context(storage, max_parallel=2), tmp_path / "l", "/t/up").files == 4


# Errors that others survive


def test_every_failed_file_is_told_by_path_and_the_rest_arrives(new: Path) -> None:
    storage = Storage(FILES)
    storage.faults["read", "/t/z"] = NotFoundError("gone", path="/t/z")
    storage.faults["read", "/t/b/1"] = PermissionDeniedError("no", path="/t/b/1")
    storage.faults["list", "/t/d"] = TransientError("down", path="/t/d")
    result = download_tree(context(storage), "/t", new, on_error="continue")

    assert told(result) == [
        ("/t/b/1", "PermissionDeniedError"),
        ("/t/d", "TransientError"),
        ("/t/z", "NotFoundError"),
    ]
    assert (result.files, result.size) == (3, len("a" + "b/2" + "b/c/x"))
    assert names(new) == ["a", "b/", "b/2", "b/c/", "b/c/x", "d/"]


def test_a_failure_keeps_nothing_alive(new: Path) -> None:
    storage = Storage(FILES)
    try:
        raise KeyError("cause")
    except KeyError as cause:
        error = NotFoundError("gone")
        error.__cause__ = cause
    storage.faults["read", "/t/a"] = error
    (failure,) = download_tree(context(storage), "/t", new, on_error="continue").failures

    assert failure.error.__traceback__ is failure.error.__cause__ is failure.error.__context__ is None


def test_a_remote_folder_that_cannot_be_made_is_told_once_and_nothing_below_is_tried(local: Path) -> None:
    storage = Storage()
    storage.faults["make", "/t/up/b"] = PermissionDeniedError("no")
    result = upload_tree(context(storage), local, "/t/up", on_error="continue")

    assert told(result) == [("/t/up/b", "PermissionDeniedError")]
    assert storage.tree("/t/up/") == ["a", "d/", "d/y", "empty/", "z"]
    assert not [path for act, path in storage.acts if path in ("1", "x", "/t/up/b/c")]


def test_a_remote_file_where_a_folder_is_meant_is_told(local: Path) -> None:
    storage = Storage(("empty", "d"))
    result = upload_tree(context(storage), local, "/t", on_error="continue")

    assert told(result) == [("/t/d", "NotADirError"), ("/t/empty", "NotADirError")]
    assert result.files == len(FILES) - 1


def test_a_local_file_where_a_folder_is_meant_is_told_once(new: Path) -> None:
    new.mkdir()
    (new / "b").write_bytes(b"mine")
    result = download_tree(context(Storage(FILES)), "/t", new, on_error="continue")

    assert told(result) == [("/t/b", "NotADirError")]
    assert names(new) == ["a", "b", "d/", "d/y", "z"]
    assert (new / "b").read_bytes() == b"mine"


def test_local_names_that_are_not_allowed_are_told_and_not_sent(local: Path) -> None:
    (local / "b" / "line\nbreak").touch()
    (local / "bad\x7f").mkdir()
    (local / "bad\x7f" / "x").touch()
    storage = Storage()
    result = upload_tree(context(storage), local, "/t/up", on_error="continue")

    assert told(result) == [("/t/up/b/line\nbreak", "StorageError"), ("/t/up/bad\x7f", "StorageError")]
    assert result.files == len(FILES)
    with pytest.raises(StorageError, match="control characters"):
        upload_tree(context(storage), local, "/t/up")


def test_what_cannot_be_read_here_is_told_by_where_it_would_go(local: Path) -> None:
    (local / "b" / "broken").symlink_to("/does/not/exist")
    (local / "b" / "up").symlink_to(local)
    result = upload_tree(context(Storage()), local, "/t/up", on_error="continue")

    assert told(result) == [("/t/up/b/broken", "StorageError"), ("/t/up/b/up", "StorageError")]


@pytest.mark.parametrize("reverse", [False, True])
def test_the_result_is_the_same_whatever_ends_first(new: Path, reverse: bool) -> None:
    storage = Storage(FILES)
    first, last = ("/t/z", "/t/a") if reverse else ("/t/a", "/t/z")
    ended = threading.Event()

    class Ordered(Storage):
        def read(self, path: str, sink: Sink, **how: Any) -> Future[ReadResult]:
            if path != last:
                done = super().read(path, sink, **how)
                if path == first:
                    ended.set()
                return done
            future: Future[ReadResult] = Future()
            threading.Thread(target=lambda: (ended.wait(PATIENCE), future.set_exception(NotFoundError(path)))).start()
            return future

    storage = Ordered(FILES)
    storage.faults["read", first] = NotFoundError(first)
    result = download_tree(context(storage), "/t", new, on_error="continue")

    assert told(result) == [("/t/a", "NotFoundError"), ("/t/z", "NotFoundError")]
    assert (result.files, result.size, result.retries) == (4, len("b/1" + "b/2" + "b/c/x" + "d/y"), 0)

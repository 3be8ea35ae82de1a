"""Trees on a storage in memory: what is taken, what is told, what stops, and in which order."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import (
    Config,
    ConfigError,
    CredentialError,
    CtaError,
    FileInfo,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
    TransientError,
)
from ctadata_providers.backends import ReadResult, WriteResult
from ctadata_providers.backends.memory import MemoryBackend
from ctadata_providers.patterns import Selection
from ctadata_providers.session.request import Sink, Source
from ctadata_providers.transfer import Context, TreeResult, download_tree, upload_tree

PATIENCE = 20.0
FILES = ("a", "b/1", "b/2", "b/c/x", "d/y", "z")


class Bytes:
    """Some bytes to be written."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int, /) -> bytes:
        data, self._data = self._data[:size], self._data[size:]
        return data

    def rewind(self) -> None:
        """Nothing to do: it is written once."""


class Storage(MemoryBackend):
    """A storage in memory on which acts on some paths fail, or wait for something."""

    def __init__(self, files: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.faults: dict[tuple[str, str], Exception | Callable[[], object]] = {}
        self.acts: list[tuple[str, str]] = []
        self.make_dir("/t")
        for name in files:
            parts = name.split("/")[:-1]
            for depth in range(len(parts)):
                folder = "/t/" + "/".join(parts[: depth + 1])
                if folder not in self._nodes:
                    self.make_dir(folder)
            super().write(f"/t/{name}", Bytes(name.encode()), size=len(name), overwrite=True).result()
        self.acts.clear()

    def _meet(self, act: str, path: str) -> None:
        self.acts.append((act, path))
        fault = self.faults.get((act, path))
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            fault()

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        self._meet("list", path)
        return super().list_dir(path)

    def make_dir(self, path: str) -> None:
        self._meet("make", path)
        super().make_dir(path)

    def read(self, path: str, sink: Sink, **how: Any) -> Future[ReadResult]:
        try:
            self._meet("read", path)
        except CtaError as error:
            future: Future[ReadResult] = Future()
            future.set_exception(error)
            return future
        return super().read(path, sink, **how)

    def write(self, path: str, source: Source, **how: Any) -> Future[WriteResult]:
        try:
            self._meet("write", path.rpartition("/.")[2].partition(".")[0])
        except CtaError as error:
            future: Future[WriteResult] = Future()
            future.set_exception(error)
            return future
        return super().write(path, source, **how)

    def tree(self, top: str = "/t/") -> list[str]:
        return sorted(
            name.removeprefix(top) + ("/" if node.data is None else "")
            for name, node in self._nodes.items()
            if name.startswith(top)
        )


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


def context(storage: MemoryBackend, **settings: Any) -> Context:
    return Context.of(storage, Config(backend="memory", retries=0, **settings))


def names(folder: Path) -> list[str]:
    return sorted(str(place.relative_to(folder)) + ("/" if place.is_dir() else "") for place in folder.rglob("*"))


def told(result: TreeResult) -> list[tuple[str, str]]:
    return [(failure.path, type(failure.error).__name__) for failure in result.failures]


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

"""What moves, removals and appends must not do: lose a byte that nobody asked to remove."""

from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import CtaClient, FileInfo
from ctadata_providers.errors import AlreadyExistsError, ConfigError, IntegrityError, StorageError, UnsupportedError
from ctadata_providers.filesystem import CtaFileSystem


@pytest.fixture
def fs() -> CtaFileSystem:
    return CtaFileSystem(client=CtaClient(backend="memory"))


def test_a_move_of_some_levels_leaves_what_is_deeper(fs: CtaFileSystem) -> None:
    fs.pipe({"/lst/a": b"a", "/lst/b": b"b", "/lst/sub/c": b"c"})

    fs.mv("/lst", "/moved", recursive=True, maxdepth=1)

    assert fs.find("/") == ["/lst/sub/c", "/moved/a", "/moved/b"]


def test_a_move_by_a_pattern_removes_only_what_it_has_copied(
    fs: CtaFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs.pipe({"/lst/a": b"a", "/lst/b": b"b"})
    fs.mkdir("/lst/empty")
    copy_many = fs.client.copy_many

    def while_others_write(*args: object, **kwargs: object) -> object:
        fs.client.write("/lst/late", b"late")
        return copy_many(*args, **kwargs)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(fs.client, "copy_many", while_others_write)
    fs.mv("/lst/*", "/moved/")

    assert fs.find("/", withdirs=True) == ["/", "/lst", "/lst/empty", "/lst/late", "/moved", "/moved/a", "/moved/b"]


def test_a_move_of_whole_folders_by_a_pattern_leaves_none_behind(fs: CtaFileSystem) -> None:
    fs.pipe({"/lst/run1/a": b"a", "/lst/run2/deep/b": b"b"})

    fs.mv("/lst/run*", "/moved/", recursive=True)

    assert fs.find("/", withdirs=True) == [
        *("/", "/lst", "/moved", "/moved/run1", "/moved/run1/a"),
        *("/moved/run2", "/moved/run2/deep", "/moved/run2/deep/b"),
    ]


def test_a_move_makes_the_folders_that_are_missing(fs: CtaFileSystem) -> None:
    fs.pipe_file("/lst/a", b"a")

    fs.mv("/lst/a", "/moved/deep/a")
    with pytest.raises(FileNotFoundError):
        fs.mv("/lst/none", "/others/none")

    assert fs.find("/", withdirs=True) == ["/", "/lst", "/moved", "/moved/deep", "/moved/deep/a"]


def test_a_pattern_for_a_whole_tree_removes_it(fs: CtaFileSystem) -> None:
    fs.pipe({"/lst/night/a": b"a", "/lst/night/sub/deep/b": b"b"})

    fs.rm("/lst/night/**", recursive=True)

    assert fs.find("/", withdirs=True) == ["/", "/lst"]


def test_of_two_who_begin_a_file_by_appending_the_second_is_told(fs: CtaFileSystem) -> None:
    first, second = fs.open("/lst/log", "ab"), fs.open("/lst/log", "ab")
    first.write(b"one")
    second.write(b"two")
    first.close()

    with pytest.raises(AlreadyExistsError):
        second.close()
    assert fs.cat_file("/lst/log") == b"one"


def test_a_file_that_has_become_shorter_is_an_error_where_no_tag_tells(fs: CtaFileSystem) -> None:
    fs.pipe_file("/lst/a", b"x" * 1000)
    with fs.open("/lst/a", block_size=100) as file:
        file._etag = None
        file.seek(500)
        file.read(10)
        fs.pipe_file("/lst/a", b"y" * 250)
        file.seek(200)

        with pytest.raises(IntegrityError, match="changed"):
            file.read()


@pytest.mark.parametrize("mode", ["r+b", "w+b"])
def test_a_mode_that_is_not_offered_is_no_file_that_was_lost(
    fs: CtaFileSystem, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(NotImplementedError, match=r"cannot open /lst/a with mode .* use one of ab, rb, wb, xb"):
        fs.open("/lst/a", mode)

    assert "not closed" not in caplog.text


def test_two_that_would_go_to_one_target_are_refused(fs: CtaFileSystem, tmp_path: Path) -> None:
    fs.pipe({"/lst/a/x": b"1", "/lst/b/x": b"22"})
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(name)

    with pytest.raises(ConfigError, match="both"):
        fs.get(["/lst/a/x", "/lst/b/x"], f"{tmp_path}/down/")
    with pytest.raises(ConfigError, match="both"):
        fs.copy(["/lst/a/x", "/lst/b/x"], "/lst/copies/")
    with pytest.raises(ConfigError, match="both"):
        fs.put([f"{tmp_path}/a/x", f"{tmp_path}/b/x"], "/lst/up/")

    assert not (tmp_path / "down").exists()
    assert fs.find("/") == ["/lst/a/x", "/lst/b/x"]


def test_the_root_stands_for_all_that_was_listed() -> None:
    fs = CtaFileSystem(client=CtaClient(backend="memory"), use_listings_cache=True)
    fs.pipe_file("/lst/a", b"x")
    fs.ls("/lst")

    fs.invalidate_cache("/")

    assert not list(fs.dircache)


def test_the_end_of_a_folder_or_of_a_file_of_unknown_size_is_an_error(
    fs: CtaFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs.pipe_file("/lst/a", b"x")

    with pytest.raises(IsADirectoryError):
        fs.cat_file("/lst", -3)
    monkeypatch.setattr(fs.client, "stat", lambda path: FileInfo(path, is_dir=False))
    with pytest.raises(UnsupportedError):
        fs.cat_file("/lst/a", -3)
    assert isinstance(fs.cat_ranges(["/lst/a"], [-3], [None])[0], UnsupportedError)


@pytest.mark.parametrize("mode", ["w", "wb", "x", "a"])
def test_a_name_with_a_slash_at_its_end_is_that_of_a_folder_and_nothing_is_stored_there(
    fs: CtaFileSystem, mode: str, tmp_path: Path
) -> None:
    fs.pipe_file("/lst/a", b"a")
    (tmp_path / "local").write_bytes(b"x")

    with pytest.raises(IsADirectoryError):
        fs.open("/lst/new/", mode)
    for store in (
        partial(fs.pipe_file, "/lst/new/", b"x"),
        partial(fs.pipe, {"/lst/new/": b"x"}),
        partial(fs.touch, "/lst/new/"),
        partial(fs.put_file, f"{tmp_path}/local", "/lst/new/"),
        partial(fs.cp_file, "/lst/a", "/lst/new/"),
    ):
        with pytest.raises(IsADirectoryError):
            store()
    assert fs.find("/") == ["/lst/a"]


def test_no_bytes_of_what_is_not_there_are_an_error(fs: CtaFileSystem) -> None:
    fs.pipe_file("/lst/a", b"abc")

    assert fs.cat_file("/lst/a", 1, 1) == b""
    assert fs.cat_ranges(["/lst/a"] * 4, [0, 2, 3, 9], [0, 1, 3, 12]) == [b"", b"", b"", b""]
    with pytest.raises(FileNotFoundError):
        fs.cat_file("/lst/none", 0, 0)
    with pytest.raises(IsADirectoryError):
        fs.cat_file("/lst", 5, 5)
    missing, there = fs.cat_ranges(["/lst/none", "/lst/a"], [0, 0], [0, 1])
    assert isinstance(missing, FileNotFoundError)
    assert there == b"a"


def test_some_levels_of_a_folder_at_the_top_are_not_removed(fs: CtaFileSystem) -> None:
    fs.pipe({"/lst/a": b"a", "/lst/sub/b": b"b"})

    for top in ("/lst", "/", "/*", ["/lst/sub", "/lst"]):
        with pytest.raises(PermissionError):
            fs.rm(top, recursive=True, maxdepth=5)
    assert fs.find("/") == ["/lst/a", "/lst/sub/b"]
    fs.rm("/lst/sub", recursive=True, maxdepth=1)
    assert fs.find("/", withdirs=True) == ["/", "/lst", "/lst/a"]


@pytest.mark.parametrize("value", [None, "text", 5])
def test_what_is_no_bytes_empties_no_file(fs: CtaFileSystem, value: Any) -> None:
    fs.pipe_file("/lst/a", b"a")

    for store in (partial(fs.pipe, "/lst/a"), partial(fs.pipe_file, "/lst/a")):
        with pytest.raises(TypeError):
            store(value)
    with pytest.raises(TypeError):
        fs.pipe({"/lst/a": value})
    assert fs.cat("/lst/a") == b"a"


def test_all_that_holds_bytes_can_be_stored(fs: CtaFileSystem) -> None:
    fs.pipe({"/lst/a": bytearray(b"a"), "/lst/b": memoryview(b"b"), "/lst/c": array("h", [1])})

    assert fs.cat("/lst/*") == {"/lst/a": b"a", "/lst/b": b"b", "/lst/c": array("h", [1]).tobytes()}


def test_a_move_where_nothing_can_be_renamed_removes_only_what_it_has_copied(
    fs: CtaFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs.pipe({"/lst/old/a": b"a", "/lst/old/sub/b": b"b"})
    copy_many = fs.client.copy_many

    def while_others_write(*args: Any, **kwargs: Any) -> object:
        fs.client.write("/lst/old/sub/late", b"late")
        return copy_many(*args, **kwargs)

    def unsupported(*_: object, **__: object) -> None:
        raise UnsupportedError("no renames here")

    monkeypatch.setattr(fs.client, "copy_many", while_others_write)
    monkeypatch.setattr(fs.client, "move", unsupported)
    fs.mv("/lst/old", "/lst/new", recursive=True)

    assert fs.find("/") == ["/lst/new/a", "/lst/new/sub/b", "/lst/old/sub/late"]


def test_a_path_that_is_said_to_be_literal_is_no_pattern(fs: CtaFileSystem) -> None:
    fs.pipe({"/lst/a": b"a", "/lst/b": b"b"})

    assert fs.expand_path("/lst/*", assume_literal=True) == ["/lst/*"]
    with pytest.raises(FileNotFoundError):
        fs.expand_path("/lst/*", recursive=True, assume_literal=True)
    assert fs.expand_path("/lst/*") == ["/lst/a", "/lst/b"]


def test_what_is_stored_although_others_fail_is_seen(tmp_path: Path) -> None:
    fs = CtaFileSystem(client=CtaClient(backend="memory", max_parallel=1), use_listings_cache=True)
    fs.makedirs("/lst/folder/in/it")
    for name in ("a", "folder"):
        (tmp_path / name).write_text(name)

    def listed_after(act: Callable[[], object]) -> list[str]:
        assert fs.ls("/lst")
        with pytest.raises(OSError, match="/lst"):
            act()
        names: list[str] = fs.ls("/lst", detail=False)
        return names

    local = [f"{tmp_path}/a", f"{tmp_path}/folder"]
    assert "/lst/a" in listed_after(lambda: fs.put(local, ["/lst/a", "/lst/folder"]))
    assert "/lst/b" in listed_after(lambda: fs.pipe({"/lst/b": b"b", "/lst/folder": b"x"}))
    assert "/lst/c" in listed_after(lambda: fs.copy(["/lst/a", "/lst/b"], ["/lst/c", "/lst/folder"]))
    assert "/lst/c" not in listed_after(lambda: fs.rm(["/lst/c", "/lst/folder"]))


def test_a_listing_that_was_overtaken_by_a_write_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    fs = CtaFileSystem(client=CtaClient(backend="memory"), use_listings_cache=True)
    fs.pipe_file("/lst/a", b"a")
    list_dir = fs.client.list_dir

    def overtaken(path: str) -> Iterator[FileInfo]:
        told = list(list_dir(path))
        monkeypatch.undo()
        fs.pipe_file("/lst/b", b"b")
        return iter(told)

    monkeypatch.setattr(fs.client, "list_dir", overtaken)
    fs.ls("/lst")

    assert fs.ls("/lst", detail=False) == ["/lst/a", "/lst/b"]


def test_a_walk_tells_of_every_folder_that_cannot_be_listed(fs: CtaFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    fs.pipe({"/lst/a/x": b"x", "/lst/b/y": b"y"})
    list_dir = fs.client.list_dir

    def refused(path: str) -> Iterator[FileInfo]:
        if path == "/lst/a":
            raise StorageError("refused", path=path)
        return list_dir(path)

    monkeypatch.setattr(fs.client, "list_dir", refused)
    told: list[OSError] = []

    assert list(fs.walk("/lst")) == [("/lst", ["a", "b"], []), ("/lst/b", [], ["y"])]
    assert [path for path, _, _ in fs.walk("/lst", topdown=False, on_error=told.append)] == ["/lst/b", "/lst"]
    assert [str(error) for error in told] == ["refused"]
    with pytest.raises(StorageError):
        list(fs.walk("/lst", on_error="raise"))


def test_a_walk_goes_where_the_caller_lets_it(fs: CtaFileSystem) -> None:
    fs.pipe({"/lst/a/x": b"x", "/lst/b/y": b"y"})
    seen = []
    for path, folders, _ in fs.walk("/lst"):
        seen.append(path)
        if "a" in folders:
            folders.remove("a")

    assert seen == ["/lst", "/lst/b"]
    assert [names["y"]["size"] for path, _, names in fs.walk("/lst", detail=True) if path == "/lst/b"] == [1]
    assert list(fs.walk("/lst", maxdepth=1)) == [("/lst", ["a", "b"], [])]
    assert list(fs.walk("/lst/a/x")) == [("/lst/a/x", [], [""])]


def test_a_file_that_has_grown_since_it_was_listed_is_not_cut(fs: CtaFileSystem) -> None:
    fs = CtaFileSystem(client=fs.client, use_listings_cache=True)
    fs.pipe_file("/lst/a", b"old")
    fs.ls("/lst")
    fs.client.write("/lst/a", b"newer")

    with pytest.raises(IntegrityError, match="changed"), fs.open("/lst/a") as file:
        file.read()


def test_what_is_counted_from_the_end_goes_by_the_size_of_now_and_each_file_is_asked_for_it_once(
    fs: CtaFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = CtaFileSystem(client=fs.client, use_listings_cache=True)
    fs.pipe({"/lst/a": b"a long one", "/lst/b": b"0123456789"})
    fs.ls("/lst")
    fs.client.write("/lst/a", b"new")
    asked: list[str] = []
    stat = fs.client.stat
    monkeypatch.setattr(fs.client, "stat", lambda path: asked.append(path) or stat(path))  # type: ignore[func-returns-value]  # it returns the second

    assert fs.cat_file("/lst/a", -2) == b"ew"
    asked.clear()
    found = fs.cat_ranges(["/lst/b", "/lst/a", "/lst/none", "/lst/b"], [-3, 0, -1, 1], [None, -1, None, -8])

    assert [found[0], found[1], found[3]] == [b"789", b"ne", b"1"]
    assert isinstance(found[2], FileNotFoundError)
    assert sorted(asked) == ["/lst/a", "/lst/b", "/lst/none"]

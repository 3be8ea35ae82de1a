"""What moves, removals, transactions and appends must not do: lose a byte that nobody asked to remove."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

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


def test_a_file_that_is_open_when_its_transaction_ends_is_an_error_and_nothing_of_it_is_stored(
    fs: CtaFileSystem,
) -> None:
    with pytest.raises(StorageError, match="/lst/open is still open"), fs.transaction:  # noqa: PT012 (its end raises)
        file = fs.open("/lst/open", "wb")
        file.write(b"half")
    file.close()

    assert not fs.exists("/lst/open")


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


def _left_open(fs: CtaFileSystem) -> None:
    fs.open("/lst/open", "wb").write(b"half")


def _over_a_folder(fs: CtaFileSystem) -> None:
    fs.pipe_file("/lst/folder", b"x")


def _twice_new(fs: CtaFileSystem) -> None:
    for _ in range(2):
        fs.pipe_file("/lst/new", b"x", mode="create")


def _appended_to_what_is_replaced(fs: CtaFileSystem) -> None:
    fs.pipe_file("/lst/a", b"x")
    with fs.open("/lst/a", "ab") as file:
        file.write(b"y")


def _taken_meanwhile(fs: CtaFileSystem) -> None:
    fs.pipe_file("/lst/new", b"x", mode="create")
    fs.client.write("/lst/new", b"theirs")


def _changed_meanwhile(fs: CtaFileSystem) -> None:
    with fs.open("/lst/a", "ab") as file:
        file.write(b"y")
    fs.client.write("/lst/a", b"theirs")


@pytest.mark.parametrize(
    "spoil",
    [
        *(_left_open, _over_a_folder, _twice_new),
        *(_appended_to_what_is_replaced, _taken_meanwhile, _changed_meanwhile),
    ],
)
def test_a_transaction_of_which_one_file_cannot_be_stored_stores_none(
    fs: CtaFileSystem, spoil: Callable[[CtaFileSystem], None]
) -> None:
    fs.pipe({"/lst/a": b"a", "/lst/folder/b": b"b"})
    fs.start_transaction()
    fs.pipe_file("/lst/first", b"first")
    spoil(fs)
    before = fs.cat("/lst", recursive=True)

    with pytest.raises(OSError, match="/lst/"):
        fs.end_transaction()
    assert fs.cat("/lst", recursive=True) == before
    fs.pipe_file("/lst/afterwards", b"x")
    assert fs.cat_file("/lst/afterwards") == b"x"


def test_a_transaction_stores_all_that_can_be_stored() -> None:
    fs = CtaFileSystem(client=CtaClient(backend="memory"), use_listings_cache=True)
    fs.pipe_file("/lst/a", b"a")
    fs.ls("/lst")
    with fs.transaction:
        fs.pipe({"/lst/b": b"one", "/lst/sub/c": b"c"})
        fs.pipe_file("/lst/b", b"two")
        fs.pipe_file("/lst/new", b"new", mode="create")
        with fs.open("/lst/a", "a") as file:
            file.write("b")

    assert fs.cat("/lst", recursive=True) == {
        "/lst/a": b"ab",
        "/lst/b": b"two",
        "/lst/new": b"new",
        "/lst/sub/c": b"c",
    }
    assert fs.ls("/lst", detail=False) == ["/lst/a", "/lst/b", "/lst/new", "/lst/sub"]


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

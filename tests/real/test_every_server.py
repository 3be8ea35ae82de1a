"""What a user does with the client, on every server."""

import hashlib
import os
import zlib
from pathlib import Path

import pytest

from ctadata_providers import (
    AlreadyExistsError,
    CtaClient,
    IsADirError,
    NotADirError,
    NotFoundError,
    StorageError,
    UnsupportedError,
)
from tests.real.conftest import tree
from tests.servers.server import Server

NAMES = ("a b", "h#h", "p%41q", "a+b", "[x]", "it's", "a&b;c=d", "ü", "xü", "日本.fits")


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A local file with some bytes."""
    path = tmp_path / "local.bin"
    path.write_bytes(os.urandom(50_000))
    return path


def test_a_file_comes_back_as_it_went(client: CtaClient, folder: str, local: Path, tmp_path: Path) -> None:
    sent = client.upload(local, f"{folder}/new/f.bin")
    received = client.download(f"{folder}/new/f.bin", tmp_path / "copy.bin")

    assert (tmp_path / "copy.bin").read_bytes() == local.read_bytes()
    assert (sent.size, received.size) == (50_000, 50_000)
    assert [info.path for info in client.list_dir(f"{folder}/new")] == [f"{folder}/new/f.bin"]
    assert sorted(tree(tmp_path)) == ["copy.bin", "local.bin"]


def test_a_file_above_the_size_of_expect_comes_back_as_it_went(client: CtaClient, folder: str, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(2**20) * 9 + b"end")
    client.upload(tmp_path / "big", f"{folder}/big")
    client.download(f"{folder}/big", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == (tmp_path / "big").read_bytes()


def test_an_empty_file_comes_back(client: CtaClient, folder: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    client.upload(tmp_path / "empty", f"{folder}/empty")
    client.download(f"{folder}/empty", tmp_path / "copy")

    assert client.stat(f"{folder}/empty").size == 0
    assert (tmp_path / "copy").read_bytes() == b""


def test_names_are_literal(server: Server, client: CtaClient, folder: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in NAMES:
        (source / name).write_text(name)
    client.upload_tree(source, folder)
    client.download_tree(folder, tmp_path / "copy")

    assert sorted(path.name for path in (server.root / folder.lstrip("/")).iterdir()) == sorted(NAMES)
    assert sorted(info.name for info in client.list_dir(folder)) == sorted(NAMES)
    assert tree(tmp_path / "copy") == tree(source)
    assert all(client.stat(f"{folder}/{name}").size == len(name.encode()) for name in NAMES)


@pytest.mark.parametrize(
    ("neighbour", "name"), [("h", "h#h"), ("x", "xü"), ("pAq", "p%41q"), ("t", "t "), ("a", "a;b")]
)
def test_a_special_name_leaves_the_neighbour_alone(
    server: Server, client: CtaClient, folder: str, local: Path, neighbour: str, name: str
) -> None:
    server.put(f"{folder}/{neighbour}", b"untouched")
    client.upload(local, f"{folder}/{name}")

    assert (server.root / f"{folder}/{neighbour}".lstrip("/")).read_bytes() == b"untouched"
    assert (server.root / f"{folder}/{name}".lstrip("/")).read_bytes() == local.read_bytes()


def test_a_question_mark_is_literal_or_refused(server: Server, client: CtaClient, folder: str, local: Path) -> None:
    server.put(f"{folder}/q", b"untouched")
    if server.name.startswith("xrootd"):
        with pytest.raises(UnsupportedError):
            client.upload(local, f"{folder}/q?x")
        expected = {"q"}
    else:
        client.upload(local, f"{folder}/q?x")
        expected = {"q", "q?x"}

    assert {path.name for path in (server.root / folder.lstrip("/")).iterdir()} == expected
    assert (server.root / f"{folder}/q".lstrip("/")).read_bytes() == b"untouched"


def test_a_listing_tells_names_kinds_and_sizes(server: Server, client: CtaClient, folder: str) -> None:
    server.put(f"{folder}/a.txt", b"12345")
    server.put(f"{folder}/sub/b.txt", b"1")
    found = {info.name: info for info in client.list_dir(folder)}

    assert {name: info.is_dir for name, info in found.items()} == {"a.txt": False, "sub": True}
    assert found["a.txt"].size == 5
    assert found["a.txt"].mtime is not None
    assert found["a.txt"].uri == f"cta:/{folder}/a.txt"


def test_stat_and_exists_tell_files_folders_and_nothing(server: Server, client: CtaClient, folder: str) -> None:
    server.put(f"{folder}/f", b"123")

    assert client.stat(f"{folder}/f").size == 3
    assert not client.stat(f"{folder}/f").is_dir
    assert client.stat(folder).is_dir
    assert client.exists(folder)
    assert client.exists(f"{folder}/f")
    assert not client.exists(f"{folder}/nothing")
    assert not client.exists(f"{folder}/no/folder/either")


def test_an_upload_replaces_a_file(server: Server, client: CtaClient, folder: str, local: Path, tmp_path: Path) -> None:
    server.put(f"{folder}/f", b"old" * 100_000)
    client.upload(local, f"{folder}/f")
    client.download(f"{folder}/f", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == local.read_bytes()
    assert [info.name for info in client.list_dir(folder)] == ["f"]


def test_nothing_is_replaced_unasked(
    server: Server, client: CtaClient, folder: str, local: Path, tmp_path: Path
) -> None:
    server.put(f"{folder}/f", b"old")
    with pytest.raises(AlreadyExistsError):
        client.upload(local, f"{folder}/f", overwrite=False)
    before = local.read_bytes()
    with pytest.raises(AlreadyExistsError):
        client.download(f"{folder}/f", local, overwrite=False)

    assert (server.root / f"{folder}/f".lstrip("/")).read_bytes() == b"old"
    assert local.read_bytes() == before


def test_move_renames_and_replaces_only_when_asked(server: Server, client: CtaClient, folder: str) -> None:
    server.put(f"{folder}/a b", b"first")
    server.put(f"{folder}/taken", b"second")
    with pytest.raises(AlreadyExistsError):
        client.move(f"{folder}/a b", f"{folder}/taken")
    client.move(f"{folder}/a b", f"{folder}/c#d")
    client.move(f"{folder}/c#d", f"{folder}/taken", overwrite=True)

    assert {info.name: info.size for info in client.list_dir(folder)} == {"taken": 5}
    assert (server.root / f"{folder}/taken".lstrip("/")).read_bytes() == b"first"


def test_remove_takes_files_and_empty_folders_and_full_ones_only_when_asked(
    server: Server, client: CtaClient, folder: str
) -> None:
    server.put(f"{folder}/full/sub/f", b"1")
    server.put(f"{folder}/f", b"1")
    client.make_dir(f"{folder}/empty")
    client.remove(f"{folder}/f")
    client.remove(f"{folder}/empty")
    with pytest.raises(StorageError):
        client.remove(f"{folder}/full")

    assert [info.path for info in client.walk(folder) if not info.is_dir] == [f"{folder}/full/sub/f"]

    client.remove(f"{folder}/full", recursive=True)

    assert list(client.list_dir(folder)) == []


def test_make_dir_makes_parents_only_when_asked(server: Server, client: CtaClient, folder: str) -> None:
    server.put(f"{folder}/f", b"1")
    client.make_dir(f"{folder}/one")
    client.make_dir(f"{folder}/two/three", parents=True)
    client.make_dir(f"{folder}/one", exist_ok=True)
    with pytest.raises(AlreadyExistsError):
        client.make_dir(f"{folder}/one")
    with pytest.raises(NotFoundError):
        client.make_dir(f"{folder}/no/parent")

    assert client.stat(f"{folder}/two/three").is_dir
    assert not client.exists(f"{folder}/no")


def test_the_checksum_is_that_of_the_content(server: Server, client: CtaClient, folder: str) -> None:
    content = b"The quick brown fox" * 1000
    server.put(f"{folder}/f", content)

    assert client.checksum(f"{folder}/f") == f"{zlib.adler32(content):08x}"
    assert client.checksum(f"{folder}/f", "md5") == hashlib.md5(content).hexdigest()


def test_a_tree_comes_back_as_it_went(client: CtaClient, folder: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("top.txt", "one/a.txt", "one/two/b #1.txt", "three/c.txt"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    sent = client.upload_tree(source, f"{folder}/tree")
    received = client.download_tree(f"{folder}/tree", tmp_path / "copy")

    assert tree(tmp_path / "copy") == tree(source)
    assert (sent.files, received.files) == (4, 4)
    assert sent.size == received.size == sum(len(data) for data in tree(source).values())


def test_walk_and_glob_find_what_is_there(server: Server, client: CtaClient, folder: str) -> None:
    for name in ("a/x.fits", "a/y.txt", "b/z.fits"):
        server.put(f"{folder}/{name}", b"1")

    assert sorted(info.path for info in client.walk(folder)) == [
        f"{folder}/{name}" for name in ("a", "a/x.fits", "a/y.txt", "b", "b/z.fits")
    ]
    assert [info.path for info in client.glob(f"{folder}/*/*.fits")] == [
        f"{folder}/a/x.fits",
        f"{folder}/b/z.fits",
    ]


def test_a_missing_file_is_said_so_and_leaves_nothing(
    client: CtaClient, folder: str, local: Path, tmp_path: Path
) -> None:
    before = local.read_bytes()
    for act in (
        lambda: client.download(f"{folder}/missing", tmp_path / "copy"),
        lambda: client.download(f"{folder}/missing", local),
        lambda: client.stat(f"{folder}/missing"),
        lambda: list(client.list_dir(f"{folder}/missing")),
        lambda: client.remove(f"{folder}/missing"),
        lambda: client.move(f"{folder}/missing", f"{folder}/other"),
    ):
        with pytest.raises(NotFoundError, match=f"{folder}/missing"):
            act()

    assert tree(tmp_path) == {"local.bin": before}


def test_a_folder_is_no_file_and_a_file_no_folder(
    server: Server, client: CtaClient, folder: str, local: Path, tmp_path: Path
) -> None:
    server.put(f"{folder}/sub/f", b"keep")
    with pytest.raises(IsADirError):
        client.download(f"{folder}/sub", tmp_path / "copy")
    with pytest.raises(IsADirError):
        client.upload(local, f"{folder}/sub")
    with pytest.raises(NotADirError):
        list(client.list_dir(f"{folder}/sub/f"))
    with pytest.raises(StorageError):
        client.upload(local, f"{folder}/sub/f/below")

    assert not (tmp_path / "copy").exists()
    assert tree(server.root / folder.lstrip("/")) == {"sub/f": b"keep"}

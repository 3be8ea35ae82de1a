"""Single files: up, down, away."""

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
from tests.conformance.storage import Storage, names_in

CONTENT = b"0123456789abcdefghijklmnopqrstuvwxyz"
SIZES = (0, 1, 36, 1024 * 1024 - 1, 1024 * 1024, 3 * 1024 * 1024 + 7)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_comes_back_as_it_went(storage: Storage, client: CtaClient, folder: str, local: Path, size: int) -> None:
    data = os.urandom(size)
    (local / "sent").write_bytes(data)
    sent = client.upload(local / "sent", f"{folder}/f")
    received = client.download(f"{folder}/f", local / "received")

    assert (local / "received").read_bytes() == data
    assert storage.tree(folder) == {"f": data}
    assert (sent.size, received.size) == (size, size)
    assert sent.checksums == received.checksums == {"adler32": f"{zlib.adler32(data):08x}"}
    assert (sent.path, received.path, received.local) == (f"{folder}/f", f"{folder}/f", local / "received")
    assert (sent.retries, received.retries) == (0, 0)
    assert client.stat(f"{folder}/f").size == size
    assert names_in(local) == ["received", "sent"]


def test_missing_parents_are_made_on_both_sides(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    (local / "sent").write_bytes(CONTENT)
    client.upload(local / "sent", f"{folder}/a/b/c/f")
    client.download(f"{folder}/a/b/c/f", local / "x" / "y" / "f")

    assert storage.tree(folder) == {"a/b/c/f": CONTENT}
    assert (local / "x" / "y" / "f").read_bytes() == CONTENT


def test_a_file_is_replaced_whole_by_default(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/f", b"old" * 1000)
    (local / "f").write_bytes(b"old local" * 1000)
    (local / "sent").write_bytes(CONTENT)
    client.upload(local / "sent", f"{folder}/f")
    client.download(f"{folder}/f", local / "f")

    assert storage.tree(folder) == {"f": CONTENT}
    assert (local / "f").read_bytes() == CONTENT


def test_nothing_is_replaced_when_that_is_forbidden(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", b"old")
    (local / "sent").write_bytes(CONTENT)
    with pytest.raises(AlreadyExistsError, match=f"{folder}/f"):
        client.upload(local / "sent", f"{folder}/f", overwrite=False)
    with pytest.raises(AlreadyExistsError, match="sent"):
        client.download(f"{folder}/f", local / "sent", overwrite=False)
    client.upload(local / "sent", f"{folder}/new", overwrite=False)
    client.download(f"{folder}/f", local / "new", overwrite=False)

    assert storage.tree(folder) == {"f": b"old", "new": CONTENT}
    assert (local / "sent").read_bytes() == CONTENT
    assert (local / "new").read_bytes() == b"old"


def test_a_listing_saves_the_look_up(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/f", CONTENT)
    (info,) = client.list_dir(folder)
    client.download(info.path, local / "f", info=info)

    assert (local / "f").read_bytes() == CONTENT
    with pytest.raises(ValueError, match="not of"):
        client.download(f"{folder}/other", local / "other", info=info)


def test_what_is_missing_is_said_so(client: CtaClient, folder: str, local: Path) -> None:
    path = f"{folder}/missing"
    acts = (
        lambda: client.stat(path),
        lambda: client.download(path, local / "f"),
        lambda: client.remove(path),
        lambda: client.remove(path, recursive=True),
        lambda: client.checksum(path),
        lambda: client.move(path, f"{folder}/other"),
        lambda: list(client.list_dir(path)),
        lambda: list(client.walk(path)),
        lambda: list(client.glob(f"{path}/*")),
        lambda: client.download_tree(path, local / "tree"),
    )
    for act in acts:
        with pytest.raises(NotFoundError, match=path):
            act()

    assert not client.exists(path)
    assert not client.exists(f"{path}/below")
    assert names_in(local) == []


def test_a_missing_local_file_is_said_so(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        client.upload(local / "nothing", f"{folder}/f")
    with pytest.raises(NotFoundError, match="nothing"):
        client.upload_tree(local / "nothing", folder)

    assert storage.tree(folder) == {}
    assert not client.exists(folder)


def test_a_folder_is_no_file(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/sub/f", CONTENT)
    (local / "sent").write_bytes(CONTENT)
    (local / "sub").mkdir()
    acts = (
        lambda: client.download(f"{folder}/sub", local / "f"),
        lambda: client.download(f"{folder}/sub/f", local / "sub"),
        lambda: client.upload(local / "sent", f"{folder}/sub"),
        lambda: client.upload(local / "sent", f"{folder}/sub", overwrite=False),
        lambda: client.upload(local / "sent", f"{folder}/new/"),
        lambda: client.upload(local / "sub", f"{folder}/f"),
        lambda: client.checksum(f"{folder}/sub"),
    )
    for act in acts:
        with pytest.raises(IsADirError):
            act()

    assert storage.tree(folder) == {"sub/f": CONTENT}
    assert names_in(local) == ["sent", "sub"]


def test_a_file_is_no_folder(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/f", CONTENT)
    (local / "sent").write_bytes(CONTENT)
    (local / "tree").mkdir()
    acts = (
        lambda: list(client.list_dir(f"{folder}/f")),
        lambda: list(client.list_dir(f"{folder}/f/")),
        lambda: list(client.walk(f"{folder}/f")),
        lambda: list(client.glob(f"{folder}/f/*")),
        lambda: client.stat(f"{folder}/f/"),
        lambda: client.download_tree(f"{folder}/f", local / "out"),
        lambda: client.download_tree(folder, local / "sent"),
        lambda: client.upload_tree(local / "tree", f"{folder}/f"),
        lambda: client.upload_tree(local / "sent", f"{folder}/new"),
        lambda: client.upload(local / "sent", f"{folder}/f/below"),
        lambda: client.upload(local / "sent", f"{folder}/f/far/below"),
        lambda: client.make_dir(f"{folder}/f/below"),
        lambda: client.make_dir(f"{folder}/f/far/below", parents=True),
        lambda: client.make_dir(f"{folder}/f", parents=True),
    )
    for act in acts:
        with pytest.raises(NotADirError):
            act()

    assert not client.exists(f"{folder}/f/")
    assert not client.exists(f"{folder}/f/below")
    assert storage.tree(folder) == {"f": CONTENT}
    assert names_in(local) == ["sent", "tree"]


def test_a_trailing_slash_means_a_folder_and_spares_a_file(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", CONTENT)
    (info,) = client.list_dir(folder)
    acts = (
        lambda: client.remove(f"{folder}/f/"),
        lambda: client.remove(f"{folder}/f/", recursive=True),
        lambda: client.move(f"{folder}/f/", f"{folder}/g"),
        lambda: client.checksum(f"{folder}/f/"),
        lambda: client.download(f"{folder}/f/", local / "f"),
    )
    for act in acts:
        with pytest.raises((NotADirError, IsADirError)):
            act()

    assert storage.tree(folder) == {"f": CONTENT}
    assert info.path == f"{folder}/f"


def test_checksums_are_those_of_the_content(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", CONTENT)
    storage.put(f"{folder}/empty")

    assert client.checksum(f"{folder}/f") == f"{zlib.adler32(CONTENT):08x}"
    assert client.checksum(f"{folder}/empty") == "00000001"
    assert client.checksum(f"{folder}/f", "md5") == hashlib.md5(CONTENT).hexdigest()
    assert client.checksum(f"{folder}/f", "SHA1") == hashlib.sha1(CONTENT).hexdigest()
    assert client.checksum(f"{folder}/f", "sha256") == hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(UnsupportedError, match="bogus"):
        client.checksum(f"{folder}/f", "bogus")


def test_a_replaced_file_has_a_new_checksum(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/f", b"old")
    before = client.checksum(f"{folder}/f")
    (local / "sent").write_bytes(CONTENT)
    client.upload(local / "sent", f"{folder}/f")

    assert before == f"{zlib.adler32(b'old'):08x}"
    assert client.checksum(f"{folder}/f") == f"{zlib.adler32(CONTENT):08x}"


def test_a_file_is_moved_and_replaces_only_when_asked(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/a", b"a")
    storage.put(f"{folder}/b", b"b")
    storage.put(f"{folder}/sub/f", b"f")
    client.move(f"{folder}/a", f"{folder}/sub/a")
    with pytest.raises(AlreadyExistsError, match=f"{folder}/b"):
        client.move(f"{folder}/sub/a", f"{folder}/b")
    before = storage.tree(folder)
    client.move(f"{folder}/sub/a", f"{folder}/b", overwrite=True)

    assert before == {"sub/a": b"a", "b": b"b", "sub/f": b"f"}
    assert storage.tree(folder) == {"b": b"a", "sub/f": b"f"}


def test_a_folder_is_never_replaced_by_a_move(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/a", b"a")
    storage.put(f"{folder}/full/f", b"f")
    client.make_dir(f"{folder}/empty")
    for target in ("full", "empty"):
        for source in ("a", "full" if target == "empty" else "empty"):
            with pytest.raises(IsADirError):
                client.move(f"{folder}/{source}", f"{folder}/{target}", overwrite=True)
    with pytest.raises(AlreadyExistsError):
        client.move(f"{folder}/full", f"{folder}/a", overwrite=True)

    assert storage.tree(folder) == {"a": b"a", "full/f": b"f"}
    assert client.exists(f"{folder}/empty")


def test_nothing_is_moved_onto_or_into_itself(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/sub/f", b"f")
    for source, target in (("sub", "sub"), ("sub", "sub/inner"), ("sub/f", "sub/f")):
        with pytest.raises(StorageError):
            client.move(f"{folder}/{source}", f"{folder}/{target}", overwrite=True)

    assert storage.tree(folder) == {"sub/f": b"f"}


def test_a_file_is_not_moved_into_a_missing_folder(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", CONTENT)
    with pytest.raises(NotFoundError):
        client.move(f"{folder}/f", f"{folder}/no/such/f")

    assert storage.tree(folder) == {"f": CONTENT}


def test_a_folder_is_moved_with_all_that_it_holds(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/a/b/f", b"f")
    storage.put(f"{folder}/a/g", b"g")
    client.move(f"{folder}/a", f"{folder}/new")

    assert storage.tree(folder) == {"new/b/f": b"f", "new/g": b"g"}

"""Folders: made and removed."""

from pathlib import Path

import pytest

from ctadata_providers import AlreadyExistsError, CtaClient, NotFoundError, PermissionDeniedError, StorageError
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage


@feature(Feature.FOLDERS)
def test_a_folder_is_made_once(client: CtaClient, folder: str) -> None:
    client.make_dir(folder, parents=True)
    client.make_dir(f"{folder}/a")
    with pytest.raises(AlreadyExistsError, match=f"{folder}/a"):
        client.make_dir(f"{folder}/a")
    client.make_dir(f"{folder}/a", exist_ok=True)

    assert client.stat(f"{folder}/a").is_dir
    assert client.stat(f"{folder}/a/").uri == f"cta:/{folder}/a/"
    assert list(client.list_dir(f"{folder}/a")) == []


@feature(Feature.FOLDERS)
def test_parents_are_made_only_when_asked(client: CtaClient, folder: str) -> None:
    with pytest.raises(NotFoundError, match=folder):
        client.make_dir(f"{folder}/a/b")
    missing = not client.exists(folder)
    client.make_dir(f"{folder}/a/b", parents=True)
    client.make_dir(f"{folder}/a/b", parents=True)
    client.make_dir(f"{folder}/a/c/", parents=True)

    assert missing
    assert {info.path for info in client.walk(folder)} == {f"{folder}/a", f"{folder}/a/b", f"{folder}/a/c"}


@feature(Feature.REMOVE)
def test_a_file_and_an_empty_folder_are_removed(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", b"1")
    storage.put(f"{folder}/keep", b"1")
    client.make_dir(f"{folder}/empty")
    client.make_dir(f"{folder}/other")
    client.remove(f"{folder}/f")
    client.remove(f"{folder}/empty")
    client.remove(f"{folder}/other/")

    assert [info.name for info in client.list_dir(folder)] == ["keep"]


@feature(Feature.REMOVE)
def test_a_full_folder_is_removed_only_when_asked(storage: Storage, client: CtaClient, folder: str) -> None:
    for name in ("full/f", "full/sub/g", "full/sub/deep/h", "keep/f"):
        storage.put(f"{folder}/{name}", b"1")
    client.make_dir(f"{folder}/full/empty")
    with pytest.raises(StorageError, match="not empty"):
        client.remove(f"{folder}/full")
    with pytest.raises(StorageError, match="not empty"):
        client.remove(f"{folder}/full/")
    before = sorted(storage.tree(folder))
    client.remove(f"{folder}/full", recursive=True)

    assert before == ["full/f", "full/sub/deep/h", "full/sub/g", "keep/f"]
    assert [info.path for info in client.walk(folder)] == [f"{folder}/keep", f"{folder}/keep/f"]


@feature(Feature.REMOVE)
def test_a_recursive_removal_takes_single_files_and_hidden_parts_too(
    storage: Storage, client: CtaClient, folder: str
) -> None:
    storage.put(f"{folder}/f", b"1")
    storage.put(f"{folder}/sub/.a.1a2b3c4d.0123.ctapart", b"1")
    storage.put(f"{folder}/sub/.hidden", b"1")
    client.remove(f"{folder}/f", recursive=True)
    client.remove(f"{folder}/sub", recursive=True)

    assert storage.tree(folder) == {}
    assert list(client.list_dir(folder)) == []


@feature(Feature.HIDDEN)
def test_a_folder_with_nothing_but_a_hidden_part_is_not_empty(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/sub/.a.1a2b3c4d.0123.ctapart", b"1")
    with pytest.raises(StorageError):
        client.remove(f"{folder}/sub")

    assert storage.tree(folder) == {"sub/.a.1a2b3c4d.0123.ctapart": b"1"}


@feature(Feature.REMOVE)
def test_the_root_and_what_is_right_below_it_are_guarded(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", b"1")
    top = "/" + folder.split("/")[1]
    for path in ("/", "", "cta://", top, f"{top}/", f"cta:/{top}"):
        with pytest.raises(PermissionDeniedError):
            client.remove(path, recursive=True)
    with pytest.raises(PermissionDeniedError):
        client.remove("/")
    with pytest.raises(StorageError):
        client.remove(top)

    assert storage.tree(folder) == {"f": b"1"}


@feature(Feature.REMOVE)
def test_a_file_at_depth_one_is_removed(storage: Storage, client: CtaClient, local: Path) -> None:
    storage.put("/conformance-file", b"1")
    client.remove("/conformance-file", recursive=True)

    assert not client.exists("/conformance-file")

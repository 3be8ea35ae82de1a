"""Renames of files and folders."""

from pathlib import Path

import pytest

from ctadata_providers import AlreadyExistsError, CtaClient, IsADirError, NotADirError, NotFoundError, StorageError
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage


@feature(Feature.MOVE)
def test_a_file_is_moved_within_its_folder_and_to_another(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/a", b"a")
    storage.put(f"{folder}/sub/f", b"f")
    client.move(f"{folder}/a", f"{folder}/b")
    first = storage.tree(folder)
    client.move(f"{folder}/b", f"{folder}/sub/c")

    assert first == {"b": b"a", "sub/f": b"f"}
    assert storage.tree(folder) == {"sub/c": b"a", "sub/f": b"f"}
    assert not client.exists(f"{folder}/b")
    assert client.stat(f"{folder}/sub/c").size == 1


@feature(Feature.MOVE)
def test_a_folder_is_moved_with_all_that_it_holds(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/a/b/f", b"f")
    storage.put(f"{folder}/a/g", b"g")
    storage.put(f"{folder}/other/h", b"h")
    client.move(f"{folder}/a", f"{folder}/new")
    client.move(f"{folder}/new/", f"{folder}/other/newer/")

    assert storage.tree(folder) == {"other/newer/b/f": b"f", "other/newer/g": b"g", "other/h": b"h"}
    assert not client.exists(f"{folder}/a")


@feature(Feature.MOVE)
def test_an_empty_folder_is_moved(storage: Storage, client: CtaClient, folder: str) -> None:
    client.make_dir(f"{folder}/a", parents=True)
    client.move(f"{folder}/a", f"{folder}/b")

    assert [(info.name, info.is_dir) for info in client.list_dir(folder)] == [("b", True)]


@feature(Feature.MOVE_KEEPS)
def test_a_file_is_moved_onto_another_only_when_asked(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/a", b"a")
    storage.put(f"{folder}/b", b"b")
    with pytest.raises(AlreadyExistsError, match=f"{folder}/b"):
        client.move(f"{folder}/a", f"{folder}/b")
    before = storage.tree(folder)
    client.move(f"{folder}/a", f"{folder}/b", overwrite=True)

    assert before == {"a": b"a", "b": b"b"}
    assert storage.tree(folder) == {"b": b"a"}


@feature(Feature.MOVE_KEEPS)
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("target", ["full", "empty"])
@pytest.mark.parametrize("source", ["file", "other"])
def test_nothing_is_moved_onto_a_folder(
    storage: Storage, client: CtaClient, folder: str, source: str, target: str, overwrite: bool
) -> None:
    storage.put(f"{folder}/file", b"a")
    storage.put(f"{folder}/other/f", b"o")
    storage.put(f"{folder}/full/f", b"f")
    client.make_dir(f"{folder}/empty")
    with pytest.raises(IsADirError):
        client.move(f"{folder}/{source}", f"{folder}/{target}", overwrite=overwrite)

    assert storage.tree(folder) == {"file": b"a", "other/f": b"o", "full/f": b"f"}
    assert client.stat(f"{folder}/empty").is_dir


@feature(Feature.MOVE_KEEPS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_is_not_moved_onto_a_file(storage: Storage, client: CtaClient, folder: str, overwrite: bool) -> None:
    storage.put(f"{folder}/a", b"a")
    storage.put(f"{folder}/full/f", b"f")
    with pytest.raises(AlreadyExistsError):
        client.move(f"{folder}/full", f"{folder}/a", overwrite=overwrite)

    assert storage.tree(folder) == {"a": b"a", "full/f": b"f"}


@feature(Feature.MOVE_KEEPS)
@pytest.mark.parametrize(("source", "target"), [("sub", "sub"), ("sub", "sub/inner"), ("sub", "sub/in/ner")])
def test_a_folder_is_not_moved_onto_or_into_itself(
    storage: Storage, client: CtaClient, folder: str, source: str, target: str
) -> None:
    storage.put(f"{folder}/sub/f", b"f")
    with pytest.raises(StorageError, match="itself"):
        client.move(f"{folder}/{source}", f"{folder}/{target}", overwrite=True)

    assert storage.tree(folder) == {"sub/f": b"f"}


@feature(Feature.MOVE_KEEPS)
def test_a_file_is_not_moved_onto_itself_or_below_a_file(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/a", b"a")
    storage.put(f"{folder}/b", b"b")
    with pytest.raises(StorageError, match="itself"):
        client.move(f"{folder}/a", f"{folder}/a", overwrite=True)
    with pytest.raises(StorageError, match="itself"):
        client.move(f"{folder}/a", f"{folder}/a/below", overwrite=True)
    with pytest.raises(NotADirError):
        client.move(f"{folder}/a", f"{folder}/b/below", overwrite=True)

    assert storage.tree(folder) == {"a": b"a", "b": b"b"}


@feature(Feature.MOVE)
def test_nothing_is_moved_into_a_missing_folder(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", b"f")
    storage.put(f"{folder}/sub/g", b"g")
    for source in ("f", "sub"):
        with pytest.raises(NotFoundError, match=f"{folder}/no"):
            client.move(f"{folder}/{source}", f"{folder}/no/such/f")

    assert storage.tree(folder) == {"f": b"f", "sub/g": b"g"}
    assert not client.exists(f"{folder}/no")


@feature(Feature.MISSING)
def test_a_missing_source_is_not_moved_and_nothing_is_replaced(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", b"f")
    for source in ("missing", "missing/", "no/such/folder"):
        with pytest.raises(NotFoundError, match=folder):
            client.move(f"{folder}/{source}", f"{folder}/f", overwrite=True)

    assert storage.tree(folder) == {"f": b"f"}

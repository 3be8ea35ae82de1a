"""Copies inside one storage."""

import os

import pytest

from ctadata_providers import AlreadyExistsError, CtaClient, IsADirError, NotFoundError, StorageError
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage
from tests.conformance.suite.names import NAMES


@feature(Feature.COPY)
@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_a_file_is_copied_whole_and_its_source_stays(
    storage: Storage, client: CtaClient, folder: str, size: int
) -> None:
    data = os.urandom(size)
    storage.put(f"{folder}/a", data)
    seen: list[int] = []
    result = client.copy(f"{folder}/a", f"{folder}/new/sub/b", progress=seen.append)

    assert (result.path, result.source, result.size) == (f"{folder}/new/sub/b", f"{folder}/a", size)
    assert sum(seen) == size
    assert storage.tree(folder) == {"a": data, "new/sub/b": data}
    assert client.stat(f"{folder}/new/sub/b").size == size


@feature(NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_with_a_special_name_is_copied_to_another_such_name(
    storage: Storage, client: CtaClient, folder: str, name: str
) -> None:
    storage.put(f"{folder}/{name}", b"data")
    storage.put(f"{folder}/to/neighbour", b"neighbour")
    client.copy(f"{folder}/{name}", f"{folder}/to/{name}")

    assert storage.tree(folder) == {name: b"data", f"to/{name}": b"data", "to/neighbour": b"neighbour"}


@feature(Feature.COPY)
def test_a_copy_replaces_a_file_as_a_whole_and_only_when_it_may(
    storage: Storage, client: CtaClient, folder: str
) -> None:
    storage.put(f"{folder}/a", b"new")
    storage.put(f"{folder}/b", b"older and longer")
    with pytest.raises(AlreadyExistsError, match=f"{folder}/b"):
        client.copy(f"{folder}/a", f"{folder}/b", overwrite=False)
    before = storage.tree(folder)
    client.copy(f"{folder}/a", f"{folder}/b")

    assert before == {"a": b"new", "b": b"older and longer"}
    assert storage.tree(folder) == {"a": b"new", "b": b"new"}


@feature(Feature.COPY)
def test_what_cannot_be_copied_is_told_and_nothing_changes(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/a", b"a")
    storage.put(f"{folder}/full/f", b"f")
    for source, target, error in (
        ("missing", "b", NotFoundError),
        ("a", "a", StorageError),
        ("full", "b", IsADirError),
        ("a", "full", IsADirError),
        ("a", "b/", IsADirError),
    ):
        with pytest.raises(error):
            client.copy(f"{folder}/{source}", f"{folder}/{target}")

    assert storage.tree(folder) == {"a": b"a", "full/f": b"f"}


@feature(Feature.COPY)
def test_a_tree_is_copied_but_not_into_itself(storage: Storage, client: CtaClient, folder: str) -> None:
    files = {"a": b"a", "sub/b": b"bb", "sub/deep/c": b"ccc", "skip/d": b"d"}
    for name, data in files.items():
        storage.put(f"{folder}/tree/{name}", data)
    with pytest.raises(StorageError, match="inside it"):
        client.copy_tree(f"{folder}/tree", f"{folder}/tree/sub/copy")
    result = client.copy_tree(f"{folder}/tree", f"{folder}/copy", exclude=["skip/"])

    assert (result.files, result.size, result.failures) == (3, 6, ())
    assert storage.tree(f"{folder}/copy") == {name: data for name, data in files.items() if name != "skip/d"}
    assert storage.tree(f"{folder}/tree") == files


@feature(Feature.COPY_INSIDE)
def test_the_server_copies_by_itself(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/a", b"data")
    result = client.copy(f"{folder}/a", f"{folder}/b")

    assert storage.get(f"{folder}/b") == b"data"
    assert result.way != "client"

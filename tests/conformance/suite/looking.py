"""Looking at files and trees without copying them."""

import os

import pytest

from ctadata_providers import CtaClient, IsADirError, NotFoundError
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage

SIZE = 3 * 1024 * 1024


@feature(Feature.TRANSFER)
@pytest.mark.parametrize("size", [0, 1, SIZE])
def test_a_file_is_given_as_it_is(storage: Storage, client: CtaClient, folder: str, size: int) -> None:
    data = os.urandom(size)
    storage.put(f"{folder}/f", data)
    given = bytearray()

    result = client.stream(f"{folder}/f", given.extend)

    assert given == data
    assert result.size == size


@feature(Feature.TRANSFER)
@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (0, 1000), (SIZE // 2, SIZE // 2 + 70_000), (SIZE - 1, None), (SIZE - 9, SIZE + 9)]
)
def test_a_part_of_a_file_is_given(
    storage: Storage, client: CtaClient, folder: str, start: int, end: int | None
) -> None:
    data = os.urandom(SIZE)
    storage.put(f"{folder}/f", data)
    given = bytearray()

    client.stream(f"{folder}/f", given.extend, start=start, end=end)

    assert given == data[start:end]


@feature(Feature.TRANSFER)
def test_nothing_is_given_behind_the_end(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", b"12345")
    given = bytearray()

    for start, end in ((5, None), (9, 12), (2, 2)):
        assert client.stream(f"{folder}/f", given.extend, start=start, end=end).size == 0
    assert not given


@feature(Feature.KINDS)
def test_a_folder_is_not_given(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", b"x")

    with pytest.raises(IsADirError):
        client.stream(folder, bytes)
    with pytest.raises(NotFoundError):
        client.stream(f"{folder}/none", bytes)


@feature(Feature.WALK)
def test_a_tree_is_drawn_and_summed_up(storage: Storage, client: CtaClient, folder: str) -> None:
    for name, size in {"b": 1, "a/x": 10, "a/c/d": 100}.items():
        storage.put(f"{folder}/{name}", bytes(size))

    assert [(item.info.name, item.depth, item.lasts[-1]) for item in client.tree(folder)] == [
        *(("a", 1, False), ("c", 2, False), ("d", 3, True), ("x", 2, True), ("b", 1, True))
    ]
    assert [(it.info.name, it.size, it.files) for it in client.usage(folder)][:2] == [("c", 100, 1), ("a", 110, 2)]
    assert [(it.size, it.files, it.folders) for it in client.usage(folder)][2:] == [(111, 3, 2)]

"""Transactions: all that is stored in one is stored at its end, or nothing."""

from collections.abc import Callable

import pytest

from ctadata_providers import CtaClient
from ctadata_providers.errors import StorageError
from ctadata_providers.filesystem import CtaFileSystem


@pytest.fixture
def fs() -> CtaFileSystem:
    return CtaFileSystem(client=CtaClient(backend="memory"))


def test_a_file_that_is_open_when_its_transaction_ends_is_an_error_and_nothing_of_it_is_stored(
    fs: CtaFileSystem,
) -> None:
    with pytest.raises(StorageError, match="/lst/open is still open"), fs.transaction:  # noqa: PT012 (its end raises)
        file = fs.open("/lst/open", "wb")
        file.write(b"half")
    file.close()

    assert not fs.exists("/lst/open")


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

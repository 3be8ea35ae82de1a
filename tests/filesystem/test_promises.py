"""What `cta://` promises beyond fsspec's own suite: whole or absent, no secret travels, names are literal."""

import pickle
from collections.abc import Iterator

import fsspec
import pytest

from ctadata_providers.filesystem import CtaFileSystem
from tests.filesystem.abstract import file_system
from tests.servers.server import Server

SECRET = "a-secret-that-nobody-else-may-see"


@pytest.fixture
def fs(server: Server) -> Iterator[CtaFileSystem]:
    fs = file_system(server)
    yield fs
    fs.client.close()


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_an_exception_in_a_with_statement_leaves_nothing(fs: CtaFileSystem, mode: str) -> None:
    with pytest.raises(ZeroDivisionError), fs.open(f"/promises/torn-{mode}", mode) as file:  # noqa: PT012 (an error within it is what is tested)
        file.write(b"half" if "b" in mode else "half")
        raise ZeroDivisionError

    assert not fs.exists(f"/promises/torn-{mode}")


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_an_exception_within_an_open_file_of_fsspec_leaves_nothing(fs: CtaFileSystem, mode: str) -> None:
    with pytest.raises(ZeroDivisionError), fsspec.core.OpenFile(fs, f"/promises/open-{mode}", mode) as file:  # noqa: PT012 (an error within it is what is tested)
        file.write(b"half" if "b" in mode else "half")
        raise ZeroDivisionError

    assert not fs.exists(f"/promises/open-{mode}")


def test_a_file_that_is_closed_while_an_error_is_handled_is_stored(fs: CtaFileSystem) -> None:
    file = fs.open("/promises/handled", "wb")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        file.write(b"whole")
        file.close()

    assert fs.cat_file("/promises/handled") == b"whole"


def test_a_transaction_stores_all_at_its_end_and_nothing_after_an_error(fs: CtaFileSystem) -> None:
    with fs.transaction:
        with fs.open("/promises/kept", "wb") as file:
            file.write(b"kept")
        assert not fs.exists("/promises/kept")
    with pytest.raises(ZeroDivisionError), fs.transaction:  # noqa: PT012 (an error within it is what is tested)
        with fs.open("/promises/lost", "wb") as file:
            file.write(b"lost")
        raise ZeroDivisionError

    assert fs.cat_file("/promises/kept") == b"kept"
    assert not fs.exists("/promises/lost")


@pytest.mark.parametrize("name", ["a#b", "a%20b", "a b"])
def test_names_are_literal(fs: CtaFileSystem, name: str) -> None:
    fs.pipe_file(f"cta://promises/{name}", b"x")

    assert fs.cat_file(f"cta://promises/{name}") == b"x"
    assert f"/promises/{name}" in fs.ls("cta://promises", detail=False)


def test_ranges_come_in_their_order_with_the_error_of_each(fs: CtaFileSystem) -> None:
    data = bytes(range(256)) * 2000
    fs.pipe_file("/promises/ranges", data)
    starts = [400_000, 0, 100_000, 511_990]
    paths = ["/promises/ranges"] * 4

    found = fs.cat_ranges([*paths, "/promises/none"], [*starts, 0], [*(s + 100 for s in starts), 5])

    assert found[:4] == [data[s : s + 100] for s in starts]
    assert isinstance(found[4], FileNotFoundError)


def test_what_is_appended_follows_what_is_stored(fs: CtaFileSystem) -> None:
    fs.pipe_file("/promises/grown", b"one")
    with fs.open("/promises/grown", "ab") as file:
        file.write(b"two")

    assert fs.cat_file("/promises/grown") == b"onetwo"


def test_no_secret_is_in_pickle_json_token_or_options() -> None:
    fs = CtaFileSystem(token=SECRET, door_url="https://localhost:1")

    told = [repr(pickle.dumps(fs)), fs.to_json(), fs._fs_token, repr(fs.storage_options), repr(fs)]
    assert not [text for text in told if SECRET in text]
    assert pickle.loads(pickle.dumps(fs)).storage_options == {"door_url": "https://localhost:1"}
    assert CtaFileSystem(door_url="https://localhost:1") is not fs

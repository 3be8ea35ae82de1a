"""What `cta://` promises beyond fsspec's own suite: whole or absent, shared by threads and forks, names are literal."""

import gc
import hashlib
import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.callbacks import Callback

from ctadata_providers import CtaClient
from ctadata_providers.errors import ConfigError, IntegrityError
from ctadata_providers.filesystem import CtaFileSystem
from tests.filesystem.abstract import file_system
from tests.servers.server import Server


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


def test_a_transaction_that_is_given_up_stores_nothing_and_is_over(fs: CtaFileSystem) -> None:
    transaction = fs.start_transaction()
    fs.pipe_file("/promises/given-up", b"x")
    transaction.complete(commit=False)
    fs.pipe_file("/promises/afterwards", b"y")

    assert not fs.exists("/promises/given-up")
    assert fs.cat_file("/promises/afterwards") == b"y"


def test_a_transaction_of_which_one_file_cannot_be_stored_is_an_error_and_over(fs: CtaFileSystem) -> None:
    fs.makedirs("/promises/folder")
    with pytest.raises(IsADirectoryError), fs.transaction:  # noqa: PT012 (its end is what raises)
        fs.pipe_file("/promises/folder", b"not over a folder")
        fs.pipe_file("/promises/never", b"x")

    assert not fs.exists("/promises/never")
    assert fs.isdir("/promises/folder")
    fs.pipe_file("/promises/after-it", b"y")
    assert fs.exists("/promises/after-it")


def test_a_file_that_is_never_closed_leaves_nothing(fs: CtaFileSystem, caplog: pytest.LogCaptureFixture) -> None:
    file = fs.open("/promises/abandoned", "wb")
    file.write(b"x" * 2_000_000)
    del file
    gc.collect()

    assert not fs.exists("/promises/abandoned")
    assert "/promises/abandoned was not closed" in caplog.text


def test_bytes_of_unknown_length_go_through_a_spool_and_are_whole(fs: CtaFileSystem) -> None:
    digest = hashlib.sha256()
    with fs.open("/promises/long", "wb") as file:
        for number in range(40):
            block = bytes([number]) * 250_001  # in sum more than is held in memory
            digest.update(block)
            file.write(block)
        assert not fs.exists("/promises/long")

    assert fs.info("/promises/long")["size"] == 40 * 250_001
    assert hashlib.sha256(fs.cat_file("/promises/long")).digest() == digest.digest()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_goes_on_with_what_its_parent_has_opened(fs: CtaFileSystem) -> None:
    fs.pipe_file("/promises/forked", bytes(range(256)) * 1000)
    file = fs.open("/promises/forked", block_size=1000)
    file.read(10)
    context = multiprocessing.get_context("fork")
    read = context.SimpleQueue()

    def child(number: int) -> None:
        read.put(file.read(5000))
        fs.pipe_file(f"/promises/child-{number}", b"x")

    children = [context.Process(target=child, args=(number,)) for number in range(3)]
    for process in children:
        process.start()
    told = [read.get() for _ in children]
    for process in children:
        process.join(60)

    assert [process.exitcode for process in children] == [0, 0, 0]
    assert told == [(bytes(range(256)) * 20)[10:5010]] * 3
    assert file.read(5000) == told[0]
    assert fs.cat("/promises/child-*") == {f"/promises/child-{number}": b"x" for number in range(3)}


def test_many_threads_share_one_file_system(fs: CtaFileSystem) -> None:
    data = bytes(range(256)) * 4000
    fs.pipe_file("/promises/threads", data)

    def work(number: int) -> bool:
        with fs.open("/promises/threads", block_size=5000) as file:
            file.seek(number * 1000)
            right = file.read(7000) == data[number * 1000 : number * 1000 + 7000]
        fs.pipe_file(f"/promises/thread-{number}", b"x" * number)
        return right and fs.size(f"/promises/thread-{number}") == number

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(32)))


class _Sums(Callback):
    """Adds up what a callback and its children are told."""

    def __init__(self, totals: dict[str, int] | None = None, name: str = "") -> None:
        self.totals: dict[str, int] = {} if totals is None else totals
        self.name = name
        super().__init__()

    def branched(self, path_1: Any, path_2: Any, **kwargs: Any) -> "_Sums":
        return _Sums(self.totals, f"{path_1} -> {path_2}")

    def close(self) -> None:
        assert self.size == self.value
        self.totals[self.name] = self.value


def test_callbacks_are_told_of_all_files_and_all_bytes(fs: CtaFileSystem, tmp_path: Path) -> None:
    sizes = {"a": 0, "b": 1, "c/d": 3_000_000}
    for name, size in sizes.items():
        (tmp_path / "up" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "up" / name).write_bytes(b"x" * size)
    up, down = _Sums(), _Sums()
    fs.put(f"{tmp_path}/up/", "/promises/called/", recursive=True, callback=up)
    fs.get("/promises/called/", f"{tmp_path}/down/", recursive=True, callback=down)

    ways = {f"/promises/called/{name}": (f"{tmp_path}/up/{name}", f"{tmp_path}/down/{name}") for name in sizes}
    assert up.totals == {f"{ways[path][0]} -> {path}": sizes[path[17:]] for path in ways}
    assert down.totals == {f"{path} -> {ways[path][1]}": sizes[path[17:]] for path in ways}
    assert up.size == up.value == down.size == down.value > len(sizes)


def test_what_is_listed_is_believed_until_something_is_stored_beside_it(server: Server) -> None:
    fs, other = file_system(server, use_listings_cache=True), file_system(server)
    fs.pipe_file("/listed/a", b"x")

    assert fs.ls("/listed", detail=False) == ["/listed/a"]
    other.pipe_file("/listed/b", b"x")
    assert fs.ls("/listed", detail=False) == ["/listed/a"]
    assert fs.ls("/listed", detail=False, refresh=True) == ["/listed/a", "/listed/b"]
    with fs.open("/listed/c", "wb") as file:
        file.write(b"x")
    assert len(fs.ls("/listed")) == 3
    fs.mv("/listed/c", "/listed/d")
    assert fs.ls("/listed", detail=False) == ["/listed/a", "/listed/b", "/listed/d"]
    fs.rm(["/listed/a", "/listed/b"])
    assert fs.ls("/listed", detail=False) == ["/listed/d"]
    assert fs.info("/listed/d")["size"] == 1
    other.pipe_file("/listed/d", b"xyz")
    assert fs.info("/listed/d")["size"] == 1
    fs.invalidate_cache()
    assert fs.info("/listed/d")["size"] == 3


def test_options_of_fsspec_may_be_text_too(fs: CtaFileSystem) -> None:
    fs.pipe_file("/texts/a", b"x" * 10)
    told = CtaFileSystem(fs.client.config, use_listings_cache="false", listings_expiry_time="2.5", block_size="4096")

    assert not told.dircache.use_listings_cache
    assert told.open("/texts/a").blocksize == 4096
    with pytest.raises(ConfigError, match="block_size"):
        CtaFileSystem(block_size="large")
    with pytest.raises(ConfigError, match="use_listings_cache"):
        CtaFileSystem(use_listings_cache="perhaps")


def test_it_is_told_when_a_file_was_made_where_the_server_knows(fs: CtaFileSystem, server: Server) -> None:
    fs.pipe_file("/promises/made", b"x")

    assert fs.modified("/promises/made").timestamp() == pytest.approx(time.time(), abs=120)
    if server.name.startswith("xrootd"):
        with pytest.raises(NotImplementedError, match="does not tell when /promises/made was made"):
            fs.created("/promises/made")
    else:
        assert fs.created("/promises/made").timestamp() == pytest.approx(time.time(), abs=120)
        assert fs.info("/promises/made")["created"] == fs.created("/promises/made").timestamp()


def test_block_size_and_cache_of_a_file_system_are_those_of_its_files(server: Server) -> None:
    fs = file_system(server, block_size=4096, cache_type="readahead")
    fs.pipe_file("/promises/blocks", b"x" * 10_000)

    with fs.open("/promises/blocks") as file:
        assert (file.blocksize, type(file.cache).name) == (4096, "readahead")
    with fs.open("/promises/blocks", block_size=1024, cache_type="none") as file:
        assert (file.blocksize, type(file.cache).name) == (1024, "none")


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


def test_one_file_is_read_without_a_look_at_it(fs: CtaFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    fs.pipe_file("/promises/one", b"one")
    monkeypatch.setattr(fs.client, "stat", lambda path: pytest.fail("a look"))

    assert fs.cat("/promises/one") == b"one"
    with pytest.raises(FileNotFoundError):
        fs.cat("/promises/none")
    monkeypatch.undo()
    with pytest.raises(IsADirectoryError):
        fs.cat("/promises")


@pytest.mark.parametrize("size", [300_000, 20_000_000])
def test_a_file_that_is_replaced_while_it_is_open_is_an_error(fs: CtaFileSystem, server: Server, size: int) -> None:
    if server.name.startswith("xrootd"):
        pytest.skip("its answers tell nothing but the size")
    fs.pipe_file("/promises/replaced", b"1" * size)
    with fs.open("/promises/replaced", block_size=1000) as file:
        assert file.read(10) == b"1" * 10
        fs.pipe_file("/promises/replaced", b"2" * size)
        file.seek(100_000)

        with pytest.raises(IntegrityError, match="changed"):
            file.read()


def test_ranges_of_a_file_that_is_replaced_meanwhile_are_of_one_version(fs: CtaFileSystem, server: Server) -> None:
    if server.name != "fakecta":
        pytest.skip("XRootD's answers tell nothing but the size, and WsgiDAV's entity tags are of whole seconds")
    versions = [bytes([65 + number]) * 1_000_000 for number in range(4)]
    fs.pipe_file("/promises/busy", versions[0])
    ended = threading.Event()

    def replace() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            fs.client.write("/promises/busy", versions[number % 4])

    starts = list(range(0, 1_000_000, 40_000))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(replace)
        try:
            seen = [
                {found[:1] for found in parts if isinstance(found, bytes)}
                for parts in (
                    fs.cat_ranges(["/promises/busy"] * len(starts), starts, [start + 10 for start in starts])
                    for _ in range(10)
                )
            ]
        finally:
            ended.set()

    assert all(len(each) <= 1 for each in seen)
    assert any(seen)


@pytest.mark.parametrize("path", ["cta:/lst/x", "cta:lst/x"])
def test_an_address_that_has_lost_a_slash_makes_no_folder(path: str) -> None:
    client = CtaClient(backend="memory")
    fs = CtaFileSystem(client=client)
    with pytest.raises(ConfigError, match="two slashes belong behind 'cta:'"):
        fs.pipe(path, b"x")
    with pytest.raises(ConfigError, match="two slashes belong behind 'cta:'"):
        fs.makedirs(path)

    assert list(client.list_dir("/")) == []

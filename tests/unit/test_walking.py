"""Trees, walked in parallel, remote and local."""

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import CtaError, TransientError
from ctadata_providers.patterns import Selection
from ctadata_providers.transfer import walk
from ctadata_providers.transfer.trees.listings import ENTRIES_IN_MEMORY, LISTINGS_AHEAD, LISTINGS_AT_ONCE

PATIENCE = 20.0
TREE = {
    "/t": ["z", "a/", "m", "b/"],
    "/t/a": ["2", "1", "deep/"],
    "/t/a/deep": ["x"],
    "/t/b": [".f.1a2b3c4d.00.ctapart", "y"],
}
WALKED = ["z", "a", "m", "b", "a/2", "a/1", "a/deep", "a/deep/x", "b/y"]


class Shelf:
    """Folders that can be listed, and nothing else; names that end in a slash are folders."""

    def __init__(self, folders: dict[str, list[str]], before: Callable[[str], object] = lambda path: None) -> None:
        self._folders = folders
        self._before = before  # called in the thread that lists
        self.begun: list[str] = []

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        self.begun.append(path)
        self._before(path)
        for name in self._folders[path]:
            yield FileInfo(f"{path}/{name.removesuffix('/')}", is_dir=name.endswith("/"))


def names(entries: Iterator[FileInfo]) -> list[str]:
    return [info.path.removeprefix("/t/") for info in entries]


def listing_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ctadata-listing")]


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    for thread in listing_threads():
        thread.join(PATIENCE)

    assert not listing_threads()


# Order


def test_a_folder_comes_before_what_is_in_it_and_sub_folders_by_name() -> None:
    assert names(walk(Shelf(TREE), "/t")) == WALKED
    assert "b/.f.1a2b3c4d.00.ctapart" in names(walk(Shelf(TREE), "/t", hidden=True))


def test_the_order_is_the_same_whatever_listing_ends_first() -> None:
    ended = threading.Event()

    def before(path: str) -> None:
        if path == "/t/a":
            assert ended.wait(PATIENCE)
        if path == "/t/b":
            ended.set()

    assert names(walk(Shelf(TREE, before), "/t")) == WALKED


def test_entries_are_given_before_their_listing_has_ended() -> None:
    seen = threading.Event()

    class Slow(Shelf):
        def list_dir(self, path: str) -> Iterator[FileInfo]:
            yield FileInfo("/t/first", is_dir=False)
            assert seen.wait(PATIENCE)
            yield FileInfo("/t/last", is_dir=False)

    walking = walk(Slow({}), "/t")

    assert next(walking).name == "first"
    seen.set()
    assert names(walking) == ["last"]


def test_a_walk_may_go_on_within_another() -> None:
    shelf = Shelf(TREE)
    found = [f"{outer.name}/{inner.name}" for outer in walk(shelf, "/t") for inner in walk(shelf, "/t/a")]

    assert found == [f"{name.rpartition('/')[2]}/{inner}" for name in WALKED for inner in ("2", "1", "deep", "x")]


def test_a_tree_may_be_deep() -> None:
    folders = {"/t" + "/d" * depth: ["d/"] for depth in range(3000)} | {"/t" + "/d" * 3000: ["f"]}

    assert len(names(walk(Shelf(folders), "/t"))) == 3001
    assert len(names(walk(Shelf(folders), "/t", selection=Selection(include=("f",))))) == 3001


# How much at once


def many(folders: int) -> dict[str, list[str]]:
    inner = [f"{number:03d}" for number in range(folders)]
    return {"/t": [f"{name}/" for name in inner], **{f"/t/{name}": ["f"] for name in inner}}


def test_some_folders_are_listed_at_once_and_no_more() -> None:
    together = threading.Barrier(LISTINGS_AT_ONCE)
    running: list[str] = []
    most: list[int] = []

    def before(path: str) -> None:
        if path != "/t":
            running.append(path)
            together.wait(PATIENCE)  # passed only by so many at once
            most.append(len(running))
            together.wait(PATIENCE)
            running.remove(path)

    found = names(walk(Shelf(many(3 * LISTINGS_AT_ONCE), before), "/t"))

    assert len(found) == 6 * LISTINGS_AT_ONCE
    assert max(most) == LISTINGS_AT_ONCE


def test_no_more_folders_are_listed_ahead_than_fit_in_memory() -> None:
    enough = threading.Semaphore(0)
    shelf = Shelf(many(100), lambda path: enough.release())
    walking = walk(shelf, "/t")
    for _ in range(101):
        next(walking)  # all folders, and the first file
    for _ in range(1 + LISTINGS_AHEAD):
        assert enough.acquire(timeout=PATIENCE)
    walking.close()
    for thread in listing_threads():
        thread.join(PATIENCE)

    assert len(shelf.begun) == 1 + LISTINGS_AHEAD
    assert shelf.begun[:2] == ["/t", "/t/000"]


def test_what_is_wanted_first_is_listed_however_much_was_listed_ahead() -> None:
    folders = many(50)
    folders["/t/000"] = [f"d{number:03d}/" for number in range(50)]
    folders |= {f"/t/000/d{number:03d}": ["f"] for number in range(50)}
    others = threading.Semaphore(0)

    def before(path: str) -> None:
        if path == "/t/000":
            for _ in range(LISTINGS_AHEAD - 1):
                assert others.acquire(timeout=PATIENCE)
        elif path.count("/") == 2:
            others.release()

    assert len(names(walk(Shelf(folders, before), "/t"))) == 50 + 49 + 50 + 50


def test_a_long_listing_does_not_wait_for_its_consumer_and_nothing_of_it_is_lost() -> None:
    count = 5 * ENTRIES_IN_MEMORY + 7
    entries = [
        FileInfo(
            f"/t/ü{n}", is_dir=n % 3 == 0, size=n, modified="now", etag='"e"', checksums={"md5": "0"}, locality="LOST"
        )
        for n in range(count)
    ]
    listed = threading.Event()

    class Long(Shelf):
        def list_dir(self, path: str) -> Iterator[FileInfo]:
            yield from entries if path == "/t" else []
            listed.set()

    walking = walk(Long({}), "/t")
    first = next(walking)

    assert listed.wait(PATIENCE)
    assert [first, *walking] == entries


# Errors


def failing(at: str, error: BaseException) -> Shelf:
    def before(path: str) -> None:
        if path == at:
            raise error

    return Shelf(TREE, before)


def test_an_error_is_raised_where_its_folder_stands() -> None:
    walking = walk(failing("/t/a/deep", TransientError("gone")), "/t")
    found = []
    with pytest.raises(TransientError, match="gone"):
        found.extend(info.path for info in walking)  # extend keeps what came before the error

    assert [path.removeprefix("/t/") for path in found] == WALKED[:7]


@pytest.mark.parametrize("error", [ValueError("a fault of ours"), SystemExit(3), MemoryError()])
def test_an_unexpected_error_of_a_listing_reaches_the_consumer(error: BaseException) -> None:
    with pytest.raises(type(error)):
        list(walk(failing("/t/a", error), "/t", on_error=lambda path, error: None))


def test_a_folder_that_cannot_be_listed_is_told_and_passed_over() -> None:
    told: list[tuple[str, CtaError]] = []
    gone = TransientError("gone")
    found = names(walk(failing("/t/a", gone), "/t", on_error=lambda path, error: told.append((path, error))))

    assert found == ["z", "a", "m", "b", "b/y"]
    assert told == [("/t/a", gone)]


def test_what_came_before_a_listing_broke_is_given_and_walked() -> None:
    class Broken(Shelf):
        def list_dir(self, path: str) -> Iterator[FileInfo]:
            yield from super().list_dir(path)
            if path == "/t/a":
                raise TransientError("broken")

    told: list[str] = []

    assert names(walk(Broken(TREE), "/t", on_error=lambda path, error: told.append(path))) == WALKED
    assert told == ["/t/a"]


def test_what_is_raised_when_told_ends_the_walk() -> None:
    def refuse(path: str, error: CtaError) -> None:
        raise KeyError(path)

    with pytest.raises(KeyError, match="/t/a"):
        list(walk(failing("/t/a", TransientError("gone")), "/t", on_error=refuse))


# Ends


@pytest.mark.parametrize("end", [lambda walking: walking.close(), lambda walking: None], ids=["closed", "forgotten"])
def test_a_walk_that_is_given_up_waits_for_nothing_and_begins_nothing(end: Callable[[object], object]) -> None:
    go_on = threading.Event()
    shelf = Shelf(many(100), lambda path: path == "/t" or go_on.wait(PATIENCE))
    walking = walk(shelf, "/t")
    next(walking)
    end(walking)
    del walking
    gc.collect()
    begun = len(shelf.begun)
    go_on.set()
    for thread in listing_threads():
        thread.join(PATIENCE)

    assert len(shelf.begun) <= begun + LISTINGS_AT_ONCE


def test_a_listing_ends_at_its_next_entry_when_the_walk_is_closed() -> None:
    given = threading.Semaphore(0)

    class Endless(Shelf):
        def list_dir(self, path: str) -> Iterator[FileInfo]:
            while True:
                given.release()
                yield FileInfo("/t/f", is_dir=False)

    walking = walk(Endless({}), "/t")
    next(walking)
    walking.close()
    for thread in listing_threads():
        thread.join(PATIENCE)

    assert not listing_threads()


CHILD = """
import os, sys, threading
from ctadata_providers.backends import FileInfo
from ctadata_providers.transfer import walk

class Stalling:
    def list_dir(self, path):
        yield FileInfo(path + "/first", is_dir=True)
        threading.Event().wait()

walking = walk(Stalling(), "/t")
next(walking)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD + program], capture_output=True, text=True, timeout=PATIENCE
    )


def test_the_end_of_the_process_waits_for_no_listing() -> None:
    done = run("print('end')")

    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_a_forked_process_is_told_that_the_walk_does_not_go_on_there() -> None:
    done = run("""
if os.fork() == 0:
    try:
        next(walking)
    except RuntimeError as error:
        print(error, flush=True)
    walking.close()
    Stalling.list_dir = lambda self, path: [FileInfo("/t/f", is_dir=False)]
    print([info.name for info in walk(Stalling(), "/t")])
    sys.exit(0)
os.wait()
""")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("the threads of a walk do not live on in a forked process")
    assert done.stdout.splitlines()[1] == "['f']"


# Selections


def test_an_excluded_folder_is_not_listed() -> None:
    shelf = Shelf(TREE)

    assert names(walk(shelf, "/t", selection=Selection(exclude=("a/", "y")))) == ["z", "m", "b"]
    assert sorted(shelf.begun) == ["/t", "/t/b"]


def test_a_folder_is_given_before_the_first_that_is_included_in_it_or_never() -> None:
    shelf = Shelf(TREE)

    assert names(walk(shelf, "/t", selection=Selection(include=("[xz1]",)))) == ["z", "a", "a/1", "a/deep", "a/deep/x"]
    assert names(walk(shelf, "/t", selection=Selection(include=("nothing",)))) == []


def test_a_folder_that_cannot_hold_what_is_included_is_not_listed() -> None:
    shelf = Shelf(TREE)

    assert names(walk(shelf, "/t", selection=Selection(include=("a/deep/x",)))) == ["a", "a/deep", "a/deep/x"]
    assert sorted(shelf.begun) == ["/t", "/t/a", "/t/a/deep"]


def test_a_folder_that_is_included_comes_with_all_below() -> None:
    assert names(walk(Shelf(TREE), "/t", selection=Selection(include=("a",)))) == [
        "a",
        *(name for name in WALKED if name.startswith("a/")),
    ]


def test_the_root_can_be_walked() -> None:
    class Root(Shelf):
        def list_dir(self, path: str) -> Iterator[FileInfo]:
            yield from [FileInfo("/t", is_dir=True)] if path == "/" else super().list_dir(path)

    assert [info.path for info in walk(Root(TREE), "/", selection=Selection(include=("/t/m",)))] == ["/t", "/t/m"]

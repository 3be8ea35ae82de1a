"""Memory does not grow with the number of files: each case is measured in a process of its own."""

import json
import subprocess
import sys
from tempfile import TemporaryDirectory

import pytest

MIB = 1024
REDUCED, FULL = 10_000, 100_000
GROWTH = {REDUCED: 8 * MIB, FULL: 24 * MIB}
"""The heap's holes grow to some 15 MiB and no further; results that are kept would take 50 MiB of the full size."""

PRELUDE = """
import json, os, sys, threading
from ctadata_providers.session.futures import Future
from pathlib import Path
from ctadata_providers import Config
from ctadata_providers.backends import FileInfo, ReadResult, WriteResult
from ctadata_providers.transfer import Context, download_tree, upload_tree, walk

count = int(sys.argv[1])
os.environ["XDG_STATE_HOME"] = os.getcwd()

def peak():
    # ru_maxrss would begin with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])

class Cheap:
    '''A storage whose files are their own names, and keeps nothing of what it is sent.'''

    def __init__(self, count, folders=1):
        self.count, self.folders, self.seen = count, folders, 0

    def stat(self, path):
        return FileInfo(path, is_dir=not path.rpartition("/")[2].isdecimal(), size=0)

    def list_dir(self, path):
        if path == "/t" and self.folders > 1:
            yield from (FileInfo(f"/t/f{number:05}", is_dir=True) for number in range(self.folders))
            return
        for number in range(self.count // self.folders):
            name = f"{number:010}"
            yield FileInfo(
                f"{path}/{name}", is_dir=False, size=10, modified="Sun, 22 Nov 2026 08:02:06 GMT",
                etag=f'"{path}{number}"', checksums={"adler32": "00000000"}, locality="ONLINE_AND_NEARLINE",
            )

    def read(self, path, sink, **how):
        future = Future()
        sink(path.rpartition("/")[2].encode())
        future.set_result(ReadResult(size=10))
        return future

    def write(self, path, source, *, size, overwrite):
        while source.read(1 << 16):
            pass
        self.seen += 1
        future = Future()
        future.set_result(WriteResult())
        return future

    def make_dir(self, path):
        pass

    def remove(self, path, **how):
        pass

    def close(self):
        pass

def context(backend):
    return Context.of(backend, Config(backend="memory", retries=0, checksum="off"))

def measured(act):
    warm, before = act(2000), peak()
    result = act(count)
    print(json.dumps({"count": result, "peak": peak(), "grown": peak() - before}))
"""

WALK = """
def act(count):
    return sum(1 for _ in walk(Cheap(count, folders), "/t"))
"""
# One entry is taken; the listing goes on to its end without the consumer, as when a big file is transferred meanwhile.
AHEAD = """
def act(count):
    ended = threading.Event()
    class Watched(Cheap):
        def list_dir(self, path):
            yield from super().list_dir(path)
            ended.set()
    walking = walk(Watched(count), "/t")
    next(walking)
    assert ended.wait(60)
    return 1 + sum(1 for _ in walking)
"""
DOWNLOAD = """
def act(count):
    return download_tree(context(Cheap(count, folders)), "/t", Path(f"copy{count}")).files
"""
UPLOAD = """
def act(count):
    top = Path(f"own{count}")
    for folder in range(folders):
        (top / str(folder)).mkdir(parents=True)
        for number in range(count // folders):
            os.symlink("/etc/hostname", f"{top}/{folder}/{number}")
    class Told(Cheap):
        def stat(self, path):
            return FileInfo(path, is_dir=False, size=os.stat("/etc/hostname").st_size)
    return upload_tree(context(Told(0)), top, "/").files
"""


def measure(act: str, count: int, folders: int) -> dict[str, int]:
    program = f"{PRELUDE}\nfolders = {folders}\n{act}\nmeasured(act)"
    with TemporaryDirectory() as folder:  # not by the program: to list what is to be removed takes memory, too
        done = subprocess.run(
            [sys.executable, "-c", program, str(count)], capture_output=True, text=True, check=False, cwd=folder
        )

    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("folders", [1, 1000])
def test_a_walk_takes_no_memory_for_what_it_has_given(folders: int) -> None:
    figures = measure(WALK, FULL, folders)

    assert figures["count"] == FULL + (folders if folders > 1 else 0)
    assert figures["grown"] < 8 * MIB
    assert figures["peak"] < 150 * MIB


def test_a_listing_that_is_ahead_of_its_consumer_waits_on_disk() -> None:
    figures = measure(AHEAD, FULL, 1)

    assert figures["count"] == FULL
    assert figures["grown"] < 8 * MIB


@pytest.mark.parametrize(
    ("count", "folders"),
    [(REDUCED, 200), pytest.param(FULL, 200, marks=pytest.mark.soak), pytest.param(FULL, 1, marks=pytest.mark.soak)],
)
def test_a_download_takes_no_memory_for_what_is_done(count: int, folders: int) -> None:
    figures = measure(DOWNLOAD, count, folders)

    assert figures["count"] == count
    assert figures["grown"] < GROWTH[count]
    assert figures["peak"] < 150 * MIB


@pytest.mark.parametrize("count", [REDUCED // 4, pytest.param(FULL, marks=pytest.mark.soak)])
def test_an_upload_takes_no_memory_for_what_is_done(count: int) -> None:
    figures = measure(UPLOAD, count, 50)

    assert figures["count"] == count
    assert figures["grown"] < GROWTH.get(count, GROWTH[REDUCED])
    assert figures["peak"] < 150 * MIB

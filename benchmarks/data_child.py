"""One act of an fsspec file system in a process of its own: `python -m benchmarks.data_child TASK`, the task as JSON.

Prints seconds and processor time of the act alone; each file system has not connected yet, and has loaded all it needs.
"""

import json
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

NOBODY = "https://127.0.0.1:1"
"""Where nothing listens: a question there loads what questions need."""


def main() -> None:
    """Do the task."""
    task: dict[str, Any] = json.loads(sys.argv[1])
    make = KINDS[task["kind"]]
    act = ACTS[task["act"]]
    with suppress(Exception):
        make(NOBODY, task["ca_file"]).cat_file(f"{_root(task['kind'], NOBODY)}nothing")
    fs = make(task["url"], task["ca_file"])
    work = act(fs, _root(task["kind"], task["url"]) + task["path"], *task["arguments"])
    start, cpu = time.perf_counter(), time.process_time()
    count = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu, "count": count}))


def _cta(url: str, ca_file: str) -> Any:
    from ctadata_providers.filesystem import CtaFileSystem

    return CtaFileSystem(config={"door_url": url, "ca_path": ca_file, "retries": "0"})


def _webdav4(url: str, ca_file: str) -> Any:
    from webdav4.fsspec import WebdavFileSystem

    return WebdavFileSystem(url, verify=ssl.create_default_context(cafile=ca_file))


def _http(url: str, ca_file: str) -> Any:
    from fsspec.implementations.http import HTTPFileSystem

    return HTTPFileSystem(ssl=ssl.create_default_context(cafile=ca_file))


def _root(kind: str, url: str) -> str:
    return f"{url}/" if kind == "http" else ""


def _cat_ranges(fs: Any, path: str, count: int, size: int, step: int) -> Callable[[], int]:
    starts = [number * step for number in range(count)]

    def work() -> int:
        parts = fs.cat_ranges([path] * count, starts, [start + size for start in starts], on_error="raise")
        return sum(map(len, parts))

    return work


def _ls(fs: Any, path: str) -> Callable[[], int]:
    return lambda: len(fs.ls(path, detail=True))


def _keys(fs: Any, path: str) -> Callable[[], int]:
    import h5py

    def work() -> int:
        keys: list[str] = []
        with fs.open(path, "rb") as file, h5py.File(file, "r") as h5:
            h5.visit(keys.append)
        return len(keys)

    return work


KINDS: dict[str, Callable[[str, str], Any]] = {"cta": _cta, "webdav4": _webdav4, "http": _http}
ACTS: dict[str, Callable[..., Callable[[], int]]] = {"cat_ranges": _cat_ranges, "ls": _ls, "keys": _keys}
"""What a task can ask for: each takes a file system and arguments, prepares, and returns what is timed."""


if __name__ == "__main__":
    main()

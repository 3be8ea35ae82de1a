"""Our work in a process of its own: `python -m benchmarks.child TASK`, the task as JSON.

A process of its own for each run, so that it has no connection yet, and no memory but its own. Prints seconds and
processor time of the work alone: in a program that runs on, the import was paid for long ago.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ctadata_providers import Config, CtaClient, CtaError, FileInfo

NOBODY = "https://127.0.0.1:1"
"""Where nothing listens: a request there loads what requests need, and connects to nobody."""


def main() -> None:
    """Do the task."""
    task: dict[str, Any] = json.loads(sys.argv[1])
    with CtaClient(Config(door_url=NOBODY, retries=0)) as nobody:
        _load(nobody)
    with CtaClient(Config(**task["settings"])) as client:
        work = ACTS[task["act"]](client, *task["arguments"])
        start, cpu = time.perf_counter(), time.process_time()
        count = work()
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu, "count": count}))


def _load(client: CtaClient) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "file"
        info = FileInfo("/file", is_dir=False, size=1)
        for act in (
            lambda: client.exists("/file"),
            lambda: client.download("/file", target, info=info),
            lambda: client.download_tree("/folder", folder),
            lambda: client.upload_tree(folder, "/folder"),
        ):
            with suppress(CtaError):
                act()


Work = Callable[[], int]


def _download(client: CtaClient, path: str, local: str, size: int | None, checksums: dict[str, str]) -> Work:
    info = None if size is None else FileInfo(path, is_dir=False, size=size, checksums=checksums)

    def work() -> int:
        result = client.download(path, local, info=info)
        if checksums and dict(result.checksums) != checksums:
            raise SystemExit(f"{sorted(result.checksums)} computed instead of {sorted(checksums)}")
        return result.size

    return work


def _upload(client: CtaClient, local: str, path: str) -> Work:
    return lambda: client.upload(local, path).size


def _download_tree(client: CtaClient, path: str, local: str) -> Work:
    return lambda: client.download_tree(path, local).files


def _upload_tree(client: CtaClient, local: str, path: str) -> Work:
    return lambda: client.upload_tree(local, path).files


def _download_many(client: CtaClient, path: str, local: str, near: dict[str, Any]) -> Work:
    """Download what a listing by another way, which is not timed, tells."""
    with CtaClient(Config(**near)) as other:
        files = [(info, Path(local) / info.name) for info in other.list_dir(path)]
    return lambda: sum(outcome.result().size > 0 for _, outcome in client.download_many(files))


def _list(client: CtaClient, path: str) -> Work:
    return lambda: sum(1 for _ in client.list_dir(path))


def _first(client: CtaClient, path: str) -> Work:
    return lambda: int(bool(next(client.list_dir(path))))


def _walk(client: CtaClient, path: str) -> Work:
    return lambda: sum(1 for _ in client.walk(path))


ACTS: dict[str, Callable[..., Work]] = {
    "download": _download,
    "upload": _upload,
    "download_tree": _download_tree,
    "upload_tree": _upload_tree,
    "download_many": _download_many,
    "list": _list,
    "first": _first,
    "walk": _walk,
}
"""What a task can ask for: each takes a client and arguments, prepares, and returns what is timed."""


if __name__ == "__main__":
    main()

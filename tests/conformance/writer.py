"""An upload in a process of its own that stops half-way: `python -m tests.conformance.writer`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctadata_providers import Config, CtaClient
from tests.conformance.storage import Storage

_HALF_WAY = "half-way"
_DONE = "done"
_PATIENCE = 60.0
_ROOT = Path(__file__).parents[2]


class Writer:
    """A process that has sent half of a file and waits."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self._process.kill()
        self._process.wait(_PATIENCE)

    def finish(self) -> None:
        """Let it send the rest; return when the upload is done."""
        output, _ = self._process.communicate("go on\n", timeout=_PATIENCE)
        if output.split() != [_DONE]:
            raise AssertionError(f"the other process failed: {output!r}")


@contextmanager
def half_way_up(storage: Storage, local: Path, path: str) -> Iterator[Writer]:
    """Upload a file in another process, and yield when half of it is sent."""
    argv = [sys.executable, "-m", __name__]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            order = {"settings": storage.settings, "local": str(local), "path": path}
            process.stdin.write(json.dumps(order) + "\n")  # not in argv: it holds a token
            process.stdin.flush()
            told = process.stdout.readline().strip()
            if told != _HALF_WAY:
                raise AssertionError(f"the other process failed: {told!r}")
            yield Writer(process)
        finally:
            process.kill()


def main() -> None:
    """Upload what standard input says; wait there half-way for another line."""
    order = json.loads(sys.stdin.readline())
    local = Path(order["local"])
    left = [local.stat().st_size // 2]

    def progress(passed: int) -> None:
        if left[0] > 0 >= left[0] - passed:
            print(_HALF_WAY, flush=True)  # noqa: T201 (it is how the other process knows)
            sys.stdin.readline()
        left[0] -= passed

    with CtaClient(Config.from_mapping(order["settings"])) as client:
        client.upload(local, order["path"], progress=progress)
    print(_DONE, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

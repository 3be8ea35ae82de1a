"""Commands of ours in processes that can be killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0
Death = tuple[str, str, int]
"""A function of `os`, `before` or `after`, and in which call of it the process dies by its own hand."""


class Commands:
    """Runs commands `ctadata` one after the other, each in a fresh process; a context manager.

    Args:
        environ: What they find in their environment beside that of the test.
        log: Where they write.
    """

    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        self._environ = environ
        self._log = log
        self.pid = 0

    def __enter__(self) -> Self:
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.kills.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **self._environ},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        try:
            self._zygote.wait(PATIENCE)
        finally:
            self._zygote.kill()
            self._zygote.wait()
            assert self._zygote.stdout is not None
            self._zygote.stdout.close()

    def start(self, argv: Sequence[str], *, dies: Sequence[Death] = ()) -> None:
        """Start a command."""
        self._send(json.dumps({"argv": list(argv), "dies": list(dies), "log": str(self._log)}))
        self.pid = self._number()

    def kill(self) -> None:
        """End it as the kernel does when memory is short; it may have ended by itself, and is not reaped yet."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Return how it ended: its exit code, or less than 0 the signal that killed it."""
        self._number()
        self._send("")
        return self._number()

    def run(self, argv: Sequence[str]) -> None:
        """Run a command to its good end."""
        self.start(argv)
        code = self.wait()

        assert code == 0, self._log.read_text()

    def _send(self, line: str) -> None:
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(line + "\n")
        self._zygote.stdin.flush()

    def _number(self) -> int:
        assert self._zygote.stdout is not None
        line = self._zygote.stdout.readline()
        assert line, "the process that starts the others has ended"
        return int(line)

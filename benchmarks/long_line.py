"""Run the forwarder that makes a long line of loopback, and ask it what it has seen."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LongLine:
    """A running forwarder.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(self._answer())

    def connections(self) -> int:
        """Return how many connections it has accepted since it was asked last."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def long_line(port: int, *, delay: float, rate: float) -> Iterator[LongLine]:
    """Forward to a port of this machine, `delay` seconds each way, `rate` bytes a second a connection."""
    program = Path(__file__).with_name("forwarder.py")
    argv = [sys.executable, "-I", "-S", str(program), str(port), str(delay), str(rate)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield LongLine(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=10)

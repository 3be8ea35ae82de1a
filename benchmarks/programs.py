"""Run other programs and learn what they cost."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NOT_INSTALLED = "not installed"


class CannotRun(Exception):
    """An entry cannot be measured; the text says why and stands in its row."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a program, or several in turn, cost.

    Attributes:
        seconds: Wall time from start to end, or what the program itself measured.
        cpu: Seconds of processor time, in user space and in the system.
        peak: The most memory that it held at once, in bytes.
        output: The end of what it printed.
    """

    seconds: float
    cpu: float
    peak: int
    output: str = ""


def command(argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Usage:
    """Run a program quietly.

    Raises:
        CannotRun: It failed; with the last line that it said.
    """
    launcher = _launcher()
    assert launcher.stdin is not None
    assert launcher.stdout is not None
    environ = dict(os.environ if env is None else env)
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a program that is installed has its modules compiled
    request = {"argv": list(argv), "env": environ, "cwd": str(cwd) if cwd else None}
    launcher.stdin.write(json.dumps(request) + "\n")
    launcher.stdin.flush()
    done = json.loads(launcher.stdout.readline())
    if done["status"] != 0:
        said = (done["errors"].strip() or done["output"].strip() or "nothing").splitlines()[-1]
        raise CannotRun(f"failed with status {done['status']}: {said[:120]}")
    return Usage(seconds=done["seconds"], cpu=done["cpu"], peak=done["peak"], output=done["output"])


def in_turn(argvs: Iterable[Sequence[str]], *, env: Mapping[str, str] | None = None) -> Usage:
    """Run several programs one after another; return what all of them cost.

    Raises:
        CannotRun: One failed.
    """
    done = [command(argv, env=env) for argv in argvs]
    return Usage(
        seconds=sum(usage.seconds for usage in done),
        cpu=sum(usage.cpu for usage in done),
        peak=max(usage.peak for usage in done),
    )


def timed(work: Callable[[], object]) -> Usage:
    """Do something in this process and return what it cost; memory is not told."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return Usage(seconds=time.perf_counter() - start, cpu=time.process_time() - cpu, peak=0)


def has(name: str) -> bool:
    """Tell whether a program is installed."""
    return shutil.which(name) is not None


@cache
def _launcher() -> subprocess.Popen[str]:
    program = Path(__file__).with_name("launcher.py")
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.wait(timeout=10)
    process.stdout.close()

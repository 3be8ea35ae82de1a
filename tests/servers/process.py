"""Start a server program, wait until it is ready, stop it by its pid."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_POLL = 0.05
_TAIL_LINES = 25


class ServerError(RuntimeError):
    """A server could not be started; the message says why and what to do."""


def free_port() -> int:
    """Return a TCP port that no one listens on at 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def program(name: str, package: str) -> str:
    """Return the path of a server program.

    Raises:
        ServerError: It is not installed; names the Debian package.
    """
    # /usr/sbin is not in the PATH of an ordinary Debian user, and there nginx, apache2 and cmsd live.
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if not found:
        raise ServerError(f"{name} is not installed: it is in the Debian package {package} (make test-real)")
    return found


def require_file(path: str | Path, package: str) -> Path:
    """Return `path` if it exists.

    Raises:
        ServerError: It does not; names the Debian package.
    """
    if not Path(path).exists():
        raise ServerError(f"{path} is missing: it is in the Debian package {package} (make test-real)")
    return Path(path)


def tail(log: Path) -> str:
    """Return the last lines of a log file, or a word that there is none."""
    if not log.exists():
        return f"(no log at {log})"
    return "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def port_answers(port: int) -> bool:
    """Tell whether something accepts connections on 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(
    argv: Sequence[str],
    *,
    log: Path,
    ready: Callable[[], bool],
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 30.0,
) -> Iterator[int]:
    """Run `argv` with its output in `log`, yield its pid when `ready()` is true, stop it at the end.

    Raises:
        ServerError: It ended or was not ready within `timeout` seconds; holds the tail of its log.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environ or {})},
            cwd=cwd,
        )
    try:
        _wait_ready(process, ready, log=log, timeout=timeout)
        yield process.pid
    finally:
        _stop(process)


def _wait_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], *, log: Path, timeout: float) -> None:
    name = Path(str(process.args[0] if isinstance(process.args, Sequence) else process.args)).name
    deadline = time.monotonic() + timeout
    while not ready():
        if process.poll() is not None:
            raise ServerError(f"{name} ended with status {process.returncode}; its log:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise ServerError(f"{name} was not ready after {timeout:.0f} s; its log:\n{tail(log)}")
        time.sleep(_POLL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=8)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

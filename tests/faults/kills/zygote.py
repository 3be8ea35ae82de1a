"""A process that has all of ours loaded, and forks a child for each command: a run begins without the imports.

Orders come as lines of JSON on standard input. For each it says the child's pid, and 0 when it has ended; it answers
another line with how.
"""

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

LOADED = (
    "pycurl",
    "requests",
    "zlib_ng.zlib_ng",
    "ctadata_providers.cli",
    "ctadata_providers.cli.copies",
    "ctadata_providers.cli.syncing",
    "ctadata_providers.backends.webdav",
    "ctadata_providers.client.mirroring",
    "ctadata_providers.session.messages",
)


def main() -> None:
    """Fork one child after the other, until there are no more orders."""
    for name in LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run(order)
        _say(pid)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # its pid stays its own while somebody may want to kill it
        _say(0)
        sys.stdin.readline()
        _, status = os.waitpid(pid, 0)
        _say(os.waitstatus_to_exitcode(status))


def _say(number: int) -> None:
    os.write(1, f"{number}\n".encode())


def _run(order: dict[str, Any]) -> NoReturn:
    """Run a command; it dies by its own hand where the order says so."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for name, when, count in order["dies"]:
        setattr(os, name, _deadly(getattr(os, name), when, count))
    from ctadata_providers.cli import main as command

    code = command(order["argv"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _deadly(real: Callable[..., Any], when: str, count: int) -> Callable[..., Any]:
    """Return a function of the operating system in whose nth call the process dies, before or after it is done."""
    left = count

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*arguments, **named)
        if left == 0 and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return call


if __name__ == "__main__":
    main()

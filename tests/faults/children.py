"""Programs that are killed or interrupted in the middle, or measured: each runs in a process of its own."""

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence

LONGEST = 20.0
PRELUDE = """
import json, os, signal, sys, threading
from ctadata_providers import Config, CtaClient
client = CtaClient(Config(**json.loads(os.environ.pop("TEST_SETTINGS"))))
"""


def start(
    program: str,
    settings: Mapping[str, object],
    *arguments: object,
    under: Sequence[str] = (),
    **environ: str,
) -> subprocess.Popen[str]:
    """Start a program that has a `client` and its arguments in `sys.argv`; the settings do not go through argv.

    Args:
        program: Its text.
        settings: Of the client.
        arguments: What it finds in `sys.argv`.
        under: A command that runs it.
        environ: More of its environment.
    """
    return subprocess.Popen(
        [*under, sys.executable, "-c", PRELUDE + textwrap.dedent(program), *map(str, arguments)],
        env={**os.environ, **environ, "TEST_SETTINGS": json.dumps(dict(settings), default=str)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(child: subprocess.Popen[str], seconds: float = LONGEST) -> tuple[str, str]:
    """Wait for the end of a program, which is killed if it does not come; return what it wrote and what it said."""
    try:
        return child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        raise


def wait_until(happened: Callable[[], object]) -> None:
    """Wait for another process to come to a point."""
    deadline = time.monotonic() + LONGEST
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen")
        time.sleep(0.01)

"""What the tests of the agent share: a home in which none is left running, and tokens of any life."""

import base64
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ctadata_providers.credentials.agent.files import agents_here, lock_holder

PATIENCE = 30.0


@contextmanager
def agent_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a home of its own, in which no agent is left running."""
    for name, place in {"HOME": "home", "XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "run"}.items():
        (folder / place).mkdir()
        monkeypatch.setenv(name, str(folder / place))
    try:
        yield folder
    finally:
        for files in agents_here():
            pid = lock_holder(files.lock)
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def jwt(*, life: float, signature: str = "c2ln") -> str:
    """Return a token that tells its life."""
    claims = json.dumps({"iat": time.time(), "exp": time.time() + life}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.{signature}"


def until(fact: Callable[[], object]) -> None:
    """Wait until something is so, in another process that only polling shows."""
    deadline = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.02)

"""Ctrl-C ends what asks many things at once, although the server is silent."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ctadata_providers import CtaClient
from ctadata_providers.filesystem import CtaFileSystem

AT_MOST = 5.0


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[CtaFileSystem]:
    """A storage that has folders, and answers nothing else until the test ends; then comes a Ctrl-C."""
    client = CtaClient(backend="memory")
    for name in "abcd":
        client.make_dir(f"/lst/{name}", parents=True)
    over, backend = threading.Event(), client._backend

    asked = threading.Lock()

    def answer_nothing(*_: object, **__: object) -> None:
        if asked.acquire(blocking=False):
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        over.wait(2 * AT_MOST)
        raise TimeoutError

    list_dir = backend.list_dir
    monkeypatch.setattr(backend, "stat", answer_nothing)
    monkeypatch.setattr(backend, "make_dir", answer_nothing)
    monkeypatch.setattr(backend, "list_dir", lambda path: list_dir(path) if path == "/lst" else answer_nothing())
    yield CtaFileSystem(client=client)
    over.set()


@pytest.mark.parametrize(
    "act",
    [
        lambda fs: fs.get(["/lst/a", "/lst/b"], ["/nowhere/a", "/nowhere/b"]),
        lambda fs: fs.pipe({"/lst/new/x": b"x", "/lst/new/y": b"y"}),
        lambda fs: fs.find("/lst", maxdepth=2),
    ],
    ids=["get", "pipe", "find"],
)
def test_ctrl_c_ends_questions_to_a_silent_server(silent: CtaFileSystem, act: Callable[[CtaFileSystem], None]) -> None:
    silent.info = lambda path: (
        {"name": path, "type": "directory"} if path == "/lst" else CtaFileSystem.info(silent, path)
    )
    began = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        act(silent)

    assert time.monotonic() - began < AT_MOST

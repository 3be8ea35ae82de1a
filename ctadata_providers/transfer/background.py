"""What goes on when its transfer has ended: a slow server still removes what a stopped upload has left."""

import sys
import threading
import time
from contextlib import suppress
from typing import Any

from ctadata_providers.exits import wait_at_exit
from ctadata_providers.forks import NewAfterFork
from ctadata_providers.session.futures import Future
from ctadata_providers.session.loop import in_curl_loop

PATIENCE = 1.2
"""Seconds for which anybody waits for what goes on: Ctrl-C shall end a command within 2 s."""


class Background(NewAfterFork):
    """Knows what goes on, so that who closes the client, and the end of the process, wait for it; thread-safe."""

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._going_on: dict[Future[Any], float] = {}  # with the time at which nobody waits for it any more

    def add(self, work: Future[Any]) -> None:
        """Let something go on."""
        with self._lock:
            self._going_on[work] = time.monotonic() + PATIENCE
        work.add_done_callback(self._end)
        thread = threading.Thread(target=work.wait, args=(PATIENCE,), name="ctadata-tidying", daemon=False)
        with suppress(RuntimeError):  # there are no more threads to be had: it goes on all the same
            thread.start()
            wait_at_exit(thread)

    def wait(self) -> None:
        """Wait for what goes on, but not for long, and never in the thread of an event loop, where all would wait."""
        if in_curl_loop() or _in_event_loop():
            return
        with self._lock:
            going_on = list(self._going_on.items())
        for work, until in going_on:
            work.wait(max(0.0, until - time.monotonic()))

    def _end(self, work: Future[Any]) -> None:
        with self._lock:
            self._going_on.pop(work, None)


def _in_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")  # who has not imported it runs no loop
    return asyncio is not None and asyncio._get_running_loop() is not None

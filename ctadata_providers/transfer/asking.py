"""What takes as long as somebody else likes."""

import threading
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from contextlib import suppress
from typing import Any, TypeVar

from ctadata_providers.session.futures import Future
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.tasks import fulfil

T = TypeVar("T")
MOMENT = 0.1
"""Seconds for which a stopped transfer waits until it has been tidied up: it shall end within 0.2 s."""


def in_own_thread(function: Callable[[], T]) -> Future[T]:
    """Run what may wait for somebody else for as long as it likes, such as who writes into a pipe."""
    future: Future[T] = Future()
    threading.Thread(target=fulfil, args=(future, function), name="ctadata-waiting", daemon=True).start()
    return future


def end_of(work: Future[Any], *, within: float | None = None) -> Future[bool]:
    """Return what is done when something has ended, however: true, or false when some seconds are over before."""
    told: Future[bool] = Future()

    def tell(ended: bool) -> None:
        with suppress(InvalidStateError):  # told before
            told.set_result(ended)

    work.add_done_callback(lambda _: tell(True))
    if within is not None:
        curl_loop().sleep(within).add_done_callback(lambda _: tell(False))
    return told

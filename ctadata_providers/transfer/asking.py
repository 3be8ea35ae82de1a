"""What blocks, where nobody needs to wait for its end once the transfer is stopped."""

import threading
from collections.abc import Callable
from typing import TypeVar

from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import following, fulfil, in_thread

T = TypeVar("T")


def asked(function: Callable[[], T]) -> Future[T]:
    """Run what blocks in a thread; unlike `in_thread` alone, a cancellation does not wait for it.

    For questions, and for acts that may still happen after all has been given up, such as making a folder.
    """
    return following(in_thread(function, asks=True))


def in_own_thread(function: Callable[[], T]) -> Future[T]:
    """Run what may wait for somebody else for as long as it likes, such as who writes into a pipe."""
    future: Future[T] = Future()
    threading.Thread(target=fulfil, args=(future, function), name="ctadata-waiting", daemon=True).start()
    return future

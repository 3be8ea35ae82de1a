"""What blocks for as long as somebody else likes."""

import threading
from collections.abc import Callable
from typing import TypeVar

from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import fulfil

T = TypeVar("T")


def in_own_thread(function: Callable[[], T]) -> Future[T]:
    """Run what may wait for somebody else for as long as it likes, such as who writes into a pipe."""
    future: Future[T] = Future()
    threading.Thread(target=fulfil, args=(future, function), name="ctadata-waiting", daemon=True).start()
    return future

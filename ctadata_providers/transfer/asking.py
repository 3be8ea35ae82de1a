"""What blocks, where nobody needs to wait for its end once the transfer is stopped."""

from collections.abc import Callable
from typing import TypeVar

from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import following, in_thread

T = TypeVar("T")


def asked(function: Callable[[], T]) -> Future[T]:
    """Run what blocks in a thread; unlike `in_thread` alone, a cancellation does not wait for it.

    For questions, and for acts that may still happen after all has been given up, such as making a folder.
    """
    return following(in_thread(function, asks=True))

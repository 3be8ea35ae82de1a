"""What blocks, where nobody needs to wait for its end once the transfer is stopped."""

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from typing import TypeVar

from ctadata_providers.session.tasks import CancellableFuture, in_thread

T = TypeVar("T")


def asked(function: Callable[[], T]) -> Future[T]:
    """Run what blocks in a thread; unlike `in_thread` alone, a cancellation does not wait for it.

    For questions, and for acts that may still happen after all has been given up, such as making a folder.
    """
    running = in_thread(function, asks=True)
    answer: CancellableFuture[T] = CancellableFuture(lambda: _settle(answer, CancelledError()))

    def take(done: Future[T]) -> None:
        error = done.exception()
        if error is not None:
            _settle(answer, error)
            return
        with suppress(InvalidStateError):  # given up meanwhile
            answer.set_result(done.result())

    running.add_done_callback(take)
    return answer


def _settle(answer: Future[T], error: BaseException) -> None:
    with suppress(InvalidStateError):
        answer.set_exception(error)

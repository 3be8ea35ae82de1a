"""What an upload has left on the server is removed."""

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from ctadata_providers.errors import CtaError, NotFoundError
from ctadata_providers.session.futures import Future
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.tasks import Task, following, in_thread, spawn, wait
from ctadata_providers.transfer.context import Context
from ctadata_providers.transfer.uploads import Remembered

logger = logging.getLogger(__name__)
T = TypeVar("T")
SETTLING = 0.3
"""Seconds after which a server has noticed that an upload was given up."""
MOMENT = 0.1
"""Seconds for which a stopped upload waits until it has been tidied up: it shall end within 0.2 s."""


async def tidy(
    context: Context,
    remembered: Remembered,
    *,
    unanswered: bool,
    stopped: bool,
    renaming: Future[bool] | None = None,
) -> None:
    """Remove what is left under a temporary name, and forget it when it is gone; its upload has ended.

    That of an upload that is stopped, before or meanwhile, is waited for no longer than a moment, and goes on; until it
    is gone, the name stays remembered.

    Args:
        context: What the transfers of a client share.
        remembered: The name.
        unanswered: As for `cleared`.
        stopped: Whether the upload is stopped.
        renaming: What may still give it the name of the target.
    """
    try:
        await _done(context, _tidied(context, remembered, unanswered, renaming), stopped=stopped)
    finally:
        remembered.end()


async def _tidied(context: Context, remembered: Remembered, unanswered: bool, renaming: Future[bool] | None) -> None:
    if renaming is not None:
        await wait(_end_of(renaming))
    renamed = renaming is not None and renaming.value
    if renamed or await _cleared(partial(removed, context, remembered.path), unanswered=unanswered):
        remembered.forget()


async def cleared(context: Context, remove: Callable[[], bool | None], *, unanswered: bool, stopped: bool) -> bool:
    """Have what an upload has left removed, and tell whether it is certainly gone.

    That of an upload that is stopped, before or meanwhile, is waited for no longer than a moment, and goes on.

    Args:
        context: What the transfers of a client share.
        remove: As `removed`; blocks.
        unanswered: Whether bytes were sent to which the server has not answered, whoever gave them up: it may then
            begin the file after it has answered that there is none.
        stopped: Whether the upload is stopped.
    """
    return await _done(context, _cleared(remove, unanswered=unanswered), stopped=stopped) or False


async def _cleared(remove: Callable[[], bool | None], *, unanswered: bool) -> bool:
    gone = await wait(in_thread(remove))
    if gone is None and unanswered:
        await wait(curl_loop().sleep(SETTLING))
        gone = await wait(in_thread(remove))
    return gone is not False


async def _done(context: Context, tidying: Task[T], *, stopped: bool) -> T | None:
    """Tidy up and return the result, None when its upload is stopped, and it goes on in the background."""
    work = spawn(tidying)
    if stopped:
        return await _done_soon(context, work)
    try:
        return await wait(following(work))
    except CancelledError:
        await _done_soon(context, work)
        raise


async def _done_soon(context: Context, work: Future[T]) -> T | None:
    context.background.add(work)
    return work.result() if await wait(_end_of(work, within=MOMENT)) else None


def _end_of(work: Future[Any], *, within: float | None = None) -> Future[bool]:
    """Return what is done when something has ended, however: true, or false when some seconds are over before."""
    told: Future[bool] = Future()

    def tell(ended: bool) -> None:
        with suppress(InvalidStateError):  # told before
            told.set_result(ended)

    work.add_done_callback(lambda _: tell(True))
    if within is not None:
        curl_loop().sleep(within).add_done_callback(lambda _: tell(False))
    return told


def removed(context: Context, path: str) -> bool | None:
    """Remove what an upload has left; return whether it is certainly gone, None when there was nothing; blocks."""
    try:
        context.cleaner.remove(path, is_file=True)
    except NotFoundError:
        return None
    except CtaError as error:
        logger.warning("cannot remove the unfinished %s: %s", path, error)
        return False
    return True

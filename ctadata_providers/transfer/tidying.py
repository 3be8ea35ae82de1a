"""What an upload has left on the server is removed."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial
from typing import Any, TypeVar

from ctadata_providers.errors import CtaError, NotFoundError
from ctadata_providers.session.futures import Future
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.tasks import following, in_thread, spawn, wait
from ctadata_providers.transfer.asking import MOMENT, end_of
from ctadata_providers.transfer.context import Context
from ctadata_providers.transfer.notes import Remembered

logger = logging.getLogger(__name__)
T = TypeVar("T")
SETTLING = 0.3
"""Seconds after which a server has noticed that an upload was given up."""
_clearing: dict[Future[Any], str] = {}
"""The addresses of targets where what was left may still be removed, by what removes it."""


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
        await _done(context, spawn(_tidied(context, remembered, unanswered, renaming)), stopped=stopped)
    finally:
        remembered.end()


def tidy_later(context: Context, remembered: Remembered, *, unanswered: bool) -> None:
    """Do as `tidy` for an upload that is stopped and has waited for a moment already."""
    context.background.add(spawn(_tidied(context, remembered, unanswered, None)))


async def _tidied(context: Context, remembered: Remembered, unanswered: bool, renaming: Future[bool] | None) -> None:
    if renaming is not None:
        renaming.cancel()  # if it has not begun
        await wait(end_of(renaming))
    renamed = renaming is not None and renaming.value
    if renamed or await _cleared(partial(removed, context, remembered.path), unanswered=unanswered):
        remembered.forget()


async def cleared(
    context: Context, path: str, remove: Callable[[], bool | None], *, unanswered: bool, stopped: bool
) -> bool:
    """Have what an upload has left under the name of its target removed, and tell whether it is certainly gone.

    That of an upload that is stopped, before or meanwhile, is waited for no longer than a moment, and goes on.

    Args:
        context: What the transfers of a client share.
        path: The target.
        remove: As `removed`; blocks.
        unanswered: Whether bytes were sent to which the server has not answered, whoever gave them up: it may then
            begin the file after it has answered that there is none.
        stopped: Whether the upload is stopped.
    """
    work = spawn(_cleared(remove, unanswered=unanswered))
    _clearing[work] = context.door + path
    work.add_done_callback(_clearing.pop)
    return await _done(context, work, stopped=stopped) or False


def is_being_cleared(context: Context, path: str) -> bool:
    """Tell whether `cleared` still goes on at a target, of whatever client."""
    return context.door + path in _clearing.copy().values()


async def until_cleared(context: Context, path: str) -> None:
    """Wait until it has ended: it would take what is stored there meanwhile for what was left."""
    address = context.door + path
    for work in [work for work, target in _clearing.copy().items() if target == address]:
        await wait(end_of(work))


async def _cleared(remove: Callable[[], bool | None], *, unanswered: bool) -> bool:
    gone = await wait(in_thread(remove))
    if gone is None and unanswered:
        await wait(curl_loop().sleep(SETTLING))
        gone = await wait(in_thread(remove))
    return gone is not False


async def _done(context: Context, work: Future[T], *, stopped: bool) -> T | None:
    """Return the result of what tidies up, None when its upload is stopped, and it goes on in the background."""
    if stopped:
        return await _done_soon(context, work)
    try:
        return await wait(following(work))
    except CancelledError:
        await _done_soon(context, work)
        raise


async def _done_soon(context: Context, work: Future[T]) -> T | None:
    context.background.add(work)
    return work.result() if await wait(end_of(work, within=MOMENT)) else None


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


os.register_at_fork(after_in_child=_clearing.clear)  # what goes on goes on in the parent

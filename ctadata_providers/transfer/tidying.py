"""What an upload has left on the server is removed."""

import logging
from collections.abc import Callable
from functools import partial

from ctadata_providers.errors import CtaError, NotFoundError
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.tasks import in_thread, to_its_end, wait
from ctadata_providers.transfer.context import Context
from ctadata_providers.transfer.uploads import Remembered

logger = logging.getLogger(__name__)
SETTLING = 0.3
"""Seconds after which a server has noticed that an upload was given up."""


async def tidy(context: Context, remembered: Remembered, *, unanswered: bool) -> None:
    """Remove what is left under a temporary name, and forget it when it is gone; whoever stops the upload waits for it.

    Args:
        context: What the transfers of a client share.
        remembered: The name.
        unanswered: As for `cleared`.
    """
    await to_its_end(_tidied(context, remembered, unanswered=unanswered))


async def _tidied(context: Context, remembered: Remembered, *, unanswered: bool) -> None:
    if await _cleared(partial(removed, context, remembered.path), unanswered=unanswered):
        remembered.forget()


async def cleared(remove: Callable[[], bool | None], *, unanswered: bool) -> bool:
    """Have what an upload has left removed, and tell whether it is certainly gone; who stops the upload waits for it.

    Args:
        remove: As `removed`; blocks.
        unanswered: Whether bytes were sent to which the server has not answered, whoever gave them up: it may then
            begin the file after it has answered that there is none.
    """
    return await to_its_end(_cleared(remove, unanswered=unanswered))


async def _cleared(remove: Callable[[], bool | None], *, unanswered: bool) -> bool:
    gone = await wait(in_thread(remove))
    if gone is None and unanswered:
        await wait(curl_loop().sleep(SETTLING))
        gone = await wait(in_thread(remove))
    return gone is not False


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

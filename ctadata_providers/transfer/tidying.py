"""What an upload has left on the server is removed."""

import logging
from functools import partial

from ctadata_providers.errors import CtaError, NotFoundError
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.tasks import in_thread, to_its_end, wait
from ctadata_providers.transfer.context import Context
from ctadata_providers.transfer.uploads import Remembered

logger = logging.getLogger(__name__)
SETTLING = 0.3
"""Seconds after which a server has noticed that an upload was given up."""


async def tidy(context: Context, remembered: Remembered, *, stopped: bool) -> None:
    """Remove what is left under a temporary name, and forget it when it is gone; whoever stops the upload waits for it.

    Args:
        context: What the transfers of a client share.
        remembered: The name.
        stopped: Whether bytes were on their way: a server may make the file of a stopped upload after it has answered
            that there is none.
    """
    await to_its_end(_tidied(context, remembered, stopped=stopped))


async def _tidied(context: Context, remembered: Remembered, *, stopped: bool) -> None:
    gone = await wait(in_thread(partial(removed, context, remembered.path)))
    if gone is None and stopped:
        await wait(curl_loop().sleep(SETTLING))
        gone = await wait(in_thread(partial(removed, context, remembered.path)))
    if gone is not False:
        remembered.forget()


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

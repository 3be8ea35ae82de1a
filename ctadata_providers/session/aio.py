"""Our futures awaited in asyncio: what is under way is awaited without a thread of its own."""

import asyncio
from concurrent.futures import CancelledError
from typing import TypeVar

from ctadata_providers import awaiting
from ctadata_providers.session.futures import STOP_PATIENCE, Future

T = TypeVar("T")


async def result_of(future: Future[T]) -> T:
    """Wait for the end of a future as `awaiting.result_of` does; work that was cancelled cancels who waits for it.

    Raises:
        asyncio.CancelledError: When the task, or the work, was cancelled.
    """
    try:
        return await awaiting.result_of(future, patience=STOP_PATIENCE)
    except CancelledError as error:
        raise asyncio.CancelledError from error

"""What happens to a transfer, told to whoever wants to know: a workflow engine, a notebook, a log."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from ctadata_providers.errors import CtaError
from ctadata_providers.session.tasks import Task
from ctadata_providers.transfer.context import Context, CopyResult, Progress, TransferResult

logger = logging.getLogger(__name__)
EventKind = Literal["start", "progress", "retry", "done", "failed", "cancelled"]
Result = TypeVar("Result", TransferResult, CopyResult)
PROGRESS_SECONDS = 0.5
"""At most one `progress` of a transfer within so many seconds."""


@dataclass(frozen=True, slots=True)
class TransferEvent:
    """Something that has just happened to a transfer.

    Attributes:
        kind: `start`, then any number of `progress` and `retry`, then `done`, `failed` or `cancelled`.
        act: `download`, `upload` or `copy`.
        path: Remote path; of a copy the target's.
        local: Local file, None for a copy, and for bytes that were held in memory.
        size: Bytes of the file, None when unknown.
        moved: Bytes that have passed; fewer than before when it had to begin again.
        error: Why it is tried again, or has failed; None for an error that is not ours, as one that `progress` raised.
        delay: Seconds until it is tried again.
        result: What came of it, when it is done.
    """

    kind: EventKind
    act: str
    path: str
    local: Path | None = None
    size: int | None = None
    moved: int = 0
    error: CtaError | None = None
    delay: float | None = None
    result: TransferResult | CopyResult | None = None


class Watch:
    """Tells of one transfer.

    Args:
        tell: Who wants to know; what it raises is logged, and is no fault of the transfer.
        first: The event with which it begins.
        progress: Told of the bytes that pass, too.
    """

    def __init__(
        self, tell: Callable[[TransferEvent], object], first: TransferEvent, progress: Progress | None
    ) -> None:
        self._on_event = tell
        self._now = first
        self._progress = progress
        self._told_at = 0.0
        self._tell(first)

    def progress(self, count: int) -> None:
        """Take note of bytes that have passed."""
        if self._progress is not None:
            self._progress(count)
        self._now = replace(self._now, kind="progress", moved=self._now.moved + count)
        if time.monotonic() - self._told_at >= PROGRESS_SECONDS:
            self._tell(self._now)

    def retry(self, error: CtaError, delay: float) -> None:
        """Tell that it is tried again."""
        self._tell(replace(self._now, kind="retry", error=error, delay=delay))

    def end(
        self, kind: EventKind, *, error: CtaError | None = None, result: TransferResult | CopyResult | None = None
    ) -> None:
        """Tell how it has ended."""
        self._tell(replace(self._now, kind=kind, error=error, result=result))

    def _tell(self, event: TransferEvent) -> None:
        self._told_at = time.monotonic()
        try:
            self._on_event(event)
        except Exception:
            logger.exception("on_event failed for %s of %s", event.kind, event.path)


async def watched(
    context: Context,
    first: TransferEvent,
    progress: Progress | None,
    transfer: Callable[[Context, Progress | None], Task[Result]],
) -> Result:
    """Run a transfer and tell of it, if somebody wants to know.

    Args:
        context: What the transfers of a client share.
        first: The event with which it begins.
        progress: Told of the bytes that pass.
        transfer: Makes the coroutine.

    Raises:
        CtaError: That of the transfer.
    """
    if context.on_event is None:
        return await transfer(context, progress)
    watch = Watch(context.on_event, first, progress)
    try:
        result = await transfer(replace(context, on_retry=watch.retry), watch.progress)
    except CancelledError:
        watch.end("cancelled")
        raise
    except CtaError as error:
        watch.end("failed", error=error)
        raise
    except BaseException:  # of the caller's own, from `progress`
        watch.end("failed")
        raise
    watch.end("done", result=result)
    return result

"""What happens to a transfer, told to whoever wants to know: a workflow engine, a notebook, a log."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ctadata_providers.errors import CtaError
from ctadata_providers.transfer.context import Context, Progress, TransferResult

EventKind = Literal["start", "progress", "retry", "done", "failed", "cancelled"]
PROGRESS_SECONDS = 0.5
"""At most one `progress` of a transfer within so many seconds."""


@dataclass(frozen=True, slots=True)
class TransferEvent:
    """Something that has just happened to a transfer.

    Attributes:
        kind: `start`, then any number of `progress` and `retry`, then `done`, `failed` or `cancelled`.
        act: `download`, `upload` or `copy`.
        path: Remote path; of a copy the target's.
        local: Local file, None for a copy.
        size: Bytes of the file, None when unknown.
        moved: Bytes that have passed; fewer than before when it had to begin again.
        error: Why it is tried again, or has failed.
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
    result: TransferResult | None = None


class Watch:
    """Tells of one transfer.

    Args:
        tell: Who wants to know.
        first: The event with which it begins.
        progress: Told of the bytes that pass, too.
    """

    def __init__(self, tell: Callable[[TransferEvent], object], first: TransferEvent, progress: Progress | None) -> None:
        self._tell = tell
        self._last = first
        self._progress = progress
        self._told_at = time.monotonic()
        tell(first)

    def progress(self, count: int) -> None:
        """Take note of bytes that have passed."""
        if self._progress is not None:
            self._progress(count)
        self._last = replace(self._last, moved=self._last.moved + count)
        if time.monotonic() - self._told_at >= PROGRESS_SECONDS:
            self.tell("progress")

    def tell(
        self,
        kind: EventKind,
        *,
        error: CtaError | None = None,
        delay: float | None = None,
        result: TransferResult | None = None,
    ) -> None:
        """Tell of something."""
        self._told_at = time.monotonic()
        self._tell(replace(self._last, kind=kind, error=error, delay=delay, result=result))

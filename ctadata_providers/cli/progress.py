"""One progress bar on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ctadata_providers.cli.output import safe


@contextmanager
def progress_bar(label: str, *, total: int | None, shown: bool) -> Iterator[Callable[[int], None] | None]:
    """Show a bar on stderr while the block runs.

    Args:
        label: What is moved.
        total: Bytes that will be moved; None when unknown.
        shown: False shows nothing.

    Yields:
        A callable that takes byte increments (negative when a transfer starts again) from any thread; None when nothing
        is shown.
    """
    if not shown:
        yield None
        return
    # Loaded only where a bar is shown: rich costs a fifth of a second.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(safe(label), total=total)
        yield lambda increment: bar.advance(task, increment)

"""Transfers that are begun and not waited for: futures for programs that do several things at once, and for asyncio."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from ctadata_providers import transfer
from ctadata_providers.backends import FileInfo
from ctadata_providers.client.connection import Connection
from ctadata_providers.client.copies import route_of
from ctadata_providers.local_places import local_file, local_path
from ctadata_providers.session.futures import Future
from ctadata_providers.session.request import Sink
from ctadata_providers.session.tasks import asked, spawn, wait
from ctadata_providers.transfer import Context, CopyResult, Progress, Streamed, TransferResult

T = TypeVar("T")


class Beginning(Connection):
    """A storage to and from which files are on their way.

    Each method returns at once. What it returns can be awaited in asyncio, has `result()` and `add_done_callback`, and
    ends with the errors of the method that waits. Its `cancel()` stops the transfer, which ends at once and leaves
    nothing partial under the name of a target; a large download goes on the next time. What a slow server has still to
    remove, `close` waits for. No thread waits for a transfer. Of all that are begun so, by whatever thread,
    `max_parallel` run at once.
    """

    def begin_download(
        self,
        remote: FileInfo | str,
        local: Path | str,
        *,
        overwrite: bool = True,
        progress: Progress | None = None,
    ) -> Future[TransferResult]:
        """Begin what `download` does.

        Args:
            remote: The file, or what a listing or `stat` told of it, which saves a request.
            local: The target file.
            overwrite: Whether an existing file may be replaced.
            progress: As for `download`.
        """

        async def work() -> TransferResult:
            target = local_file(local)
            context, info = await self._prepared(partial(self._told, remote))
            begin = partial(transfer.begin_download, context, info, target, overwrite=overwrite, progress=progress)
            return await wait(context.turns.begin(begin, limit=context.max_parallel))

        return spawn(work())

    def begin_upload(
        self, local: Path | str, remote: str, *, overwrite: bool = True, progress: Progress | None = None
    ) -> Future[TransferResult]:
        """Begin what `upload` does; the arguments are the same."""

        async def work() -> TransferResult:
            context, path = await self._prepared(partial(self._file, remote, "upload to"))
            task = partial(transfer.upload, context, local_path(local), path, overwrite=overwrite, progress=progress)
            return await wait(context.turns.begin(lambda: spawn(task()), limit=context.max_parallel))

        return spawn(work())

    def begin_copy(
        self,
        source: str,
        target: str,
        *,
        to: Connection | None = None,
        overwrite: bool = True,
        info: FileInfo | None = None,
        progress: Progress | None = None,
        through_here: bool = True,
    ) -> Future[CopyResult]:
        """Begin what `copy` does; the arguments are the same."""

        async def work() -> CopyResult:
            prepare = partial(route_of, self, source, self if to is None else to, target, info)
            context, (route, told, there) = await self._prepared(prepare)
            task = partial(
                transfer.copy, route, told, there, overwrite=overwrite, progress=progress, through_here=through_here
            )
            return await wait(context.turns.begin(lambda: spawn(task()), limit=route.target.max_parallel))

        return spawn(work())

    def begin_stream(self, remote: FileInfo | str, sink: Sink) -> Future[Streamed]:
        """Begin what `stream` does with a whole file.

        Args:
            remote: The file, or what a listing or `stat` told of it, which saves a request.
            sink: As for `stream`.
        """

        async def work() -> Streamed:
            context, info = await self._prepared(partial(self._told, remote))
            task = partial(transfer.stream, context, info, sink)
            return await wait(context.turns.begin(lambda: spawn(task()), limit=context.max_parallel))

        return spawn(work())

    async def _prepared(self, prepare: Callable[[], T]) -> tuple[Context, T]:
        """Return what a transfer works with, and what must be known first: both may wait for files and servers."""
        return await wait(asked(lambda: (self._transfers, prepare())))

    def _told(self, remote: FileInfo | str) -> FileInfo:
        return remote if isinstance(remote, FileInfo) else self._backend.stat(self._file(remote, "download"))

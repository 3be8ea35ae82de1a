"""Small files the short way: one request, one write, one rename; whatever is not as usual goes the long way."""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from ctadata_providers.backends import BriefOperations, FileInfo
from ctadata_providers.checksum import checksum_of
from ctadata_providers.errors import CtaError, TransientError
from ctadata_providers.session.brief import Brief, Detour
from ctadata_providers.session.futures import Future
from ctadata_providers.session.request import SMALL_BYTES
from ctadata_providers.session.tasks import Task, spawn, wait
from ctadata_providers.transfer import verify
from ctadata_providers.transfer.context import Attempts, Context, Progress, TransferResult
from ctadata_providers.transfer.download import fetch
from ctadata_providers.transfer.events import TransferEvent, watched
from ctadata_providers.transfer.explanations import named
from ctadata_providers.transfer.local import small_content
from ctadata_providers.transfer.names import part_name
from ctadata_providers.transfer.notes import Remembered, abandoned, remember
from ctadata_providers.transfer.parts import owners
from ctadata_providers.transfer.parts.writing import Target, write_whole
from ctadata_providers.transfer.tidying import is_being_cleared, tidy, tidy_later
from ctadata_providers.transfer.upload import send
from ctadata_providers.uri import split

T = TypeVar("T")


def begin_download(
    context: Context, info: FileInfo, local: Path, *, overwrite: bool = True, progress: Progress | None = None
) -> Future[TransferResult]:
    """Begin to download one file of many; does, promises and raises what `download` does.

    To be called in the curl loop's thread.
    """
    if context.on_event is not None:
        first = TransferEvent("start", "download", info.path, local, info.size)
        begin = partial(begin_download, info=info, local=local, overwrite=overwrite)
        return spawn(watched(context, first, progress, partial(_untold, begin)))
    brief, size = context.brief, info.size
    small = _Small(context, progress, info, local, overwrite=overwrite)
    if (
        brief is None
        or info.is_dir
        or size is None
        or size > SMALL_BYTES
        or info.locality not in (None, "ONLINE")
        or (context.checksum == "require" and not info.checksums)
        or not small.has_place()
    ):
        return spawn(small.long_way())
    return brief.read(info.path, small) or spawn(small.long_way())


async def _untold(
    begin: Callable[..., Future[TransferResult]], context: Context, progress: Progress | None
) -> TransferResult:
    """Do what is watched already."""
    return await wait(begin(replace(context, on_event=None), progress=progress))


class _Small(Brief):
    """A small file on its way here.

    Args:
        context: What the transfers of a client share.
        progress: Told of the bytes that pass.
        info: The file.
        local: Where it goes.
        overwrite: Whether a file there may be replaced.
    """

    __slots__ = ("_context", "_info", "_local", "_overwrite", "_progress", "_stem", "_target")

    def __init__(
        self, context: Context, progress: Progress | None, info: FileInfo, local: Path, *, overwrite: bool
    ) -> None:
        Future.__init__(self)
        self._context, self._progress, self._info, self._local = context, progress, info, local
        self._overwrite = overwrite

    def long_way(self) -> Task[TransferResult]:
        """Return the coroutine that does everything anew."""
        return fetch(self._context, self._progress, info=self._info, local=self._local, overwrite=self._overwrite)

    def has_place(self) -> bool:
        """Tell whether it can be written, as far as can be seen, and nothing lies there that could be gone on with."""
        context = self._context
        try:
            target = self._target = Target(self._local, overwrite=self._overwrite)
        except CtaError:
            return False  # the long way tells the same
        self._stem = owners.stem(target.name, context.door + self._info.path)
        return not context.leftovers.beside(target.folder, self._stem)

    def take(self, content: bytes) -> TransferResult:
        """Verify the bytes and make the file, in one step for whoever looks.

        Raises:
            CtaError: As `download`.
        """
        info, context = self._info, self._context
        size, algorithm = len(content), verify.algorithm_for(context, info.checksums)
        if size != info.size:
            verify.check_size(info.path, got=size, wanted=info.size, what="the listing says")
        checksums = {algorithm: checksum_of(content, algorithm)} if algorithm else {}
        if info.checksums:
            verify.compare(info.path, computed=checksums, offered=info.checksums, required=False)
        if self._progress is not None:
            self._progress(size)  # what it raises stops the transfer: then the old file is to be there
        write_whole(self._target, self._stem, content)
        return TransferResult(info.path, self._local, size, checksums, time.monotonic() - self._begun)

    def otherwise(self, error: BaseException) -> Future[TransferResult]:
        """Go the long way."""
        return spawn(_long(self._context, self.long_way, error if isinstance(error, TransientError) else None))


def begin_upload(
    context: Context, local: Path, path: str, *, overwrite: bool = True, progress: Progress | None = None
) -> Future[TransferResult]:
    """Begin to upload one file of many; does, promises and raises what `upload` does.

    To be called in the curl loop's thread.
    """
    if context.on_event is not None:
        first = TransferEvent("start", "upload", path, local)
        begin = partial(begin_upload, local=local, path=path, overwrite=overwrite)
        return spawn(watched(context, first, progress, partial(_untold, begin)))
    long_way = partial(send, context, progress, local=local, path=path, overwrite=overwrite)
    brief = context.brief
    if brief is None or not overwrite or context.checksum == "require":
        return spawn(long_way())
    if not brief.can_store(path) or abandoned(context.door, path) or is_being_cleared(context, path):
        return spawn(long_way())
    return spawn(_short_upload(context, brief, local, path, progress, long_way))


async def _short_upload(
    context: Context,
    brief: BriefOperations,
    local: Path,
    path: str,
    progress: Progress | None,
    long_way: Callable[[], Task[TransferResult]],
) -> TransferResult:
    """Store under a hidden name, look at the size, rename to a name that is free."""
    begun = time.monotonic()
    content = small_content(local)
    if content is None:
        return await long_way()
    folder, name = split(path)
    temporary = f"{folder.rstrip('/')}/{part_name(name, context.door + path)}"
    remembered = remember(context.door, path, temporary)
    writing = _begun(brief, remembered, content)
    if writing is None:
        return await long_way()
    waits_for: TransientError | None = None
    renamed, unanswered = False, True
    told = 0
    try:
        await wait(writing)
        unanswered = False
        size = await wait(_unless_closed(brief.size(temporary)))
        if size == len(content):
            if progress is not None:
                progress(size)
                told = size
            await wait(_unless_closed(brief.rename(temporary, path)))
            renamed = True
    except TransientError as error:
        unanswered = False
        if error.status != 500:  # which nginx says where a parent is missing: the long way makes it
            waits_for = named(path, temporary, error)
    except Detour:
        pass
    except BaseException as error:
        await tidy(context, remembered, unanswered=unanswered, stopped=isinstance(error, CancelledError))
        raise
    finally:
        if renamed:
            remembered.forget()
        else:
            remembered.end()  # the long way, or the next upload, removes what is there
    if not renamed:
        if progress is not None and told:
            progress(-told)
        try:
            return await _long(context, long_way, waits_for)
        except CancelledError:
            tidy_later(context, remembered, unanswered=unanswered)  # the long way may not have come to it
            raise
    algorithm = verify.algorithm_for(context, {})
    checksums = {algorithm: checksum_of(content, algorithm)} if algorithm else {}
    return TransferResult(path, local, len(content), checksums, time.monotonic() - begun)


def _begun(brief: BriefOperations, remembered: Remembered, content: bytes) -> Future[object] | None:
    """Begin to store under a temporary name; one under which nothing is sent is forgotten: nothing is to be removed."""
    writing = None
    try:
        writing = brief.write(remembered.path, content)
    finally:
        if writing is None:
            remembered.forget()
    return writing


def _unless_closed(answer: Future[T] | None) -> Future[T]:
    if answer is None:
        raise Detour("the short way has closed")
    return answer


async def _long(
    context: Context, long_way: Callable[[], Task[TransferResult]], error: TransientError | None
) -> TransferResult:
    """Go the long way, after the pause that a transient fault on the short one asks for."""
    if error is None:
        return await long_way()
    attempts = Attempts(context)
    await attempts.again(error)
    result = await long_way()
    return replace(result, retries=result.retries + attempts.retries, seconds=attempts.seconds)

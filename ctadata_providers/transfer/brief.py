"""Small files the short way: one request, one write, one rename; whatever is not as usual goes the long way."""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ctadata_providers.backends import BriefOperations, FileInfo
from ctadata_providers.checksum import checksum_of
from ctadata_providers.errors import CtaError, TransientError
from ctadata_providers.session.brief import Detour
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import Task, spawn, wait
from ctadata_providers.transfer import owners, verify
from ctadata_providers.transfer.context import Attempts, Context, Progress, TransferResult
from ctadata_providers.transfer.download import fetch
from ctadata_providers.transfer.events import TransferEvent, watched
from ctadata_providers.transfer.explanations import named
from ctadata_providers.transfer.local import SMALL_BYTES, small_content
from ctadata_providers.transfer.names import part_name
from ctadata_providers.transfer.parts import Target, write_whole
from ctadata_providers.transfer.tidying import tidy
from ctadata_providers.transfer.upload import send
from ctadata_providers.transfer.uploads import abandoned, remember
from ctadata_providers.uri import split

T = TypeVar("T")


def begin_download(
    context: Context, info: FileInfo, local: Path, *, overwrite: bool = True, progress: Progress | None = None
) -> Future[TransferResult]:
    """Begin to download one file of many; does, promises and raises what `download` does.

    To be called in the curl loop's thread.
    """
    begin = partial(_begin_download, info=info, local=local, overwrite=overwrite)
    if context.on_event is None:
        return begin(context, progress)
    first = TransferEvent("start", "download", info.path, local, info.size)
    return spawn(watched(context, first, progress, partial(_awaited, begin)))


async def _awaited(
    begin: Callable[[Context, Progress | None], Future[TransferResult]], context: Context, progress: Progress | None
) -> TransferResult:
    return await wait(begin(context, progress))


def _begin_download(
    context: Context, progress: Progress | None, *, info: FileInfo, local: Path, overwrite: bool
) -> Future[TransferResult]:
    long_way = partial(fetch, context, progress, info=info, local=local, overwrite=overwrite)
    brief, size = context.brief, info.size
    if brief is None or info.is_dir or size is None or size > SMALL_BYTES or info.locality not in (None, "ONLINE"):
        return spawn(long_way())
    if context.checksum == "require" and not info.checksums:
        return spawn(long_way())
    try:
        target = Target(local, overwrite=overwrite)
    except CtaError:
        return spawn(long_way())  # which tells the same
    stem = owners.stem(target.place.name, context.door + info.path)
    if context.leftovers.beside(str(target.place.parent), stem):
        return spawn(long_way())
    content = brief.read(info.path)
    if content is None:
        return spawn(long_way())
    store = partial(_stored, context, info, local, target, stem, progress=progress)
    return _Short(context, content, store, long_way)


def begin_upload(
    context: Context, local: Path, path: str, *, overwrite: bool = True, progress: Progress | None = None
) -> Future[TransferResult]:
    """Begin to upload one file of many; does, promises and raises what `upload` does.

    To be called in the curl loop's thread.
    """
    begin = partial(_begin_upload, local=local, path=path, overwrite=overwrite)
    if context.on_event is None:
        return begin(context, progress)
    first = TransferEvent("start", "upload", path, local)
    return spawn(watched(context, first, progress, partial(_awaited, begin)))


def _begin_upload(
    context: Context, progress: Progress | None, *, local: Path, path: str, overwrite: bool
) -> Future[TransferResult]:
    long_way = partial(send, context, progress, local=local, path=path, overwrite=overwrite)
    brief = context.brief
    if brief is None or not overwrite or context.checksum == "require":
        return spawn(long_way())
    if not brief.can_store(path) or abandoned(context.door, path):
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
    waits_for: TransientError | None = None
    renamed = False
    told = 0
    try:
        writing = brief.write(temporary, content)
        if writing is not None:
            await wait(writing)
            size = await _unless_closed(brief.size(temporary))
            if size == len(content):
                if progress is not None:
                    progress(size)
                    told = size
                await _unless_closed(brief.rename(temporary, path))
                renamed = True
    except TransientError as error:
        if error.status != 500:  # which nginx says where a parent is missing: the long way makes it
            waits_for = named(path, temporary, error)
    except Detour:
        pass
    except BaseException as error:
        await tidy(context, remembered, stopped=isinstance(error, CancelledError))
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
            await tidy(context, remembered, stopped=False)  # the long way may not have come to it
            raise
    algorithm = verify.algorithm_for(context, {})
    checksums = {algorithm: checksum_of(content, algorithm)} if algorithm else {}
    return TransferResult(path, local, len(content), checksums, time.monotonic() - begun)


async def _unless_closed(answer: Future[T] | None) -> T:
    if answer is None:
        raise Detour("the short way has closed")
    return await wait(answer)


class _Short(Future[TransferResult]):
    """A transfer on the short way, and on the long one if need be.

    Args:
        context: What the transfers of a client share.
        content: The bytes on their way.
        store: What is done with them.
        long_way: Makes the coroutine that does everything anew.
    """

    __slots__ = ("_begun", "_context", "_long_way", "_stopped", "_store", "_under_way")

    def __init__(
        self,
        context: Context,
        content: Future[bytes],
        store: Callable[[bytes, float], TransferResult],
        long_way: Callable[[], Task[TransferResult]],
    ) -> None:
        super().__init__()
        self._context, self._store, self._long_way = context, store, long_way
        self._begun = time.monotonic()
        self._stopped = False
        self._under_way: Future[Any] = content
        content.add_done_callback(self._take)

    def cancel(self) -> bool:
        """Stop it; it then ends with `CancelledError`."""
        if self.done():
            return False
        self._stopped = True  # before the look at what is under way, which another thread may be replacing
        self._under_way.cancel()
        return True

    def _take(self, content: Future[bytes]) -> None:
        error = content.exception()
        if error is None:
            try:
                result = self._store(content.result(), self._begun)
            except BaseException as failed:  # noqa: BLE001 (it belongs to who waits for it)
                self.set_exception(failed)
            else:
                self.set_result(result)
        elif self._stopped or isinstance(error, CancelledError):
            self.set_exception(CancelledError())
        else:
            wait_for = error if isinstance(error, TransientError) else None
            self._under_way = spawn(_long(self._context, self._long_way, wait_for))
            if self._stopped:
                self._under_way.cancel()
            self._under_way.add_done_callback(self._arrive)

    def _arrive(self, ended: Future[TransferResult]) -> None:
        error = ended.exception()
        if error is None:
            self.set_result(ended.result())
        else:
            self.set_exception(error)


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


def _stored(
    context: Context,
    info: FileInfo,
    local: Path,
    target: Target,
    stem: str,
    content: bytes,
    begun: float,
    *,
    progress: Progress | None,
) -> TransferResult:
    """Verify the bytes of a small file and make it, in one step for whoever looks.

    Raises:
        CtaError: As `download`.
    """
    size, algorithm = len(content), verify.algorithm_for(context, info.checksums)
    verify.check_size(info.path, got=size, wanted=info.size, what="the listing says")
    checksums = {algorithm: checksum_of(content, algorithm)} if algorithm else {}
    if info.checksums:
        verify.compare(info.path, computed=checksums, offered=info.checksums, required=False)
    if progress is not None:
        progress(size)  # what it raises stops the transfer: then the old file is to be there
    write_whole(target, stem, content)
    return TransferResult(info.path, local, size, checksums, time.monotonic() - begun)

"""Small files the short way: one request, one write, one rename; whatever is not as usual goes the long way."""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import TransientError
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import Task, spawn
from ctadata_providers.transfer import owners, verify
from ctadata_providers.transfer.context import Attempts, Context, Progress, TransferResult
from ctadata_providers.transfer.download import download
from ctadata_providers.transfer.parts import SmallPart, Target

SMALL_BYTES = 256 * 1024
"""Bytes up to which a file is held in memory whole."""


def begin_download(
    context: Context, info: FileInfo, local: Path, *, overwrite: bool = True, progress: Progress | None = None
) -> Future[TransferResult]:
    """Begin to download one file of many; does, promises and raises what `download` does.

    To be called in the curl loop's thread.
    """
    long_way = partial(download, context, info, local, overwrite=overwrite, progress=progress)
    backend, size = context.brief_backend, info.size
    if backend is None or info.is_dir or size is None or size > SMALL_BYTES or info.locality not in (None, "ONLINE"):
        return spawn(long_way())
    if context.checksum == "require" and not info.checksums:
        return spawn(long_way())
    stem = owners.stem(local.name, context.door + info.path)
    if context.leftovers.beside(str(local.parent), stem):
        return spawn(long_way())
    content = backend.read_brief(info.path)
    if content is None:
        return spawn(long_way())
    store = partial(_stored, context, info, local, stem, overwrite=overwrite, progress=progress)
    return _Short(context, content, store, long_way)


class _Short(Future[TransferResult]):
    """A transfer on the short way, and on the long one if need be.

    Args:
        context: What the transfers of a client share.
        content: The bytes on their way.
        store: What is done with them.
        long_way: Makes the coroutine that does everything anew.
    """

    __slots__ = ("_begun", "_context", "_long_way", "_store", "_under_way")

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
        self._under_way: Future[Any] = content
        content.add_done_callback(self._take)

    def cancel(self) -> bool:
        """Stop it; it then ends with `CancelledError`."""
        return not self.done() and self._under_way.cancel()

    def _take(self, content: Future[bytes]) -> None:
        error = content.exception()
        if error is None:
            try:
                result = self._store(content.result(), self._begun)
            except BaseException as failed:  # noqa: BLE001 (it belongs to who waits for it)
                self.set_exception(failed)
            else:
                self.set_result(result)
        elif isinstance(error, CancelledError):
            self.set_exception(error)
        else:
            wait_for = error if isinstance(error, TransientError) else None
            self._under_way = spawn(_long(self._context, self._long_way, wait_for))
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
    attempts = Attempts(context.policy)
    await attempts.again(error)
    result = await long_way()
    return replace(result, retries=result.retries + attempts.retries, seconds=attempts.seconds)


def _stored(
    context: Context,
    info: FileInfo,
    local: Path,
    stem: str,
    content: bytes,
    begun: float,
    *,
    overwrite: bool,
    progress: Progress | None,
) -> TransferResult:
    """Verify the bytes of a small file and make it, in one step for whoever looks.

    Raises:
        CtaError: As `download`.
    """
    verify.check_size(info.path, got=len(content), wanted=info.size, what="the listing says")
    algorithm = verify.algorithm_for(context, info.checksums)
    part = SmallPart(Target(local, overwrite=overwrite), stem, size=info.size, algorithm=algorithm, progress=progress)
    try:
        part.take(content)
        verify.compare(info.path, computed=part.checksums, offered=info.checksums, required=False)
        part.publish()
    finally:
        part.discard()
    return TransferResult(info.path, local, part.received, part.checksums, time.monotonic() - begun)

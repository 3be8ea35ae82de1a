"""The life of a download: part, bytes, verification, rename."""

import os
import sys
from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from copy import copy
from functools import partial
from pathlib import Path

from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import (
    CredentialError,
    CtaError,
    IntegrityError,
    IsADirError,
    StorageError,
    TransientError,
)
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import asked, following, in_thread, wait
from ctadata_providers.transfer import verify
from ctadata_providers.transfer.asking import MOMENT, end_of
from ctadata_providers.transfer.context import Attempts, Context, Progress, TransferResult
from ctadata_providers.transfer.events import TransferEvent, watched
from ctadata_providers.transfer.parts import hashing, leftovers, owners
from ctadata_providers.transfer.parts.leftovers import Adopted
from ctadata_providers.transfer.parts.resumable import ResumablePart
from ctadata_providers.transfer.parts.sidecar import Origin
from ctadata_providers.transfer.parts.streams import Streams
from ctadata_providers.transfer.parts.writing import SmallPart, Target

RESUMED_FROM = 1024 * 1024
"""Bytes from which a part is worth to be kept; a smaller file is fetched again."""
_UNREADABLE = {
    "NEARLINE": "it is on tape: have it staged to disk first",
    "UNAVAILABLE": "its pool is not available now: ask the data centre, or try later",
    "LOST": "the storage has lost it: ask the data centre",
}


async def download(
    context: Context, info: FileInfo, local: Path, *, overwrite: bool = True, progress: Progress | None = None
) -> TransferResult:
    """Download one file; the local target is whole or as it was before.

    A large one goes on with what a run that was stopped or killed, or whose server went away, has left beside the
    target.

    Args:
        context: What the transfers of a client share.
        info: The file, as a listing or stat told of it.
        local: The target.
        overwrite: Whether a file there may be replaced.
        progress: Told of the bytes that pass.

    Raises:
        IsADirError: When the remote path or the target is a folder.
        AlreadyExistsError: When the target exists and may not be overwritten.
        IntegrityError: When size or checksum are not what the server said.
        QuotaError: When the disk is full.
        TransientError: When the retries are used up; what has arrived of a large file is kept for the next run, as it
            is when the download is cancelled.
    """
    first = TransferEvent("start", "download", info.path, local, info.size)
    return await watched(context, first, progress, partial(fetch, info=info, local=local, overwrite=overwrite))


async def fetch(
    context: Context, progress: Progress | None, *, info: FileInfo, local: Path, overwrite: bool
) -> TransferResult:
    """Download one file, as `download`, but tell nobody of it."""
    refuse_unreadable(info)
    target = Target(local, overwrite=overwrite)
    fetched = _small if info.size is None or info.size < RESUMED_FROM else _large
    context.places.take()
    try:
        return await fetched(context, info, local, target, progress)
    finally:
        context.places.leave()


async def _small(
    context: Context, info: FileInfo, local: Path, target: Target, progress: Progress | None
) -> TransferResult:
    """Fetch a file that begins anew when something goes wrong."""
    stem = owners.stem(target.place.name, context.door + info.path)
    left = context.leftovers.beside(str(target.place.parent), stem)
    if left:
        await wait(following(in_thread(lambda: leftovers.sweep(target.place.parent, left))))
    attempts = Attempts(context)
    part = SmallPart(
        target, stem, size=info.size, algorithm=verify.algorithm_for(context, info.checksums), progress=progress
    )
    try:
        while True:
            try:
                result = await wait(context.backend.read(info.path, part.take))
                break
            except TransientError as error:
                part.restart()
                await attempts.again(error)
        verify.check_size(info.path, got=part.received, wanted=result.size, what="the answer announced")
        verify.check_size(info.path, got=part.received, wanted=info.size, what="the listing says")
        required = requires_checksum(context, encrypted=result.encrypted)
        offered = await verify.server_checksums(
            context, info.path, part.received, known={**info.checksums, **result.checksums}, required=required
        )
        checksums = await verify.compared(
            info.path, computed=part.checksums, offered=offered, required=required, reread=part.reread
        )
        part.publish()
    finally:
        part.discard()
    return TransferResult(info.path, local, part.received, checksums, attempts.seconds, attempts.retries)


async def _large(
    context: Context, info: FileInfo, local: Path, target: Target, progress: Progress | None
) -> TransferResult:
    """Fetch a file that goes on where it stopped, in this process and in the next."""
    attempts = Attempts(context)
    part = await _opened(context, info, target, progress)
    streams = Streams(context, info, part, attempts)
    try:
        await streams.run()
        checksums = await _verified(context, info, streams)
        part.publish()
    except (TransientError, CredentialError) as error:
        if part.received < RESUMED_FROM:
            raise
        await wait(following(in_thread(part.keep)))
        context.leftovers.forget(str(target.place.parent))
        raise _kept(error, part.received) from error
    finally:
        stopped = isinstance(sys.exception(), CancelledError)
        if stopped and part.received >= RESUMED_FROM:
            closing = part.leave()
            context.leftovers.forget(str(target.place.parent))
        else:
            closing = part.discard()
        if closing is not None:
            await wait(end_of(closing, within=MOMENT if stopped else None))
    return TransferResult(
        path=info.path,
        local=local,
        size=part.size,
        checksums=checksums,
        seconds=attempts.seconds,
        retries=attempts.retries,
        streams=streams.most,
        resumed=part.resumed,
    )


async def _opened(context: Context, info: FileInfo, target: Target, progress: Progress | None) -> ResumablePart:
    """Return the part to fill: one that was left, if there is any that can be gone on with, else a new one."""
    address = context.door + info.path
    stem = owners.stem(target.place.name, address)
    folder = target.place.parent
    algorithm = verify.algorithm_for(context, info.checksums)
    origin = Origin.of(address, info)
    adopted: Adopted | None = None
    there: list[tuple[int, int, int]] = []
    left = context.leftovers.beside(str(folder), stem)
    if left:
        adopting = in_thread(lambda: leftovers.adopt(folder, left, origin))
        try:
            adopted = await wait(adopting)
            if adopted is not None:
                there = await _read_again(adopted, algorithm)
        except BaseException as error:
            stopped = isinstance(error, CancelledError)
            context.leftovers.forget(str(folder))
            adopting.add_done_callback(lambda done: _drop(folder, done, keep=stopped))
            if isinstance(error, OSError) and not isinstance(error, CtaError):
                adopted, there = None, []  # what cannot be read again is fetched again
            else:
                raise
    return ResumablePart(target, stem, origin, algorithm=algorithm, progress=progress, adopted=adopted, there=there)


async def _read_again(adopted: Adopted, algorithm: str | None) -> list[tuple[int, int, int]]:
    """Return what is there of an adopted part, with the adler32 of each range if that is wanted."""
    if algorithm == "adler32":
        return await wait(hashing.adlers(adopted.fd, adopted.ranges))
    return [(start, stop, 1) for start, stop in adopted.ranges]


def _drop(folder: Path, adopting: "Future[Adopted | None]", *, keep: bool) -> None:
    """Let go of a part that was adopted in vain: remove it, or keep it for the next run if it is worth that."""
    adopted = None if adopting.cancelled() or adopting.exception() else adopting.result()
    if adopted is not None:
        with suppress(OSError):
            os.close(adopted.fd)
        if not keep or sum(stop - start for start, stop in adopted.ranges) < RESUMED_FROM:
            leftovers.remove(folder, adopted.name)
        adopted.name.give_up()


async def _verified(context: Context, info: FileInfo, streams: Streams) -> Mapping[str, str]:
    """Make sure that what is there is the file, and return its checksums.

    Raises:
        IntegrityError: When it is not.
    """
    part = streams.part
    computed: Mapping[str, str] = await part.checksums()
    required = requires_checksum(context, encrypted=part.encrypted)
    known = {**info.checksums, **streams.checksums}
    offered = await verify.server_checksums(
        context, info.path, part.size, known=known, required=required, early=streams.early
    )
    computed = await verify.compared(
        info.path, computed=computed, offered=offered, required=required, reread=part.reread
    )
    if not streams.doubtful or computed.keys() & offered.keys():
        return computed
    # Bytes of several answers, and neither tags nor a checksum: the listing must say what it said before.
    now = await wait(asked(lambda: context.backend.stat(info.path)))
    if not now.is_as(info):
        raise IntegrityError(
            f"{info.path} has changed while it was downloaded", path=info.path, remedy="nothing was kept: try again"
        )
    return computed


def requires_checksum(context: Context, *, encrypted: bool) -> bool:
    """Tell whether a checksum is required: bytes that came over plain http could be anybody's."""
    return context.checksum == "require" or (not encrypted and context.door.startswith("https:"))


def _kept(error: CtaError, received: int) -> CtaError:
    """Return an error that says what has been kept."""
    kept = copy(error)
    remedy = f"{error.remedy}; " if error.remedy else ""
    kept.remedy = f"{remedy}run it again: it goes on from the {received} bytes that have arrived"
    return kept


def refuse_unreadable(info: FileInfo, act: str = "download") -> None:
    """Say at once what a GET would only tell after minutes: dCache stages a file on tape while the client waits.

    Raises:
        IsADirError: When it is a folder.
        StorageError: When no pool has it on disk.
    """
    if info.is_dir:
        raise IsADirError(
            f"cannot {act} {info.path}: it is a folder", path=info.path, remedy="download it as a tree (get -r)"
        )
    if info.locality in _UNREADABLE:
        raise StorageError(
            f"cannot {act} {info.path}: the storage says {info.locality}",
            path=info.path,
            remedy=_UNREADABLE[info.locality],
        )

"""The life of a download: part, bytes, verification, rename."""

from pathlib import Path

from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import IsADirError, StorageError, TransientError
from ctadata_providers.session.tasks import wait
from ctadata_providers.transfer import verify
from ctadata_providers.transfer.context import Attempts, Context, Progress, TransferResult
from ctadata_providers.transfer.local import LocalPart

_UNREADABLE = {
    "NEARLINE": "it is on tape: have it staged to disk first",
    "UNAVAILABLE": "its pool is not available now: ask the data centre, or try later",
    "LOST": "the storage has lost it: ask the data centre",
}


async def download(
    context: Context, info: FileInfo, local: Path, *, overwrite: bool = True, progress: Progress | None = None
) -> TransferResult:
    """Download one file; the local target is whole or as it was before.

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
        TransientError: When the retries are used up.
    """
    refuse_unreadable(info)
    attempts = Attempts(context.policy)
    part = LocalPart(
        local,
        context.door + info.path,
        size=info.size,
        overwrite=overwrite,
        algorithm=verify.algorithm_for(context, info.checksums),
        progress=progress,
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
        required = context.checksum == "require" or (not result.encrypted and context.door.startswith("https:"))
        offered = await verify.server_checksums(
            context,
            info.path,
            part.received,
            known={**info.checksums, **result.checksums},
            required=required,
        )
        verify.compare(info.path, computed=part.checksums, offered=offered, required=required)
        part.publish()
    finally:
        part.discard()
    return TransferResult(info.path, local, part.received, part.checksums, attempts.seconds, attempts.retries)


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

"""The local end of an upload that is no file of the user's: bytes, or an open file."""

from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from ctadata_providers.session.tasks import Task
from ctadata_providers.transfer import verify
from ctadata_providers.transfer.context import Context, Progress, TransferResult
from ctadata_providers.transfer.events import TransferEvent, watched
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.sources import OpenSource
from ctadata_providers.transfer.spools import spooled
from ctadata_providers.transfer.upload import store


async def upload_held(
    context: Context, content: bytes | BinaryIO, path: str, *, overwrite: bool, progress: Progress | None
) -> TransferResult:
    """Upload bytes, or all of an open file; does, promises and raises what `upload` does.

    A stream that cannot be sought in is spooled to disk first: its length must be known before the first byte is sent.
    """
    first = TransferEvent("start", "upload", path)
    return await watched(context, first, progress, partial(_send, content=content, path=path, overwrite=overwrite))


async def _send(
    context: Context, progress: Progress | None, *, content: bytes | BinaryIO, path: str, overwrite: bool
) -> TransferResult:
    algorithm = verify.algorithm_for(context, {})
    if isinstance(content, bytes):
        content = BytesIO(content)
    elif not hasattr(content, "seekable"):
        content = BytesIO(memoryview(cast("bytes", content)))  # of a bytearray and the like, not of None or a text
    if content.seekable():
        return await _store(context, HeldSource(content, path, algorithm, progress), overwrite)
    try:
        spool = spooled(content, f"{HeldSource.says}{path}", path=path)
    except OSError as error:
        raise explained(error, Path(path), f"read {HeldSource.says}".rstrip()) from error
    with spool:
        return await _store(context, HeldSource(spool, path, algorithm, progress), overwrite)


def _store(context: Context, source: "HeldSource", overwrite: bool) -> Task[TransferResult]:
    return store(context, source, source.path, overwrite=overwrite, write=context.backend.write)


class HeldSource(OpenSource):
    """All of an open file, from its first byte, whatever its position is.

    Args:
        file: It; stays open.
        path: Where it goes.
        algorithm: Of the checksum of what passes, None for none.
        progress: Told of the bytes that pass.
    """

    says = "what goes to "

    def __init__(self, file: BinaryIO, path: str, algorithm: str | None, progress: Progress | None) -> None:
        self.path = path
        super().__init__(file, Path(path), file.seek(0, 2), algorithm=algorithm, progress=progress)

    def check_unchanged(self) -> None:
        """Make sure that all was sent.

        Raises:
            IntegrityError: When it was not, or when there is more by now.
        """
        super().check_unchanged()
        if self._file.seek(0, 2) != self.size:
            raise self._changed()

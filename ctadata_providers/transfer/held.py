"""The local end of an upload that is no file of the user's: bytes, or an open file."""

import shutil
import tempfile
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from ctadata_providers.checksum import Hasher, new_hasher
from ctadata_providers.errors import IntegrityError
from ctadata_providers.session.tasks import Task
from ctadata_providers.transfer import verify
from ctadata_providers.transfer.context import Context, Progress, TransferResult
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.upload import store

_BLOCK = 1024 * 1024


async def upload_held(
    context: Context, content: bytes | BinaryIO, path: str, *, overwrite: bool, progress: Progress | None
) -> TransferResult:
    """Upload bytes, or all of an open file; does, promises and raises what `upload` does.

    A stream that cannot be sought in is spooled to disk first: its length must be known before the first byte is sent.
    """
    algorithm = verify.algorithm_for(context, {})
    if isinstance(content, (bytes, bytearray, memoryview)):
        return await _store(context, HeldSource(BytesIO(content), path, algorithm, progress), overwrite)
    if content.seekable():
        return await _store(context, HeldSource(content, path, algorithm, progress), overwrite)
    with tempfile.TemporaryFile() as spool:
        try:
            shutil.copyfileobj(content, spool, _BLOCK)
        except OSError as error:
            raise explained(error, Path(path), "spool") from error
        return await _store(context, HeldSource(spool, path, algorithm, progress), overwrite)


def _store(context: Context, source: "HeldSource", overwrite: bool) -> Task[TransferResult]:
    return store(context, source, source.path, overwrite=overwrite, write=context.backend.write)


class HeldSource:
    """All of an open file, from its first byte, whatever its position is.

    Args:
        file: It; stays open.
        path: Where it goes.
        algorithm: Of the checksum of what passes, None for none.
        progress: Told of the bytes that pass.
    """

    def __init__(self, file: BinaryIO, path: str, algorithm: str | None, progress: Progress | None) -> None:
        self.path = path
        self.local = Path(path)
        self.size = file.seek(0, 2)
        self._file = file
        self._algorithm = algorithm
        self._progress = progress
        self._sent = 0
        self._hasher: Hasher | None = None
        self.rewind()

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, empty at the end.

        Raises:
            IntegrityError: When there are fewer than there were.
        """
        try:
            data = self._file.read(min(size, self.size - self._sent))
        except OSError as error:
            raise explained(error, self.local, "read what goes to") from error
        if not data and self._sent < self.size:
            raise self._changed()
        self._sent += len(data)
        if self._hasher is not None:
            self._hasher.update(data)
        if self._progress is not None and data:
            self._progress(len(data))
        return data

    def rewind(self) -> None:
        """Go back to the first byte."""
        if self._progress is not None and self._sent:
            self._progress(-self._sent)
        self._file.seek(0)
        self._sent = 0
        self._hasher = new_hasher(self._algorithm) if self._algorithm else None

    def check_unchanged(self) -> None:
        """Make sure that all was sent.

        Raises:
            IntegrityError: When it was not, or when there is more by now.
        """
        if self._sent != self.size or self._file.seek(0, 2) != self.size:
            raise self._changed()

    @property
    def checksums(self) -> dict[str, str]:
        """The checksum of what has been read."""
        return {self._algorithm: self._hasher.hexdigest()} if self._algorithm and self._hasher else {}

    def _changed(self) -> IntegrityError:
        return IntegrityError(
            f"what goes to {self.path} changed while it was uploaded", path=self.path, remedy="upload it again"
        )

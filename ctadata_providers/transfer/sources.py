"""The local end of an upload: an open file that is sent from its first byte to the size it had."""

import os
import stat
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ctadata_providers.checksum import Hasher, new_hasher
from ctadata_providers.errors import IntegrityError, IsADirError
from ctadata_providers.session.tasks import wait
from ctadata_providers.transfer.context import Progress
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.parts.hashing import stoppable
from ctadata_providers.transfer.spools import spooled

_BLOCK = 1024 * 1024


class OpenSource:
    """An open file; knows what of it was sent, and its checksum.

    Args:
        file: It.
        local: Its path; of what has none, where it goes.
        size: Bytes, at most so many are read.
        algorithm: Of the checksum of what passes, None for none.
        progress: Told of the bytes that pass.
    """

    says = ""
    """What messages put before the path."""

    def __init__(
        self, file: BinaryIO, local: Path, size: int, *, algorithm: str | None, progress: Progress | None
    ) -> None:
        self.local = local
        self.size = size
        self.rewinds = 0
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
            raise explained(error, self.local, f"read {self.says}".rstrip()) from error
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
        self.rewinds += 1
        self._file.seek(0)
        self._sent = 0
        self._hasher = new_hasher(self._algorithm) if self._algorithm else None

    @property
    def checksums(self) -> dict[str, str]:
        """The checksum of what has been read."""
        return {self._algorithm: self._hasher.hexdigest()} if self._algorithm and self._hasher else {}

    async def reread(self, algorithm: str) -> str:
        """Return another checksum of all bytes, read again in a thread; a cancellation waits for one block.

        Raises:
            IntegrityError: When they are no longer what was sent.
            StorageError: When they cannot be read.
        """
        digest = await wait(stoppable(partial(self._digest, algorithm)))
        self.check_unchanged()
        return digest

    def _digest(self, algorithm: str, stopped: Callable[[], bool]) -> str:
        hasher, left = new_hasher(algorithm), self.size
        try:
            self._file.seek(0)
            while left and (data := self._file.read(min(_BLOCK, left))):
                if stopped():
                    raise CancelledError
                hasher.update(data)
                left -= len(data)
        except OSError as error:
            raise explained(error, self.local, f"read {self.says}".rstrip()) from error
        return hasher.hexdigest()

    def check_unchanged(self) -> None:
        """Make sure that all was sent.

        Raises:
            IntegrityError: When it was not.
        """
        if self._sent != self.size:
            raise self._changed()

    def _changed(self) -> IntegrityError:
        return IntegrityError(
            f"{self.says}{self.local} changed while it was uploaded",
            path=self.local,
            remedy="upload it when it is complete",
        )


class LocalSource(OpenSource):
    """A file to upload; what is no regular file, or does not tell its size, is spooled first."""

    def __init__(self, local: Path, *, algorithm: str | None, progress: Progress | None) -> None:
        try:
            if local.is_dir():
                raise IsADirError(
                    f"cannot upload {local}: it is a folder", path=local, remedy="upload it as a tree (put -r)"
                )
            file: BinaryIO = local.open("rb", buffering=0)
            found = os.fstat(file.fileno())
            # Linux says of what it makes up as it is read, such as /proc/cpuinfo, that it is empty.
            if not stat.S_ISREG(found.st_mode) or (not found.st_size and os.pread(file.fileno(), 1, 0)):
                with file as stream:
                    file = spooled(stream, str(local), path=local)
                found = os.fstat(file.fileno())
        except OSError as error:
            raise explained(error, local, "read") from error
        self._stamp = (found.st_size, found.st_mtime_ns)
        super().__init__(file, local, found.st_size, algorithm=algorithm, progress=progress)

    def check_unchanged(self) -> None:
        """Make sure that all was sent and the file did not change meanwhile.

        Raises:
            IntegrityError: When it did.
        """
        super().check_unchanged()
        now = os.fstat(self._file.fileno())
        if (now.st_size, now.st_mtime_ns) != self._stamp:
            raise self._changed()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

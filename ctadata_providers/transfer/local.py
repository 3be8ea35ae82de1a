"""The local end of a transfer: a part that becomes a file, a file that is read."""

import errno
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ctadata_providers.checksum import Hasher, new_hasher
from ctadata_providers.errors import (
    AlreadyExistsError,
    IntegrityError,
    IsADirError,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
)
from ctadata_providers.transfer.context import Progress
from ctadata_providers.transfer.names import part_name


def explained(error: OSError, path: Path, act: str) -> StorageError:
    """Return our error for one of the local file system."""
    if isinstance(error, StorageError):
        return error
    kinds: dict[int | None, tuple[type[StorageError], str]] = {
        errno.ENOSPC: (QuotaError, "free some space, or choose another folder"),
        errno.EDQUOT: (QuotaError, "free some space, or choose another folder"),
        errno.ENOENT: (NotFoundError, "check the path"),
        errno.EACCES: (PermissionDeniedError, "check the permissions, or choose another folder"),
        errno.EPERM: (PermissionDeniedError, "check the permissions, or choose another folder"),
        errno.EROFS: (PermissionDeniedError, "choose a folder on a file system that can be written"),
        errno.EISDIR: (IsADirError, "give the name of a file"),
        errno.ENOTDIR: (NotADirError, "a part of the path is a file"),
        errno.EEXIST: (AlreadyExistsError, "remove it first, or allow overwriting"),
    }
    kind, remedy = kinds.get(error.errno, (StorageError, "check the path"))
    translated = kind(f"cannot {act} {path}: {error.strerror or error}", path=path, remedy=remedy)
    translated.errno = error.errno
    return translated


SPACE_CHECKED_FROM = 1024 * 1024
"""Bytes from which free space is looked at first; a smaller file may just try."""
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class LocalPart:
    """A hidden part beside a target; whole at the end or gone.

    Args:
        target: The file that it becomes; a symbolic link is followed, so that the link stays.
        address: The remote address.
        size: Bytes to come, None when unknown.
        overwrite: Whether a file may be replaced.
        algorithm: Checksum to compute on the bytes that pass, None for none.
        progress: Told of the bytes that pass.
    """

    def __init__(
        self,
        target: Path,
        address: str,
        *,
        size: int | None,
        overwrite: bool,
        algorithm: str | None,
        progress: Progress | None,
    ) -> None:
        self.target = target
        self._size = size
        self.received = 0
        self._published = False
        self._overwrite = overwrite
        self._algorithm = algorithm
        self._hasher: Hasher | None = new_hasher(algorithm) if algorithm else None
        self._progress = progress
        try:
            self._mode = self._check_target()
            self._path = self.target.parent / part_name(self.target.name, address)
            try:
                self._fd = os.open(self._path, _CREATE, 0o666)
            except FileNotFoundError:
                self.target.parent.mkdir(parents=True, exist_ok=True)
                self._fd = os.open(self._path, _CREATE, 0o666)
        except OSError as error:
            raise explained(error, target, "write") from error
        if size is not None and size >= SPACE_CHECKED_FROM:
            self._check_space(size)

    def _check_space(self, size: int) -> None:
        free = shutil.disk_usage(self._path.parent).free
        if size > free:
            self.discard()
            raise QuotaError(
                f"cannot write {self.target}: {size} bytes are to come, {free} are free",
                path=self.target,
                remedy="free some space, or choose another folder",
            )

    def take(self, data: bytes) -> None:
        """Write the next bytes.

        Raises:
            QuotaError: When the disk is full.
            IntegrityError: When there are more than were announced.
            StorageError: For another fault of the file system.
        """
        if self._size is not None and self.received + len(data) > self._size:
            raise IntegrityError(
                f"more bytes arrive for {self.target} than the {self._size} that the listing says",
                path=self.target,
                remedy="nothing was kept; the file may be changing right now: try again",
            )
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, memoryview(data)[written:])
        except OSError as error:
            raise explained(error, self.target, "write") from error
        self.received += len(data)
        if self._hasher is not None:
            self._hasher.update(data)
        if self._progress is not None:
            self._progress(len(data))

    def restart(self) -> None:
        """Forget what has arrived."""
        if self._progress is not None and self.received:
            self._progress(-self.received)
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.ftruncate(self._fd, 0)
        self.received = 0
        self._hasher = new_hasher(self._algorithm) if self._algorithm else None

    @property
    def checksums(self) -> dict[str, str]:
        """The checksum of what has arrived."""
        return {self._algorithm: self._hasher.hexdigest()} if self._algorithm and self._hasher else {}

    def publish(self) -> None:
        """Make the part the target, in one step.

        Raises:
            AlreadyExistsError: When the target has come to be meanwhile and may not be overwritten.
        """
        try:
            if self._mode is not None:
                os.fchmod(self._fd, self._mode)
            self._close()
            self._published = True
            if self._overwrite:
                os.replace(self._path, self.target)  # noqa: PTH105 (per file, in the loop's thread)
            else:
                _rename_to_new(self._path, self.target)
        except OSError as error:
            self._published = False
            raise explained(error, self.target, "write") from error

    def discard(self) -> None:
        """Remove what is left of the part, if anything."""
        with suppress(OSError):  # it is thrown away
            self._close()
        if self._published:
            return
        with suppress(FileNotFoundError):
            os.unlink(self._path)  # noqa: PTH108 (per file, in the loop's thread)

    def _close(self) -> None:
        descriptor, self._fd = self._fd, -1  # first: a full quota may show only here, and nobody closes twice
        if descriptor >= 0:
            os.close(descriptor)

    def _check_target(self) -> int | None:
        """Return the permissions of the file to be replaced, None when there is none."""
        try:
            found = os.lstat(self.target)
            if stat.S_ISLNK(found.st_mode):
                self.target = Path(os.path.realpath(self.target))
                found = os.stat(self.target)  # noqa: PTH116 (as above)
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(found.st_mode):
            raise IsADirError(
                f"cannot write {self.target}: it is a folder", path=self.target, remedy="give the name of a file in it"
            )
        if not stat.S_ISREG(found.st_mode):
            raise StorageError(
                f"cannot write {self.target}: it is no regular file", path=self.target, remedy="name a file"
            )
        if not self._overwrite:
            raise AlreadyExistsError(
                f"cannot write {self.target}: it exists",
                path=self.target,
                remedy="remove it first, or allow overwriting",
            )
        return stat.S_IMODE(found.st_mode)


def _rename_to_new(part: Path, target: Path) -> None:
    """Rename without replacing: a hard link fails when the name exists, which a rename does not."""
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK) or target.exists():
            raise
        part.replace(target)  # a file system without hard links
    else:
        part.unlink()


class LocalSource:
    """A file to upload, read at most to the size it had; what is no regular file is spooled first."""

    def __init__(self, local: Path, *, algorithm: str | None, progress: Progress | None) -> None:
        self.local = local
        self._algorithm = algorithm
        self._progress = progress
        try:
            if local.is_dir():
                raise IsADirError(
                    f"cannot upload {local}: it is a folder", path=local, remedy="upload it as a tree (put -r)"
                )
            self._file: BinaryIO = local.open("rb", buffering=0)
            found = os.fstat(self._file.fileno())
            if not stat.S_ISREG(found.st_mode):
                self._file = _spooled(self._file)
                found = os.fstat(self._file.fileno())
        except OSError as error:
            raise explained(error, local, "read") from error
        self.size = found.st_size
        self._stamp = (found.st_size, found.st_mtime_ns)
        self._sent = 0
        self._hasher: Hasher | None = None
        self.rewind()

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, empty at the end.

        Raises:
            IntegrityError: When the file has become shorter.
        """
        try:
            data = self._file.read(min(size, self.size - self._sent))
        except OSError as error:
            raise explained(error, self.local, "read") from error
        if not data and self._sent < self.size:
            raise _changed(self.local)
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
        """Make sure that all was sent and the file did not change meanwhile.

        Raises:
            IntegrityError: When it did.
        """
        now = os.fstat(self._file.fileno())
        if self._sent != self.size or (now.st_size, now.st_mtime_ns) != self._stamp:
            raise _changed(self.local)

    @property
    def checksums(self) -> dict[str, str]:
        """The checksum of what has been read."""
        return {self._algorithm: self._hasher.hexdigest()} if self._algorithm and self._hasher else {}

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _spooled(stream: BinaryIO) -> BinaryIO:
    """Return a temporary file with all of a stream: its length must be known before the first byte is sent."""
    with stream:
        spool: BinaryIO = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed by the source that it becomes)
        shutil.copyfileobj(stream, spool, 1024 * 1024)
    return spool


def _changed(local: Path) -> IntegrityError:
    return IntegrityError(f"{local} changed while it was uploaded", path=local, remedy="upload it when it is complete")

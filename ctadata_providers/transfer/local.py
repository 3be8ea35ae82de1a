"""The local end of an upload: a file that is read; and what the local file system says."""

import errno
import os
import shutil
import stat
import tempfile
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


SMALL_BYTES = 256 * 1024
"""Bytes up to which a file is held in memory whole."""


def small_content(local: Path) -> bytes | None:
    """Return all of a small file, None for what is not one: it is then read in another way, which tells why.

    A file that changes meanwhile is not one either.
    """
    try:
        fd = os.open(local, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe without a writer would wait
    except OSError:
        return None
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode) or before.st_size > SMALL_BYTES:
            return None
        content = os.read(fd, SMALL_BYTES + 1)
        after = os.fstat(fd)
    except OSError:
        return None
    finally:
        os.close(fd)
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return content if same and len(content) == before.st_size else None


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

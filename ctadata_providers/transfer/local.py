"""What the local file system says, and what it holds of a small file."""

import errno
import os
import stat
from pathlib import Path

from ctadata_providers.errors import (
    AlreadyExistsError,
    IsADirError,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
)
from ctadata_providers.session.request import SMALL_BYTES


def explained(error: OSError, path: Path, act: str) -> StorageError:
    """Return our error for one of the local file system."""
    if isinstance(error, StorageError):
        return error
    kinds: dict[int | None, tuple[type[StorageError], str]] = {
        errno.ENOSPC: (QuotaError, "free some space, or choose another folder"),
        errno.EDQUOT: (QuotaError, "free some space, or choose another folder"),
        errno.EFBIG: (QuotaError, "choose another folder; the file system or 'ulimit -f' allows no file of this size"),
        errno.EMFILE: (StorageError, "raise the limit of open files (ulimit -n), or lower max_parallel"),
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


def small_content(local: Path) -> bytes | None:
    """Return all of a small file, None for what is not one: it is then read in another way, which tells why.

    A file that changes meanwhile is not one either.
    """
    try:
        if not stat.S_ISREG(os.stat(local).st_mode):  # noqa: PTH116 (for each of many files)
            return None  # a pipe must not be opened twice: who writes into it would be killed
        fd = os.open(local, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # it may have become one
    except OSError:
        return None
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode) or before.st_size > SMALL_BYTES:
            return None
        content = os.read(fd, before.st_size + 1)  # a buffer for the largest would cost more than all else here
        after = os.fstat(fd)
    except OSError:
        return None
    finally:
        os.close(fd)
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return content if same and len(content) == before.st_size else None

"""Files with secrets: read only if nobody else can have written or read them, and written for nobody else."""

import errno
import os
import shlex
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from ctadata_providers.errors import CredentialError

LONGEST = 1 << 20


class ForeignFileError(CredentialError):
    """Somebody else's file lies where ours would be: in /tmp anybody can put one there, which must not stop us."""


def read_private(path: Path, *, limit: int = LONGEST) -> bytes:
    """Return the first bytes, up to a limit, of a regular file of our own that is open to nobody else.

    Raises:
        FileNotFoundError: When there is none.
        OSError: When it cannot be read.
        ForeignFileError: When it belongs to somebody else.
        CredentialError: When it is a link or no regular file, or when others may read or write it.
    """
    _check(os.lstat(path), path)
    # Between the look and the opening it may have been replaced: what counts is what was opened. A FIFO must not block.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor is no path)
        _check(os.fstat(descriptor), path)
        return file.read(limit)


def write_private(path: Path, data: bytes) -> None:
    """Replace a file by one that only we can read; it is whole at any time, and nothing else stays behind.

    Raises:
        OSError: When it cannot be written, or is a device or pipe, with its name; then it is as it was.
    """
    try:
        _refuse_device(path)
        _replace(path, data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _refuse_device(path: Path) -> None:
    """Make sure that a path leads to no device or pipe: root would replace `/dev/null` for all of the machine."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # nothing is there, or what is there is told when it is written
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "not a regular file")


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _check(found: os.stat_result, path: Path) -> None:
    """Make sure that a file which was found without being named can be trusted."""
    if found.st_uid != os.geteuid():
        raise ForeignFileError(f"{path} belongs to another user and is not used", path=path)
    if not stat.S_ISREG(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no regular file"
        raise CredentialError(
            f"{path} is {what} and is not read, because nobody has named it",
            path=path,
            remedy=f"rm {shlex.quote(str(path))}, or name it in the settings",
        )
    if found.st_mode & 0o077:
        raise CredentialError(
            f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):04o}) and is not used",
            path=path,
            remedy=f"chmod 600 {shlex.quote(str(path))}",
        )

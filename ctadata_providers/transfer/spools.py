"""Where bytes stay that pass through this machine: those of a copy, and those of a stream of unknown length.

A copy has a folder of its own below the temporary one. Its name tells whose it is, as that of a part does. What a
killed copy has left is taken over by the next copy of the same file, which goes on with the download.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ctadata_providers.errors import QuotaError, StorageError
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.parts import owners

_NAME = "ctadata-copy"
_BLOCK = 1024 * 1024
_ELSEWHERE = "free some space there, or set TMPDIR to another folder"


def spooled(stream: BinaryIO, what: str, *, path: str | Path) -> BinaryIO:
    """Return a temporary file with all of a stream: its length must be known before the first byte is sent.

    Args:
        stream: Is read to its end, and stays open.
        what: What messages call it.
        path: The path that errors carry.

    Raises:
        QuotaError: When there is no room for it.
        StorageError: When the folder for temporary files cannot be written, for another reason.
        OSError: What the stream raises.
    """
    spool: BinaryIO | None = None
    try:
        try:
            spool = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the source that it becomes)
        except OSError as error:
            raise _not_kept(error, what, path) from error
        while block := stream.read(_BLOCK):
            _append(spool, block, what, path)
        _append(spool, b"", what, path)
    except BaseException:
        if spool is not None:
            with suppress(OSError):  # it is thrown away, with what cannot be written
                spool.close()
        raise
    return spool


def _append(spool: BinaryIO, block: bytes, what: str, path: str | Path) -> None:
    try:
        spool.write(block) if block else spool.flush()
    except OSError as error:
        raise _not_kept(error, what, path) from error


def _not_kept(error: OSError, what: str, path: str | Path) -> StorageError:
    with suppress(OSError):  # there is no such folder
        what = f"{what} in {tempfile.gettempdir()}"
    told = explained(error, Path(what), "keep all of")
    remedy = _ELSEWHERE if isinstance(told, QuotaError) else "set TMPDIR to a folder that can be written"
    translated = type(told)(told.message, path=path, remedy=remedy)
    translated.errno = error.errno
    return translated


@contextmanager
def spool_folder(address: str) -> Iterator[Path]:
    """Give a folder that nobody else may enter, and remove it at the end.

    Args:
        address: The remote address of what is copied.
    """
    top = Path(tempfile.gettempdir())
    name = owners.new_name(owners.stem(_NAME, address))
    name.claim()
    folder = top / name.part
    try:
        if not _take_over(top, name.stem, folder):
            folder.mkdir(mode=0o700)  # one that is there already would be somebody else's
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        name.give_up()


def _take_over(top: Path, stem: str, folder: Path) -> bool:
    """Make what a killed copy has left ours, by a rename; of several, one. Return whether there was any."""
    for place in top.glob(f"{stem}.*.ctapart"):
        known = owners.parsed(place.name)
        if known is None or known.standing != "given up" or not _is_ours(place):
            continue
        with suppress(OSError):  # another process was faster
            place.rename(folder)
            return True
    return False


def _is_ours(place: Path) -> bool:
    """Tell whether a folder was made by us: others may write beside it."""
    try:
        found = place.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077

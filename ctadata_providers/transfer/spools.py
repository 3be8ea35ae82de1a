"""Where the bytes of a copy stay that passes through this machine: a folder of its own below the temporary one.

Its name tells whose it is, as that of a part does. What a killed copy has left is taken over by the next copy of the
same file, which goes on with the download.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ctadata_providers.transfer import owners

_NAME = "ctadata-copy"


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

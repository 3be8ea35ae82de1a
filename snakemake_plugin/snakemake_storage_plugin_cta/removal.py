"""Local copies of folders that go, also when Snakemake (`protected`) or a job has write-protected them."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path


def remove_folder(folder: Path) -> None:
    """Remove a local folder with all that is in it.

    Raises:
        OSError: When something in it cannot be removed.
    """
    make_removable(folder)
    shutil.rmtree(folder)


def make_removable(local: Path) -> None:
    """Let all that is in a local folder be removed by its owner; a file needs nothing for that."""
    if local.is_symlink() or not local.is_dir():
        return
    _open(local)
    for folder, below, _ in os.walk(local):
        for name in below:
            _open(Path(folder, name))


def _open(folder: Path) -> None:
    if not folder.is_symlink():
        with suppress(OSError):  # somebody else's: told by the removal
            folder.chmod(stat.S_IRWXU)

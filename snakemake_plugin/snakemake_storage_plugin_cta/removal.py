"""Local copies that go, also when Snakemake (`protected`) or a job has write-protected a folder, or are set aside."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

NOT_STORED = ".not-stored"
"""What the names of copies that are set aside end with."""
_NAME_BYTES = 255
"""The longest name that a local folder takes."""


def remove_folder(folder: Path) -> None:
    """Remove a local folder with all that is in it.

    Raises:
        OSError: When something in it cannot be removed.
    """
    make_removable(folder)
    shutil.rmtree(folder)


def set_aside(local: Path) -> Path | None:
    """Give what could not be stored a name that nobody looks for, instead of what has it; return the new place.

    Under its own name Snakemake would remove it, or the job that runs again find it and store a mixture of both.
    None is returned where that cannot be done.
    """
    name = os.fsdecode(os.fsencode(local.name)[: _NAME_BYTES - len(NOT_STORED)])
    place = local.with_name(f"{name}{NOT_STORED}")
    try:
        if place.is_dir() and not place.is_symlink():
            remove_folder(place)
        else:
            place.unlink(missing_ok=True)
        return local.replace(place)
    except OSError:
        return None


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

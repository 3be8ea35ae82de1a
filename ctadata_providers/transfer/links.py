"""Symbolic links on the way to a local target: where everybody may write, those of another user are not followed.

In a folder like `/tmp` anybody can put a link under the name of a file that is about to come, and whoever writes
through it writes where the other one wants. The rule is that of `fs.protected_symlinks` of Linux, which most machines
have on. But Linux applies it to the last name of a path alone, and not to who reads where a link leads, as one must who
renames a new file into the place of the old one.
"""

import errno
import os
import stat
import time
from pathlib import Path
from typing import NamedTuple

from ctadata_providers.errors import PermissionDeniedError

REMEMBERED_SECONDS = 20.0
REMEMBERED_FOLDERS = 1024
_MOST_LINKS = 40
"""As many as Linux follows."""
_OPEN_TO_ALL = stat.S_ISVTX | stat.S_IWOTH
_checked: dict[str, float] = {}
"""The folders on the way to which no such link is, and until when that is taken for true: a tree has many files."""


class _Way(NamedTuple):
    """Where a path leads.

    Attributes:
        place: The same without links; what is not there is named as it would be.
        holds: Whether all of it is there, and no other user could have put a link on the way: then no one can now.
    """

    place: str
    holds: bool


def followed(place: str) -> str:
    """Return where a path leads when all its links are followed; what is not there is named as it would be.

    Raises:
        PermissionDeniedError: When another user has put a link of it where everybody may write.
        OSError: When the links lead in a circle, or there is no working folder any more.
    """
    return _followed(place).place


def check_folder(folder: str) -> None:
    """Make sure that no other user has put a link on the way to a folder where everybody may write.

    Of a folder that has been looked at within the last seconds nothing is asked: tens of thousands of files a second go
    into one.

    Raises:
        PermissionDeniedError: When one has.
        OSError: As `followed`.
    """
    until = _checked.get(folder)
    if until is not None and time.monotonic() < until:
        return
    if _followed(folder).holds:
        if len(_checked) >= REMEMBERED_FOLDERS:
            _checked.clear()
        _checked[folder] = time.monotonic() + REMEMBERED_SECONDS


def _followed(path: str) -> _Way:
    place = "/" if path.startswith("/") else os.getcwd()  # noqa: PTH109 (a text is wanted)
    names = path.split("/")[::-1]
    links, holds = 0, True
    while names:
        name = names.pop()
        if name in ("", "."):
            continue
        if name == "..":
            place = place.rpartition("/")[0] or "/"
            continue
        step = f"{place.rstrip('/')}/{name}"
        try:
            found = os.lstat(step)
        except OSError:  # who writes there tells
            place, holds = step, False
            continue
        if not stat.S_ISLNK(found.st_mode):
            place = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        holds = _check(path, step, found, os.stat(place)) and holds  # noqa: PTH116 (a text)
        target = os.readlink(step)  # noqa: PTH115 (a text)
        place = "/" if target.startswith("/") else place
        names.extend(target.split("/")[::-1])
    return _Way(place, holds)


def _check(path: str, link: str, found: os.stat_result, folder: os.stat_result) -> bool:
    """Make sure that a link may be followed; tell whether that is so for every user."""
    if folder.st_mode & _OPEN_TO_ALL != _OPEN_TO_ALL or found.st_uid == folder.st_uid:
        return True
    if found.st_uid == os.geteuid():
        return False
    raise PermissionDeniedError(
        f"cannot write {path}: the symbolic link {link} belongs to another user, in a folder where everybody may write",
        path=Path(path),
        remedy="name the place that it leads to if you want to write there, else another name or folder",
    )

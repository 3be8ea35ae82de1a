"""Where the files of a remote tree go: nothing is written outside the local folder that takes it."""

import os
from collections.abc import Callable
from pathlib import Path

from ctadata_providers.errors import NotADirError, StorageError
from ctadata_providers.transfer import links
from ctadata_providers.transfer.local import explained
from ctadata_providers.uri import segment_fault, split


class LocalRoot:
    """The local folder that takes a remote one; nothing is written outside it. Thread-safe.

    Args:
        local: The local folder.
        top: The remote one.
        holds: Tells whether there is, or may be, something at a remote path. A symbolic link is not followed to the
            place of that: what is written through the link would change it.
    """

    def __init__(self, local: Path, top: str, *, holds: Callable[[str], bool]) -> None:
        self._local = local
        self._holds = holds
        try:
            self._real = os.path.realpath(local)
        except OSError as error:  # there is no working folder any more
            raise explained(error, local, "write") from error
        self._top = top.rstrip("/") + "/"
        self._checked: tuple[str, Path] | None = None

    def place_of(self, path: str) -> Path:
        """Return the local place of a remote path.

        Raises:
            StorageError: When it would lie outside, by its name or through a symbolic link, or such a link leads to the
                place of something else.
        """
        folder, name = split(path)
        checked = self._checked  # another thread may replace it
        if checked is None or checked[0] != folder:
            checked = self._checked = folder, self._inside(folder)
        fault = segment_fault(name)
        if fault:
            raise StorageError(f"{path!r} is not written: {fault}", path=path)
        target = checked[1] / name
        if os.path.islink(target):  # noqa: PTH114 (per file; what cannot be looked at is told by who writes)
            self._refuse_link(path, target)
        return target

    def _inside(self, folder: str) -> Path:
        segments = (folder.rstrip("/") + "/").removeprefix(self._top).split("/")
        local = self._local.joinpath(*segments)
        self._refuse_link(folder, local)
        return local

    def _refuse_link(self, path: str, local: Path) -> None:
        real = os.path.realpath(local)
        if os.path.commonpath([self._real, real]) != self._real:
            raise StorageError(
                f"{path} would be written outside {self._local}",
                path=path,
                remedy=f"remove the symbolic link at {local} that leads there",
            )
        place = (self._top + real.removeprefix(self._real).lstrip("/")).rstrip("/")
        if place != path.rstrip("/") and self._holds(place or "/"):
            raise StorageError(
                f"{path} is not written: a symbolic link leads to {real}, which would be changed",
                path=path,
                remedy=f"remove the symbolic link at {local}",
            )


def made_folder(folder: Path) -> Path:
    """Make a local folder with its parents and return it; one that exists is right.

    Raises:
        NotADirError: When it is a file.
        PermissionDeniedError: When another user has put a link on the way to it where everybody may write.
        StorageError: For another fault of the file system.
    """
    try:
        links.check_folder(os.fspath(folder))
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirError(f"cannot make folder {folder}: it is a file", path=folder, remedy="remove it") from error
    except OSError as error:
        raise explained(error, folder, "make folder") from error
    return folder

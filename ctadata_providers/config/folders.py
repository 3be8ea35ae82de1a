"""Where the files of a user lie (XDG Base Directory Specification 0.8)."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

PACKAGE = "ctadata-providers"
_own: set[tuple[Path, ...]] = set()
"""Folders that were found to be ours: small files in them are many."""


class ForeignFolderError(PermissionError):
    """The folder of our files is another user's, who could have written each of them."""


def home_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's home; `/` for a user without one (in a container, a number without an account)."""
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 (Path.home raises without a home)
    return home if home.is_absolute() else Path("/")


def config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the settings are: `$XDG_CONFIG_HOME/ctadata-providers`."""
    return Path(environ.get("XDG_CONFIG_HOME") or home_folder(environ) / ".config") / PACKAGE


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return what is to outlive a process: `$XDG_STATE_HOME/ctadata-providers`.

    A relative folder there counts for nothing, as the specification has it: each process would have another one.
    """
    told = Path(environ.get("XDG_STATE_HOME") or "")
    return (told if told.is_absolute() else home_folder(environ) / ".local" / "state") / PACKAGE


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return what may be lost at any time: `$XDG_CACHE_HOME/ctadata-providers`, if that is no relative folder."""
    told = Path(environ.get("XDG_CACHE_HOME") or "")
    return (told if told.is_absolute() else home_folder(environ) / ".cache") / PACKAGE


def make_own(*folders: Path) -> None:
    """Make folders, the outermost first, and close them to others.

    Where several users share a folder for what they keep (`XDG_STATE_HOME`), another one may have made ours before us.

    Raises:
        ForeignFolderError: When one belongs to another user, or their link leads to it.
        OSError: When one cannot be made.
    """
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _checked(folder).st_mode & 0o077:
            folder.chmod(0o700)


def check_own(*folders: Path) -> None:
    """Make sure that folders, the outermost first, are ours; what was found to be is not asked again.

    Raises:
        ForeignFolderError: As `make_own`.
        FileNotFoundError: When one is not there.
        OSError: When one cannot be looked at.
    """
    if folders not in _own:
        for folder in reversed(folders):
            _checked(folder)
        _own.add(folders)


def _checked(folder: Path) -> os.stat_result:
    found, us = folder.stat(), os.geteuid()
    if found.st_uid != us or folder.lstat().st_uid not in (us, 0):
        raise ForeignFolderError(errno.EPERM, "it belongs to somebody else", str(folder))
    return found

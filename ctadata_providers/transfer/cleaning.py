"""Parts that killed transfers have left behind: found, and removed when they are old enough."""

import os
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ctadata_providers.errors import ConfigError, CtaError, NotFoundError, PermissionDeniedError
from ctadata_providers.transfer.context import Context, Failure
from ctadata_providers.transfer.failures import ends_all
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.names import is_part
from ctadata_providers.transfer.notes import noted, state_folder, under_way
from ctadata_providers.transfer.parts import owners
from ctadata_providers.transfer.trees.transfers import remove_tree
from ctadata_providers.transfer.trees.walking import walk

Fate = Literal["removed", "young", "under way", "undated"]


@dataclass(frozen=True, slots=True)
class FoundPart:
    """A part of an unfinished transfer.

    Attributes:
        path: Where it is, remote or local.
        is_dir: Whether it is a folder that was being filled.
        size: Bytes, of a folder those of all in it; None when the server does not tell.
        mtime: Time of the last change, of a folder that of the newest in it; None when the server does not tell of all.
        fate: `removed`, or why it stays: it is `young`, its upload is `under way` on this host, or `undated`.
    """

    path: str
    is_dir: bool
    size: int | None
    mtime: float | None
    fate: Fate


@dataclass(frozen=True, slots=True)
class CleanResult:
    """What was found below a folder.

    Attributes:
        parts: By path; in a dry run `removed` is what would be.
        failures: Folders that could not be listed and parts that could not be removed, by path.
    """

    parts: tuple[FoundPart, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def removed(self) -> tuple[FoundPart, ...]:
        """The parts that were removed."""
        return tuple(part for part in self.parts if part.fate == "removed")


@dataclass
class _Part:
    """A part that is being looked at, with what is in it."""

    path: str
    is_dir: bool
    size: int | None = 0
    mtime: float | None = float("-inf")

    def add(self, size: int | None, mtime: float | None) -> None:
        """Take one of its entries, or itself, into account; what is not known of one is not known of it."""
        self.size = None if self.size is None or size is None else self.size + size
        self.mtime = None if self.mtime is None or mtime is None else max(self.mtime, mtime)

    def found(self, fate: Fate) -> FoundPart:
        """Return it with what becomes of it."""
        return FoundPart(self.path, self.is_dir, self.size, self.mtime, fate)


class _Parts:
    """The parts that a walk meets; what is in a part belongs to it."""

    def __init__(self) -> None:
        self._parts: dict[str, _Part] = {}
        self._folders: set[str] = set()

    def take(self, path: str, *, is_dir: bool, size: int | None, mtime: float | None) -> None:
        """Look at an entry of the walk, a folder before what is in it."""
        part = self._above(path)
        if part is None and is_part(path.rpartition("/")[2]):
            part = self._parts.setdefault(path, _Part(path, is_dir))
            self._folders |= {path} if is_dir else set()
        if part is not None:
            part.add(0 if is_dir else size, mtime)

    def doubt(self, path: str) -> None:
        """Say that a folder could not be listed: nothing is known of a part that it belongs to."""
        part = self._above(f"{path}/")
        if part is not None:
            part.add(None, None)

    def by_path(self) -> list[_Part]:
        """Return all of them."""
        return [part for _, part in sorted(self._parts.items())]

    def _above(self, path: str) -> _Part | None:
        while self._folders and "/" in path:
            path = path.rpartition("/")[0]
            if path in self._folders:
                return self._parts[path]
        return None


def clean(context: Context, path: str, *, older_than: float, dry_run: bool = False) -> CleanResult:
    """Remove the parts of uploads that were given up, files and folders, below a remote folder.

    Stays what has changed within `older_than` seconds (by the server's own clock where it is known), what a process of
    this host may still be uploading, and what the server tells no time of.

    Raises:
        ConfigError: When `older_than` is no time.
        NotFoundError: When there is no such folder.
        NotADirError: When it is a file.
        StorageError: When it cannot be found out what this host is uploading.
    """
    _check_age(older_than)
    backend = context.backend
    parts = _Parts()
    failures: list[Failure] = []

    def tell(folder: str, error: CtaError) -> None:
        if folder == path or ends_all(error):
            raise error
        parts.doubt(folder)
        failures.append(Failure.of(folder, error))

    with closing(walk(backend, path, hidden=True, on_error=tell)) as entries:
        for info in entries:
            parts.take(info.path, is_dir=info.is_dir, size=info.size, mtime=info.mtime)
    # Read after the listings: an upload is noted before its name can be listed. One server has many addresses, and the
    # names are random: the name alone tells.
    try:
        living = {name for path in under_way() for name in path.split("/") if is_part(name)}
        notes = noted(context.door)
    except OSError as error:  # nothing is removed that may be under way
        raise explained(error, state_folder(), "look for running uploads in") from error
    now = time.time() + context.clock_ahead

    def fate(part: _Part) -> Fate:
        if part.path.rpartition("/")[2] in living:
            return "under way"
        return _fate_by_age(part, now - older_than)

    def remove(part: _Part) -> None:
        _remove_there(context, part)
        for remembered in notes:
            if _belongs(remembered.path, part):
                remembered.forget()

    return _clean(parts, failures, fate, None if dry_run else remove)


def clean_local(root: Path, *, older_than: float, dry_run: bool = False) -> CleanResult:
    """Remove the parts of downloads that were given up, files and folders, below a local folder; no link is followed.

    Stays what has changed within `older_than` seconds, and what a process of this host is still writing. What stands
    beside a part and tells of it goes with it.

    Raises:
        ConfigError: When `older_than` is no time.
        NotFoundError: When there is no such folder.
        NotADirError: When it is a file.
    """
    _check_age(older_than)
    parts = _Parts()
    failures: list[Failure] = []

    def tell(error: OSError) -> None:
        folder = str(error.filename)
        told = explained(error, Path(folder), "read")
        if folder == str(root):
            raise told from error
        parts.doubt(folder)
        failures.append(Failure.of(folder, told))

    for folder, folders, files in os.walk(root, onerror=tell):
        for name in (*folders, *files):
            place = f"{folder.rstrip('/')}/{name}"
            try:
                found = os.lstat(place)
            except FileNotFoundError:
                continue
            except OSError as error:  # a folder whose names may be read, and no more
                parts.doubt(place)
                if is_part(name):
                    failures.append(Failure.of(place, explained(error, Path(place), "read")))
                continue
            known = owners.parsed(name)
            if known is not None:
                place = f"{folder.rstrip('/')}/{known.part}"
            parts.take(place, is_dir=stat.S_ISDIR(found.st_mode), size=found.st_size, mtime=found.st_mtime)
    limit = time.time() - older_than

    def fate(part: _Part) -> Fate:
        known = owners.parsed(part.path.rpartition("/")[2])
        return "under way" if known and known.standing == "in use" else _fate_by_age(part, limit)

    return _clean(parts, failures, fate, None if dry_run else _remove_here)


def _clean(
    parts: _Parts, failures: list[Failure], fate_of: Callable[[_Part], Fate], remove: Callable[[_Part], None] | None
) -> CleanResult:
    """Decide of each part, and remove those that are to go."""
    found = []
    for part in parts.by_path():
        fate = fate_of(part)
        try:
            if fate == "removed" and remove is not None:
                remove(part)
        except CtaError as error:
            if ends_all(error):
                raise
            failures.append(Failure.of(part.path, error))
        else:
            found.append(part.found(fate))
    return CleanResult(tuple(found), tuple(sorted(failures, key=lambda failure: failure.path)))


def _fate_by_age(part: _Part, limit: float) -> Fate:
    if part.mtime is None:
        return "undated"
    return "removed" if part.mtime <= limit else "young"


def _belongs(path: str, part: _Part) -> bool:
    return path == part.path or path.startswith(f"{part.path}/")


def _remove_there(context: Context, part: _Part) -> None:
    if part.is_dir and part.path.count("/") < 2:
        raise PermissionDeniedError(
            f"{part.path} is not removed with all that it holds: it is right below the root",
            path=part.path,
            remedy="remove what is in it, folder by folder",
        )
    with suppress(NotFoundError):  # its upload has ended, or another one has cleaned up
        if part.is_dir:
            remove_tree(context, part.path)
        else:
            context.backend.remove(part.path, is_file=True)


def _remove_here(part: _Part) -> None:
    try:
        with suppress(FileNotFoundError):
            if part.is_dir:
                shutil.rmtree(part.path)
            else:
                known = owners.parsed(Path(part.path).name)
                if known is not None:
                    Path(part.path).with_name(known.sidecar).unlink(missing_ok=True)
                Path(part.path).unlink()
    except OSError as error:
        raise explained(error, Path(part.path), "remove") from error


def _check_age(older_than: float) -> None:
    if not 0 <= older_than < float("inf"):
        raise ConfigError(f"older_than cannot be {older_than!r}", remedy="give seconds, such as 86400 for a day")

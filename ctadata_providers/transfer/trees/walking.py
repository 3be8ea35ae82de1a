"""What is in a tree, remote or local: a folder before what is in it, nothing but what a selection takes."""

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from ctadata_providers.backends import Backend, FileInfo
from ctadata_providers.errors import CtaError, NotFoundError, StorageError
from ctadata_providers.patterns import EVERYTHING, Selection
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.names import is_part
from ctadata_providers.transfer.trees.listings import Listings

Entry = TypeVar("Entry")
OnUnlisted = Callable[[str, CtaError], object]
"""Told of a folder that cannot be listed, and why; what it raises ends the walk."""


@dataclass(frozen=True, slots=True)
class LocalEntry:
    """A file or folder below a local folder.

    Attributes:
        relative: Its path from there, with `/`.
        is_dir: Whether it is a folder.
        size: Bytes, None for a folder.
        mtime: Time of the last change in epoch seconds.
    """

    relative: str
    is_dir: bool
    size: int | None
    mtime: float | None


class _Folder(Generic[Entry]):
    """A folder on the way down; it is given late when it belongs to the tree only for what is taken in it."""

    def __init__(self, entry: Entry | None = None, above: "_Folder[Entry] | None" = None) -> None:
        self._owed = entry
        self._above = above

    def owed(self) -> list[Entry]:
        """Return this folder and those above it that have not been given yet, and take them as given."""
        owed: list[Entry] = []
        folder: _Folder[Entry] | None = self
        while folder is not None:
            if folder._owed is not None:
                owed.append(folder._owed)
            above = folder._above
            folder._owed = folder._above = None
            folder = above
        return owed[::-1]


def walk(
    backend: Backend,
    path: str,
    *,
    hidden: bool = False,
    selection: Selection = EVERYTHING,
    on_error: OnUnlisted | None = None,
) -> Generator[FileInfo, None, None]:
    """Give what a selection takes below a folder as listings arrive, several of them ahead.

    A folder comes before what is in it, in a folder all in the server's order, then each sub-folder with what is below
    it, by their names. Closing the generator ends the listings that run.

    Args:
        backend: Where.
        path: The folder.
        hidden: Also give the parts of unfinished uploads.
        selection: What is taken; a folder that cannot hold anything of it is not listed.
        on_error: Told of each folder that cannot be listed, or not to its end, which is then passed over; without it
            the first one ends the walk.

    Raises:
        CtaError: The error of a listing, without `on_error`.
    """
    top = path.rstrip("/") + "/"
    with closing(Listings()) as listings:
        (listing,) = listings.announce([partial(backend.list_dir, path)])
        todo = [(path, _Folder[FileInfo](), listing)]
        while todo:
            folder, way, listing = todo.pop()
            below: list[tuple[str, _Folder[FileInfo]]] = []
            try:
                for info in listing.entries():
                    if is_part(info.name) and not hidden:
                        continue
                    relative = info.path.removeprefix(top)
                    taken = selection.takes(relative, is_dir=info.is_dir)
                    if taken:
                        yield from way.owed()
                        yield info
                    if info.is_dir and selection.enters(relative):
                        below.append((info.path, _Folder() if taken else _Folder(info, way)))
            except CtaError as error:
                if on_error is None:
                    raise
                on_error(folder, error)
            below.sort(key=lambda item: item[0])
            begun = listings.announce(partial(backend.list_dir, name) for name, _ in below)
            todo += reversed([(*item, listing) for item, listing in zip(below, begun, strict=True)])
            listings.finish(listing)


def local_entries(
    root: Path, *, selection: Selection = EVERYTHING, on_error: OnUnlisted | None = None
) -> Iterator[LocalEntry]:
    """Give what a selection takes below a local folder, by names, a folder before what is in it.

    Symbolic links are followed. Parts of what is not whole yet are left out.

    Args:
        root: The folder.
        selection: What is taken; a folder that cannot hold anything of it is not listed.
        on_error: Told of each entry that cannot be used, by its path from the root, which is then passed over; without
            it the first one ends the walk.

    Raises:
        NotFoundError: When there is no such folder, without `on_error`; likewise below.
        StorageError: When an entry is neither file nor folder, or a link leads in a circle, without `on_error`.
    """
    todo: list[tuple[LocalFolder, Iterator[LocalEntry], _Folder[LocalEntry]]] = []

    def enter(relative: str, way: _Folder[LocalEntry]) -> None:
        try:
            folder = LocalFolder(root, relative, above=todo[-1][0] if todo else None)
        except StorageError as error:
            _tell(on_error, relative, error)
        else:
            todo.append((folder, folder.entries(selection, on_error), way))

    enter("", _Folder())
    while todo:
        _, entries, way = todo[-1]
        entry = next(entries, None)
        if entry is None:
            todo.pop()
            continue
        taken = selection.takes(entry.relative, is_dir=entry.is_dir)
        if taken:
            yield from way.owed()
            yield entry
        if entry.is_dir and selection.enters(entry.relative):
            enter(entry.relative, _Folder() if taken else _Folder(entry, way))


class LocalFolder:
    """One folder of a local tree.

    Args:
        root: The top of the tree.
        relative: The folder's path from there, empty for the top itself.
        above: The folder that it was found in.

    Raises:
        NotFoundError: When it does not exist.
        StorageError: When it cannot be listed, or is one of those above it, through a symbolic link.
    """

    def __init__(self, root: Path, relative: str = "", *, above: "LocalFolder | None" = None) -> None:
        place = root / relative
        try:
            found = os.stat(place)  # noqa: PTH116 (as in the others of this module)
            self._names = sorted(os.listdir(place))  # noqa: PTH208 (names are wanted)
        except OSError as error:
            raise explained(error, place, "read") from error
        if not self._names:
            _refuse_removed(place)
        own = (found.st_dev, found.st_ino)
        circle: frozenset[tuple[int, int]] = above._circle if above else frozenset()
        if own in circle:
            raise StorageError(f"{place} leads in a circle", path=place, remedy="remove the symbolic link")
        self._circle: frozenset[tuple[int, int]] = circle | {own}
        self._root = root
        self._relative = relative

    def entries(self, selection: Selection = EVERYTHING, on_error: OnUnlisted | None = None) -> Iterator[LocalEntry]:
        """Give the files that a selection takes and all folders, by names, but no parts of what is not whole yet.

        Raises:
            StorageError: When an entry is neither file nor folder, without `on_error`.
        """
        for name in self._names:
            relative = f"{self._relative}/{name}" if self._relative else name
            try:
                entry = _local_entry(self._root, relative, selection)
            except StorageError as error:
                _tell(on_error, relative, error)
                continue
            if entry is not None:
                yield entry


def _refuse_removed(place: Path) -> None:
    """Refuse a working folder that is empty because it was removed, by a job that has made it anew, for example."""
    try:
        os.path.realpath(place)
    except FileNotFoundError as error:
        remedy = "name it by its whole path"
        raise NotFoundError(f"cannot read {place}: it was removed", path=place, remedy=remedy) from error


def _tell(on_error: OnUnlisted | None, relative: str, error: StorageError) -> None:
    if on_error is None:
        raise error
    on_error(relative, error)


def _local_entry(root: Path, relative: str, selection: Selection) -> LocalEntry | None:
    """Return what is known of an entry, None for one that nobody asks for."""
    place = root / relative
    if is_part(relative.rpartition("/")[2]):
        return None
    wanted = selection.takes(relative, is_dir=False)
    try:
        found = os.stat(place)  # noqa: PTH116 (once for all that is wanted of it)
    except OSError as error:
        # What cannot be looked at may be a folder that holds what is wanted; a link that leads nowhere is none.
        if not wanted and (not selection.enters(relative) or _leads_nowhere(place, error)):
            return None
        # `Path.is_symlink` raises in a folder that may be listed and no more.
        is_link = os.path.islink(place)  # noqa: PTH114 (as above)
        raise _unusable(place) if is_link else explained(error, place, "read") from error
    if stat.S_ISDIR(found.st_mode):
        return LocalEntry(relative, is_dir=True, size=None, mtime=found.st_mtime)
    if not wanted:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise _unusable(place)
    return LocalEntry(relative, is_dir=False, size=found.st_size, mtime=found.st_mtime)


def _leads_nowhere(place: Path, error: OSError) -> bool:
    return isinstance(error, FileNotFoundError) or (error.errno == errno.ELOOP and place.is_symlink())


def _unusable(place: Path) -> StorageError:
    return StorageError(
        f"cannot use {place}: it is neither a file nor a folder", path=place, remedy="remove, repair or exclude it"
    )

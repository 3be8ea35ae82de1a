"""A local and a remote tree, walked side by side: what stands under the same name here and there."""

import stat
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from ctadata_providers.backends import Backend, FileInfo
from ctadata_providers.errors import CtaError, NotADirError, NotFoundError
from ctadata_providers.patterns import EVERYTHING, Selection
from ctadata_providers.transfer.names import is_part
from ctadata_providers.transfer.trees.listings import Listing, Listings
from ctadata_providers.transfer.trees.walking import LocalEntry, LocalFolder, OnUnlisted

Side = Literal["local", "remote"]


@dataclass(frozen=True, slots=True)
class Pair:
    """What stands under one name in two trees.

    Attributes:
        relative: The path from the tops of the trees; empty for the tops themselves.
        local: What is here, None for nothing.
        remote: What is there, None for nothing.
    """

    relative: str
    local: LocalEntry | None
    remote: FileInfo | None

    @property
    def clash(self) -> bool:
        """Whether one is a folder and the other is not."""
        return self.local is not None and self.remote is not None and self.local.is_dir != self.remote.is_dir

    @property
    def is_dir(self) -> bool:
        """Whether it is a folder, where it is anything."""
        return not self.clash and any(side is not None and side.is_dir for side in (self.local, self.remote))


def pairs(
    backend: Backend,
    root: Path,
    path: str,
    *,
    selection: Selection = EVERYTHING,
    source: Side | None = None,
    on_error: OnUnlisted | None = None,
) -> Generator[Pair, None, None]:
    """Give what stands in a local and a remote folder, pair by pair, the folders themselves first.

    The order is that of the paths, name by name, a folder before what is in it, whatever the order of the server. Parts
    of unfinished transfers never appear. Held are the two listings of each folder on the way.

    Args:
        backend: Where the remote tree is.
        root: The top of the local tree.
        path: The top of the remote tree.
        selection: What is taken. A folder that is not appears when something in it is.
        source: The side that is to be copied. The top of the other may then be missing; a folder that only the other
            has is not looked into, and appears when anything in it may be taken.
        on_error: Told of what is below the tops and cannot be listed or used, by its path from there; it is then passed
            over. Without it the first such error is raised.

    Raises:
        NotFoundError: When a top is missing that must be there.
        NotADirError: When a top is a file.
    """
    with closing(Listings()) as listings:
        yield from _Walk(backend, root, path, selection, source, on_error, listings).run()


@dataclass
class _Folder:
    """A folder on the way.

    Attributes:
        pair: The folder itself.
        told: Whether it has been given.
        local: Its local side, None when there is none.
        inside: What is still to come of it.
        below: The remote listings of its sub-folders, on their way.
    """

    pair: Pair
    told: bool
    local: LocalFolder | None
    inside: Iterator[Pair]
    below: dict[str, Listing] = field(default_factory=dict)


class _Walk:
    """One walk through two trees."""

    def __init__(
        self,
        backend: Backend,
        root: Path,
        path: str,
        selection: Selection,
        source: Side | None,
        on_error: OnUnlisted | None,
        listings: Listings,
    ) -> None:
        self._backend = backend
        self._root = root
        self._path = path
        self._selection = selection
        self._source = source
        self._on_error = on_error
        self._listings = listings

    def run(self) -> Iterator[Pair]:
        stack = [self._open_top()]
        yield stack[0].pair
        while stack:
            pair = next(stack[-1].inside, None)
            if pair is None:
                stack.pop()
                continue
            taken = self._takes(pair)
            if taken:
                yield from _untold(stack)
                yield pair
            if self._enters(pair):
                below = self._open(pair, stack[-1], told=taken)
                stack += [below] if below else []

    def _takes(self, pair: Pair) -> bool:
        if pair.is_dir and self._is_extra(pair):
            return self._selection.enters(pair.relative)
        if pair.clash and self._selection.enters(pair.relative):
            return True  # what may be taken in the folder has no place on the other side
        sides = (side for side in (pair.local, pair.remote) if side is not None)
        return any(self._selection.takes(pair.relative, is_dir=side.is_dir) for side in sides)

    def _enters(self, pair: Pair) -> bool:
        return pair.is_dir and not self._is_extra(pair) and self._selection.enters(pair.relative)

    def _is_extra(self, pair: Pair) -> bool:
        """Tell whether only the target has it."""
        return self._source is not None and (pair.local if self._source == "local" else pair.remote) is None

    def _open_top(self) -> _Folder:
        local: LocalFolder | None = None
        remote: FileInfo | None = FileInfo(self._path, is_dir=True)
        there: dict[str, FileInfo] = {}
        try:
            local = _local_top(self._root)
        except NotFoundError:
            if self._source != "remote":
                raise
        (listing,) = self._listings.announce([partial(self._backend.list_dir, self._path)])
        try:
            there = _entries(listing)
        except NotFoundError:
            if self._source != "local":
                raise
            remote = None
        here = LocalEntry("", is_dir=True, size=None, mtime=None) if local else None
        return self._folder(Pair("", here, remote), local, there, listing, told=True)

    def _open(self, pair: Pair, above: _Folder, *, told: bool) -> _Folder | None:
        """Return a folder with what is in it, None when that could not be found out."""
        listing = above.below.pop(pair.relative, None)
        try:
            # First: what was announced must be used up, also when the local side fails.
            there = _entries(listing) if listing else {}
            local = LocalFolder(self._root, pair.relative, above=above.local) if pair.local else None
        except CtaError as error:
            if listing:
                self._listings.finish(listing)
            if self._on_error is None:
                raise
            self._on_error(pair.relative, error)
            return None
        return self._folder(pair, local, there, listing, told=told)

    def _folder(
        self, pair: Pair, local: LocalFolder | None, there: dict[str, FileInfo], listing: Listing | None, *, told: bool
    ) -> _Folder:
        """Put the two sides of a folder together, and have its remote sub-folders listed before they are wanted."""
        prefix = f"{pair.relative}/" if pair.relative else ""
        here, told_of = self._local_entries(local) if local else ({}, set())
        for name in there.keys() - here.keys() if local else ():
            entry = self._passed_over(prefix + name, there[name])
            if entry:
                here[name] = entry
        inside = [
            Pair(prefix + name, here.get(name), there.get(name))
            for name in sorted((here.keys() | there.keys()) - told_of)
        ]
        folders = [inner for inner in inside if inner.remote is not None and self._enters(inner)]
        asks = (partial(self._backend.list_dir, inner.remote.path) for inner in folders if inner.remote is not None)
        announced = self._listings.announce(asks)
        if listing:
            self._listings.finish(listing)
        below = {inner.relative: listing for inner, listing in zip(folders, announced, strict=True)}
        return _Folder(pair, told, local, iter(inside), below)

    def _passed_over(self, relative: str, info: FileInfo) -> LocalEntry | None:
        """Return the local file that stands where a remote folder may hold what is taken, though it is none of it."""
        if not info.is_dir or not self._selection.enters(relative) or self._selection.takes(relative, is_dir=False):
            return None
        try:
            found = (self._root / relative).lstat()
        except OSError:
            return None
        size = found.st_size if stat.S_ISREG(found.st_mode) else None
        return LocalEntry(relative, is_dir=False, size=size, mtime=found.st_mtime)

    def _local_entries(self, folder: LocalFolder) -> tuple[dict[str, LocalEntry], set[str]]:
        """Return the entries by name, and the names of those that cannot be used, of which has been told."""
        unusable: list[LocalEntry] = []
        told_of: set[str] = set()

        def keep(relative: str, error: CtaError) -> None:
            # In the target it only matters when something is to be written there.
            unusable.append(LocalEntry(relative, is_dir=False, size=None, mtime=None))

        def tell(relative: str, error: CtaError) -> None:
            if self._on_error is None:
                raise error
            self._on_error(relative, error)
            told_of.add(relative.rpartition("/")[2])

        on_error = keep if self._source == "remote" else tell
        found = [*folder.entries(self._selection, on_error), *unusable]
        named = ((entry.relative.rpartition("/")[2], entry) for entry in found)
        return {name: entry for name, entry in named if not is_part(name)}, told_of


def _untold(stack: list[_Folder]) -> Iterator[Pair]:
    """Give the folders on the way to something that is taken, unless they were given before."""
    for folder in stack:
        if not folder.told:
            folder.told = True
            yield folder.pair


def _entries(listing: Listing) -> dict[str, FileInfo]:
    return {info.name: info for info in listing.entries() if not is_part(info.name)}


def _local_top(root: Path) -> LocalFolder:
    try:
        return LocalFolder(root)
    except NotADirError as error:
        raise NotADirError(f"{root} is no folder", path=root, remedy="name a folder") from error
    except NotFoundError as error:
        if root.is_symlink():  # not missing: a folder cannot be made there
            raise NotADirError(f"{root} is a link that leads nowhere", path=root, remedy="remove it") from error
        raise

"""A remote tree as one draws it, what is in a folder right below it; and what its folders come to."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from ctadata_providers.backends import Backend, FileInfo
from ctadata_providers.errors import CtaError
from ctadata_providers.patterns import EVERYTHING, Selection
from ctadata_providers.transfer.names import is_part
from ctadata_providers.transfer.trees.listings import Listing, Listings
from ctadata_providers.transfer.trees.walking import OnUnlisted

OnFile = Callable[[FileInfo], object]


@dataclass(frozen=True, slots=True)
class Nested:
    """A file or folder of a tree.

    Attributes:
        info: What the storage tells of it.
        lasts: For each folder above it from the top on, and for itself, whether nothing comes after it there.
    """

    info: FileInfo
    lasts: tuple[bool, ...]

    @property
    def depth(self) -> int:
        """How many names lie between it and the top; that of what is right below the top is 1."""
        return len(self.lasts)


@dataclass(slots=True, kw_only=True)
class Usage:
    """What a folder, or a file that was named, comes to.

    Attributes:
        info: What the storage tells of it.
        depth: How many names lie between it and the top, which has 0.
        size: Bytes of all files below it.
        files: How many there are.
        folders: How many folders there are below it.
        unsized: Files of which the storage does not tell the size; it is not in the sum.
    """

    info: FileInfo
    depth: int = 0
    size: int = 0
    files: int = 0
    folders: int = 0
    unsized: int = 0

    def count(self, info: FileInfo) -> None:
        """Add a file."""
        self.files += 1
        self.size += info.size or 0
        self.unsized += info.size is None

    def add(self, below: "Usage") -> None:
        """Add a folder with all that it comes to."""
        self.size += below.size
        self.files += below.files
        self.folders += below.folders + 1
        self.unsized += below.unsized


@dataclass(slots=True)
class _Open:
    """A folder that has been looked into.

    Attributes:
        lasts: As those of `Nested`.
        rest: What is in it and has not been given yet, the next one at the end; with the listing of a folder.
    """

    lasts: tuple[bool, ...]
    rest: list[tuple[FileInfo, Listing | None]] = field(default_factory=list)


def nested(
    backend: Backend,
    path: str,
    *,
    depth: int | None = None,
    selection: Selection = EVERYTHING,
    on_file: OnFile | None = None,
    on_error: OnUnlisted | None = None,
) -> Generator[Nested, None, None]:
    """Give what is below a folder by names, what is in a folder right behind it; several folders are listed ahead.

    Of the folders on the way to what is given all entries are in memory, or with `on_file` all folders.

    Args:
        backend: Where.
        path: The folder.
        depth: How deep; None for all, 1 for what is in the folder itself.
        selection: What is taken; a folder that is not is not looked into.
        on_file: Told of each file instead of giving it, right after the folder that it is in was given.
        on_error: Told of each folder that cannot be listed, or not to its end; without it the first one ends all.

    Raises:
        NotFoundError: When the folder does not exist, without `on_error`; likewise below.
        NotADirError: When it is a file, without `on_error`.
    """
    top = path.rstrip("/") + "/"

    def entries(folder: str, listing: Listing) -> Iterator[FileInfo]:
        try:
            for info in listing.entries():
                relative = info.path.removeprefix(top)
                if not is_part(info.name) and selection.takes(relative, is_dir=info.is_dir):
                    yield info
        except CtaError as error:
            if on_error is None:
                raise
            on_error(folder, error)

    with closing(Listings()) as listings:

        def look_into(folder: str, listing: Listing, lasts: tuple[bool, ...]) -> _Open:
            found: list[FileInfo] = []
            for info in entries(folder, listing):
                if on_file is None or info.is_dir:
                    found.append(info)
                else:
                    on_file(info)
            found.sort(key=lambda info: info.path)
            deeper = [info.path for info in found if info.is_dir and (depth is None or len(lasts) + 1 < depth)]
            begun = iter(listings.announce(partial(backend.list_dir, name) for name in deeper))
            below = set(deeper)
            opened = _Open(lasts, [(info, next(begun) if info.path in below else None) for info in found][::-1])
            listings.finish(listing)
            return opened

        (first,) = listings.announce([partial(backend.list_dir, path)])
        todo = [look_into(path, first, ())]
        while todo:
            opened = todo[-1]
            if not opened.rest:
                todo.pop()
                continue
            info, listing = opened.rest.pop()
            item = Nested(info, (*opened.lasts, not opened.rest))
            yield item
            if listing is not None:
                todo.append(look_into(info.path, listing, item.lasts))


def usage(
    backend: Backend, top: FileInfo, *, selection: Selection = EVERYTHING, on_error: OnUnlisted | None = None
) -> Generator[Usage, None, None]:
    """Give what each folder of a tree comes to, what is in a folder before it, the tree itself at last.

    Args:
        backend: Where.
        top: The folder, or a file.
        selection: What is counted.
        on_error: As for `nested`: what could not be listed is not in the sums.

    Raises:
        CtaError: As `nested`.
    """
    whole = Usage(info=top)
    if not top.is_dir:
        whole.count(top)
        yield whole
        return
    above = [whole]
    below = nested(
        backend, top.path, selection=selection, on_file=lambda info: above[-1].count(info), on_error=on_error
    )
    with closing(below):
        for item in below:
            yield from _ended(above, item.depth)
            above.append(Usage(info=item.info, depth=item.depth))
    yield from _ended(above, 0)


def _ended(above: list[Usage], depth: int) -> Iterator[Usage]:
    """Give the folders at this depth and deeper, which have ended, each added to the one that it is in."""
    while above and above[-1].depth >= depth:
        ended = above.pop()
        if above:
            above[-1].add(ended)
        yield ended

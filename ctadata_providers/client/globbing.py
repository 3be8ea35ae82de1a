"""Remote paths that match a pattern."""

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import takewhile

from ctadata_providers.backends import Backend, FileInfo
from ctadata_providers.errors import NotADirError, NotFoundError, UnsupportedError
from ctadata_providers.patterns import EVERYTHING, PathPattern, Places, Selection, has_magic
from ctadata_providers.transfer import Listings, is_part


def find(
    backend: Backend, pattern: str, *, selection: Selection = EVERYTHING, hidden: bool = False
) -> Iterator[FileInfo]:
    """Give what matches as `expand` does, but a path that exists as it is written is no pattern."""
    literal = None
    if has_magic(pattern):
        with suppress(NotFoundError, NotADirError, UnsupportedError):  # XRootD looks for no name with '?'
            literal = backend.stat(pattern.rstrip("/"))
    if literal is None:
        yield from expand(backend, pattern, selection=selection, hidden=hidden)
    elif literal.is_dir or not pattern.endswith("/"):
        yield literal


def expand(
    backend: Backend, pattern: str, *, selection: Selection = EVERYTHING, hidden: bool = False
) -> Iterator[FileInfo]:
    """Give what matches an absolute pattern, each once; a last `/` means folders only.

    In a folder matches come by their names, then those below each of its folders. Several folders are looked into at
    once, each at most once; where only names without magic can follow, they are asked for, and the folder not listed.

    Args:
        backend: Where.
        pattern: Names that begin with a dot match only an element that does, unless `hidden`.
        selection: What is taken, by the path from the last folder before the first magic element.
        hidden: Whether magic also stands for a dot at the beginning of a name.

    Raises:
        NotFoundError: When a folder before the first magic element does not exist.
    """
    elements = [element for element in pattern.split("/") if element]
    literal = list(takewhile(lambda element: not has_magic(element), elements))
    start = "/" + "/".join(literal)
    only_folders = pattern.endswith("/")
    if len(literal) == len(elements):
        yield from (info for info in _looked_up(backend, [start]) if info.is_dir or not only_folders)
        return
    rest = PathPattern(elements[len(literal) :], hidden=hidden)
    top = start.rstrip("/") + "/"
    with closing(Listings()) as listings:
        todo = [(rest.start, listing) for listing in listings.announce([partial(backend.list_dir, start)])]
        while todo:
            places, listing = todo.pop()
            below: list[tuple[str, Places]] = []
            for info, after in _fitting(listing.entries(), rest, places):
                relative = info.path.removeprefix(top)
                matched = after.matched and (info.is_dir or not only_folders)
                if matched and selection.takes(relative, is_dir=info.is_dir):
                    yield info
                if info.is_dir and after.following and selection.enters(relative):
                    below.append((info.path, after))
            begun = listings.announce(partial(_entries, backend, folder, rest, after) for folder, after in below)
            todo += reversed([(after, inner) for (_, after), inner in zip(below, begun, strict=True)])
            listings.finish(listing)


def _fitting(entries: Iterable[FileInfo], pattern: PathPattern, places: Places) -> list[tuple[FileInfo, Places]]:
    """Return, by their names, the entries of a folder that match or may have something below that does."""
    stepped = ((info, pattern.step(places, info.name)) for info in entries if not is_part(info.name))
    fitting = [(info, after) for info, after in stepped if after.matched or (info.is_dir and after.following)]
    return sorted(fitting, key=lambda pair: pair[0].path)


def _entries(backend: Backend, folder: str, pattern: PathPattern, places: Places) -> Iterator[FileInfo]:
    """Give the entries of a folder, as far as they can matter."""
    names = pattern.literals(places)
    if names is None:
        return backend.list_dir(folder)
    return _looked_up(backend, [f"{folder.rstrip('/')}/{name}" for name in names])


def _looked_up(backend: Backend, paths: Iterable[str]) -> Iterator[FileInfo]:
    for path in paths:
        with suppress(NotFoundError, NotADirError):
            info = backend.stat(path)
            yield info

"""Patterns for remote paths."""

import re
from collections.abc import Iterator
from fnmatch import translate

from ctadata_providers.backends import Backend, FileInfo
from ctadata_providers.errors import NotADirError, NotFoundError
from ctadata_providers.transfer import is_part

_MAGIC = re.compile(r"[*?\[]")


def has_magic(text: str) -> bool:
    """Tell whether a path is a pattern.

    >>> has_magic("lst/*.fits"), has_magic("lst/a.fits")
    (True, False)
    """
    return _MAGIC.search(text) is not None


def escape(text: str) -> str:
    """Return a pattern that matches a path literally.

    >>> escape("run[1].fits")
    'run[[]1].fits'
    """
    return _MAGIC.sub(lambda match: f"[{match.group()}]", text)


def expand(backend: Backend, pattern: str) -> Iterator[FileInfo]:
    """Give what matches an absolute pattern, in each folder in the order of the names; a last `/` means folders only.

    Raises:
        NotFoundError: When a folder before the first magic element does not exist.
    """
    segments = [s for s in pattern.split("/") if s]
    given: set[str] = set()
    repeats = segments.count("**") > 1
    for info in _expand(backend, segments):
        if (not repeats or info.path not in given) and (info.is_dir or not pattern.endswith("/")):
            yield info
        if repeats:
            given.add(info.path)


def _expand(backend: Backend, segments: list[str]) -> Iterator[FileInfo]:
    literal: list[str] = []
    while segments and not has_magic(segments[0]):
        literal.append(segments.pop(0))
    start = "/" + "/".join(literal)
    if not segments:
        try:
            yield backend.stat(start)
        except NotFoundError:
            return
        return
    yield from _matches(backend, start, segments)


def _matches(
    backend: Backend, folder: str, segments: list[str], entries: list[FileInfo] | None = None
) -> Iterator[FileInfo]:
    """Give what matches the segments below a folder, whose entries may be known already."""
    head, *rest = segments
    if head == "**":
        yield from _any_depth(backend, folder, rest)
        return
    if not has_magic(head):
        yield from _literal(backend, folder, head, rest)
        return
    fits = re.compile(translate(head)).fullmatch
    for info in _entries(backend, folder) if entries is None else entries:
        if not fits(info.name) or (info.name.startswith(".") and not head.startswith(".")):
            continue
        if not rest:
            yield info
        elif info.is_dir:
            yield from _matches(backend, info.path, rest)


def _any_depth(backend: Backend, folder: str, rest: list[str]) -> Iterator[FileInfo]:
    """Give what matches the rest in a folder and in every folder below it; a last `**` gives all of it."""
    while rest and rest[0] == "**":
        rest = rest[1:]
    entries = _entries(backend, folder)
    if rest:
        yield from _matches(backend, folder, rest, entries)
    for info in entries:
        if info.name.startswith("."):
            continue
        if not rest:
            yield info
        if info.is_dir:
            yield from _any_depth(backend, info.path, rest)


def _literal(backend: Backend, folder: str, name: str, rest: list[str]) -> Iterator[FileInfo]:
    try:
        info = backend.stat(f"{folder.rstrip('/')}/{name}")
    except (NotFoundError, NotADirError):
        return
    if not rest:
        yield info
    elif info.is_dir:
        yield from _matches(backend, info.path, rest)


def _entries(backend: Backend, folder: str) -> list[FileInfo]:
    entries = (info for info in backend.list_dir(folder) if not is_part(info.name))
    return sorted(entries, key=lambda info: info.path)

"""What a copy from, to or within the storage copies: fsspec's rules for folders, globs and lists."""

from collections.abc import Callable, Iterable, Mapping
from glob import has_magic
from os import fspath
from pathlib import PurePath
from typing import Any

from fsspec.utils import other_paths

from ctadata_providers.errors import NotFoundError
from ctadata_providers.filesystem.entries import Info

Found = dict[str, Info]
Find = Callable[..., Found]


def expanded(
    paths: Iterable[str],
    *,
    recursive: bool,
    maxdepth: int | None,
    literal: bool,
    glob: Find,
    find: Find,
    look: Callable[[str], Info | None],
) -> Found:
    """Return what some paths and patterns stand for, by path; a path that is not there stands for itself, without info.

    Args:
        paths: They.
        recursive: Whether folders stand for all below them, too.
        maxdepth: How many levels below a folder count, None for all.
        literal: Whether none of them is a pattern.
        glob: Finds what matches a pattern.
        find: Finds what is below a folder, and the folder.
        look: Tells what is at a path, None for nothing.

    Raises:
        ValueError: When `maxdepth` is less than 1.
        FileNotFoundError: When nothing is found.
    """
    if maxdepth is not None and maxdepth < 1:
        raise ValueError("maxdepth must be at least 1")
    found: Found = {}
    for path in paths:
        if not literal and has_magic(path):
            matches = glob(path, maxdepth=maxdepth, detail=True)
            found.update(matches)
            if recursive and (maxdepth is None or maxdepth > 1):
                below = None if maxdepth is None else maxdepth - 1
                for match, info in matches.items():
                    if info["type"] == "directory":
                        found.update(find(match, maxdepth=below, withdirs=True, detail=True))
            continue
        if recursive:
            found.update(find(path, maxdepth=maxdepth, withdirs=True, detail=True))
        if path not in found:
            there = look(path)
            if there is not None or not recursive:
                found[path] = there or {}
    if not found:
        raise NotFoundError(f"there is nothing at {', '.join(paths)}", remedy="check the path")
    return dict(sorted(found.items()))


def targets(source: object, paths: list[str], target: str | list[str], *, into: bool) -> list[str]:
    """Return where each of some paths goes.

    Args:
        source: What the caller gave.
        paths: What that stands for.
        target: Where it is to go.
        into: Whether the target is a folder that is there, or is written as one.
    """
    if not paths:
        return []
    one = isinstance(source, (str, PurePath))
    text = fspath(source) if one else ""  # type: ignore[call-overload]  # it is one
    magic = has_magic(text) and [path.rpartition("/")[2] for path in paths] != [text.rpartition("/")[2]]
    inside = one and ((magic and len(paths) == 1) or (not magic and into and text[-1:] != "/"))
    named: list[str] = other_paths(paths, target, exists=inside, flatten=not one)
    return named


def is_folder(info: Mapping[str, Any]) -> bool:
    """Tell whether an entry is a folder; what is not there is none."""
    return bool(info) and info["type"] == "directory"

"""What a sync removes: names that only the target has."""

from dataclasses import dataclass

from ctadata_providers.patterns import Selection
from ctadata_providers.transfer.names import is_part
from ctadata_providers.transfer.trees.directions import Direction


@dataclass(frozen=True, slots=True)
class Removals:
    """What is to be removed from the target.

    Attributes:
        files: Paths of files, in their order; links, too.
        folders: Paths of folders that will be empty then, deepest first.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]


def plan_removals(direction: Direction, selection: Selection, extras: list[str]) -> Removals:
    """Look again at what only the target had, and return what of it is to be removed.

    Much may have passed since: what is gone, or has come to the source, is left out. So is what is not selected, the
    parts of unfinished transfers, and the folders that hold any of these.

    Raises:
        CtaError: When a folder cannot be listed.
    """
    files: list[str] = []
    folders: list[str] = []
    for parent, names in _by_parent(extras).items():
        there = direction.names_in_target(parent)
        source = direction.names_in_source(parent)
        for name in names:
            if name not in there or name in source:
                continue
            if there[name]:
                inner_files, inner_folders = _inside(direction, selection, _join(parent, name))
                files += inner_files
                folders += inner_folders
            elif selection.takes(_join(parent, name), is_dir=False):
                files.append(_join(parent, name))
    return Removals(tuple(sorted(files, key=_order)), tuple(sorted(folders, key=_order, reverse=True)))


def _inside(direction: Direction, selection: Selection, top: str) -> tuple[list[str], list[str]]:
    """Return the files to remove below a folder, and the folders, itself included, that are empty then."""
    files: list[str] = []
    seen: list[str] = []
    staying: set[str] = set()
    touched: set[str] = set()
    todo = [top]
    while todo:
        folder = todo.pop()
        seen.append(folder)
        for name, is_dir in direction.names_in_target(folder).items():
            inner = _join(folder, name)
            if is_dir and not is_part(name) and selection.enters(inner):
                todo.append(inner)
            elif not is_dir and not is_part(name) and selection.takes(inner, is_dir=False):
                files.append(inner)
                touched.add(folder)
            else:
                staying.add(folder)
    folders = []
    for folder in reversed(seen):  # what is in a folder comes before it
        parent = folder.rpartition("/")[0]
        if folder not in staying and (folder in touched or selection.takes(folder, is_dir=True)):
            folders.append(folder)
            touched.add(parent)
        else:
            staying.add(parent)
    return files, folders


def _by_parent(paths: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        parent, _, name = path.rpartition("/")
        found.setdefault(parent, []).append(name)
    return found


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _order(path: str) -> list[str]:
    return path.split("/")

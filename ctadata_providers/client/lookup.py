"""What is there of many paths and patterns, with as few questions as possible."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from ctadata_providers.backends import Backend, FileInfo
from ctadata_providers.client.globbing import find
from ctadata_providers.errors import NotADirError, NotFoundError
from ctadata_providers.patterns import PathPattern, has_magic
from ctadata_providers.transfer import is_part
from ctadata_providers.uri import split

FEW = 4
"""So many names of one folder are asked for one by one; from then on the folder is listed."""


def look_up(backend: Backend, patterns: Iterable[str]) -> dict[str, list[FileInfo]]:
    """Return what is there of each absolute path or pattern, by its text; nothing that is missing is an error.

    A folder in which several are looked for is listed once. A pattern means what `globbing.find` says; a last `/` means
    folders only.

    Raises:
        NotADirError: When the folder of a pattern is a file.
    """
    found: dict[str, list[FileInfo]] = {pattern: [] for pattern in patterns}
    by_folder: dict[str, list[str]] = defaultdict(list)
    for pattern in found:
        folder, _ = split(pattern.rstrip("/") or "/")
        if has_magic(folder) or "**" in pattern or not pattern.strip("/"):
            with suppress(NotFoundError):
                found[pattern] = list(find(backend, pattern))
        else:
            by_folder[folder].append(pattern)
    for folder, wanted in by_folder.items():
        with suppress(NotFoundError):
            if len(wanted) < FEW and not any(map(has_magic, wanted)):
                for path in wanted:
                    with suppress(NotFoundError, NotADirError):
                        found[path] = [backend.stat(path.rstrip("/"))]
            else:
                _list(backend, folder, wanted, found)
    return {pattern: [i for i in infos if i.is_dir or not pattern.endswith("/")] for pattern, infos in found.items()}


def _list(backend: Backend, folder: str, wanted: list[str], found: dict[str, list[FileInfo]]) -> None:
    names: dict[str, list[str]] = defaultdict(list)
    for pattern in wanted:
        names[split(pattern.rstrip("/"))[1]].append(pattern)  # `a` and `a/`
    magic = [(PathPattern([name], hidden=False), of) for name, of in names.items() if has_magic(name)]
    for info in backend.list_dir(folder):
        if is_part(info.name):
            continue
        for pattern in names.get(info.name, ()):
            found[pattern].append(info)
        for fits, of in magic:
            if fits.step(fits.start, info.name).matched:
                for pattern in of:
                    found[pattern].append(info)
    for name, of in names.items():
        for pattern in of:
            # What exists as it is written is no pattern.
            exact = [info for info in found[pattern] if info.name == name][:1]
            found[pattern] = exact or sorted(found[pattern], key=lambda info: info.path)

"""What is found for a copy, and told of it, by whoever makes it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ctadata_providers import CopyResult, CtaClient, FileInfo, NotFoundError, UnsupportedError, uri

Result: TypeAlias = dict[str, Any]
_ALGORITHM = "adler32"


@dataclass(frozen=True, slots=True)
class Planned:
    """A file that is to be copied.

    Attributes:
        info: What a listing told of it.
        target: The path of its copy.
        existing: What is there.
    """

    info: FileInfo
    target: str
    existing: FileInfo | None


def plan_of_tree(source: CtaClient, top: str, target: CtaClient, into: str) -> Iterator[Planned]:
    """Give the files below a folder, as listings arrive; the folders of their targets are made on the way.

    Raises:
        NotFoundError: When there is no such folder.
        NotADirError: When either is a file.
    """
    above, below = (uri.parse(folder).path.rstrip("/") for folder in (top, into))
    listed, existing = "", dict[str, FileInfo]()
    target.make_dir(below or "/", parents=True)
    for info in source.walk(top):
        there = below + info.path.removeprefix(above)
        if info.is_dir:
            target.make_dir(there, exist_ok=True)
            continue
        folder, _ = uri.split(there)
        if folder != listed:  # the files of a folder come one after the other
            listed, existing = folder, {known.path: known for known in target.list_dir(folder)}
        yield Planned(info, there, existing.get(there))


def exactly(path: str, found: Mapping[str, Sequence[FileInfo]]) -> FileInfo | None:
    """Return what is there under a name, and not what matches it as a pattern."""
    wanted = uri.parse(path).path
    return next((info for info in found[path] if info.path == wanted), None)


def still_there(path: str, found: Mapping[str, Sequence[FileInfo]]) -> FileInfo:
    """Return what is there under a name that was found before.

    Raises:
        NotFoundError: When there is nothing now.
    """
    info = exactly(path, found)
    if info is None:
        raise NotFoundError(f"{path} is not there any more", path=path, remedy="begin the task anew")
    return info


def copied(done: CopyResult) -> Result:
    """Return the result of a file that was copied, as plain JSON."""
    return _result(done.path, done.source, done.size, dict(done.checksums), done.way)


def there_already(source: CtaClient, info: FileInfo, target: CtaClient, existing: FileInfo | None) -> Result | None:
    """Return the result of a file that need not be copied, for it was; None when it must be.

    Only a checksum that both servers tell counts; nothing is read for it.

    Raises:
        CtaError: When a server cannot be asked.
    """
    if existing is None or existing.is_dir or info.size is None or existing.size != info.size:
        return None
    common = set(info.checksums) & set(existing.checksums)
    if common:
        here, there = dict(info.checksums), dict(existing.checksums)
    else:
        try:
            here = {_ALGORITHM: source.checksum(info.path, _ALGORITHM, compute=False)}
            there = {_ALGORITHM: target.checksum(existing.path, _ALGORITHM, compute=False)}
        except UnsupportedError:
            return None
        common = {_ALGORITHM}
    if any(here[name] != there[name] for name in common):
        return None
    return _result(existing.path, info.path, info.size, {name: here[name] for name in sorted(common)}, "before")


def _result(path: str, source: str, size: int, checksums: dict[str, str], way: str) -> Result:
    return {
        "uri": uri.format_uri(path),
        "source": uri.format_uri(source),
        "size": size,
        "checksums": checksums,
        "way": way,
    }

"""Are all files of two trees the same?"""

import stat
from bisect import insort
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from ctadata_providers.backends import Backend, FileInfo
from ctadata_providers.errors import CtaError, NotFoundError
from ctadata_providers.patterns import EVERYTHING, Selection
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import Task
from ctadata_providers.transfer.compare import Compare, checked_compare, checksums_of
from ctadata_providers.transfer.context import Context
from ctadata_providers.transfer.failures import ends_all
from ctadata_providers.transfer.folders import stat_or_none
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.trees.ordered import in_order
from ctadata_providers.transfer.trees.pairs import Pair, pairs
from ctadata_providers.transfer.trees.walking import LocalEntry

DifferenceKind = Literal["missing here", "missing there", "kind", "size", "checksum", "error"]


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not the same here and there.

    Attributes:
        path: Path from the tops of the trees; of two files, the name of the remote one.
        kind: What differs. `kind`: one is a folder, or no file either; `error`: it could not be found out.
        here: Kind, size or checksum of the local one, None when there is nothing to tell.
        there: The same of the remote one.
        error: Why it could not be found out.
    """

    path: str
    kind: DifferenceKind
    here: str | None = None
    there: str | None = None
    error: CtaError | None = None


class Verification(Iterator[Difference]):
    """The differences of two trees in the order of their paths, and what was found to be the same.

    Attributes:
        same: Files that were the same so far.
        size: Bytes of these.
    """

    def __init__(self, outcomes: Generator[Difference | int, None, None]) -> None:
        self.same = 0
        self.size = 0
        self._outcomes = outcomes

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Difference:
        while True:
            outcome = next(self._outcomes)
            if isinstance(outcome, Difference):
                return outcome
            self.same += 1
            self.size += outcome

    def close(self) -> None:
        """Stop what still runs."""
        self._outcomes.close()


def verify_tree(
    context: Context, local: Path, path: str, *, compare: Compare = "checksum", selection: Selection = EVERYTHING
) -> Verification:
    """Compare two files, or all files of two trees, several at once; nothing is changed.

    Args:
        context: What the transfers of a client share.
        local: The local file or folder.
        path: The remote file or folder.
        compare: By `checksum` or by `size` only.
        selection: What is compared in trees.

    Raises:
        ConfigError: For another way of comparing.
        NotFoundError: At the first step of the result, when there is neither.
        CtaError: At a step of the result, what no other file would survive: a refused credential.
    """
    checked_compare(compare, "checksum", "size")
    return Verification(_verify(context, local, path, compare, selection))


def _verify(
    context: Context, local: Path, path: str, compare: Compare, selection: Selection
) -> Generator[Difference | int, None, None]:
    top = _top(context.backend, local, path)
    trees = not top.clash and top.is_dir and top.local is not None and top.remote is not None
    unlisted: list[Difference] = []

    def tell(relative: str, error: CtaError) -> None:
        if ends_all(error):
            raise error
        insort(unlisted, Difference(relative, "error", error=error), key=_order)

    def tasks() -> Iterator[tuple[Pair, Task[Difference | int | None]]]:
        both = pairs(context.backend, local, path, selection=selection, on_error=tell) if trees else [top]
        return ((pair, _compared(context, local / pair.relative if trees else local, pair, compare)) for pair in both)

    with closing(in_order(tasks(), context.max_parallel)) as outcomes:
        for pair, future in outcomes:
            while unlisted and _order(unlisted[0]) < _order(pair):
                yield unlisted.pop(0)
            outcome = _outcome(pair, future)
            if outcome is not None:
                yield outcome
    yield from unlisted


def _order(item: Pair | Difference) -> list[str]:
    return (item.relative if isinstance(item, Pair) else item.path).split("/")


def _outcome(pair: Pair, future: "Future[Difference | int | None]") -> Difference | int | None:
    try:
        return future.result()
    except CtaError as error:
        if ends_all(error):
            raise
        return Difference(pair.relative, "error", error=error)


def _top(backend: Backend, local: Path, path: str) -> Pair:
    """Return what the two places are.

    Raises:
        NotFoundError: When there is neither.
    """
    info = stat_or_none(backend, path)
    entry: LocalEntry | None = None
    try:
        found = local.stat()
        size = found.st_size if stat.S_ISREG(found.st_mode) else None
        entry = LocalEntry("", is_dir=stat.S_ISDIR(found.st_mode), size=size, mtime=found.st_mtime)
    except FileNotFoundError as error:
        if info is None:
            raise NotFoundError(
                f"there is neither {local} here nor {path} there", path=path, remedy="check the paths"
            ) from error
    except OSError as error:
        raise explained(error, local, "read") from error
    return Pair(path.rpartition("/")[2], entry, info)


async def _compared(context: Context, local: Path, pair: Pair, compare: Compare) -> Difference | int | None:
    """Return how the two of a pair differ, the size of files that do not, None for folders that do not."""
    entry, info = pair.local, pair.remote
    if entry is None or info is None:
        missing: DifferenceKind = "missing here" if entry is None else "missing there"
        return Difference(pair.relative, missing, _kind(entry), _kind(info))
    if _kind(entry) != _kind(info):
        return Difference(pair.relative, "kind", _kind(entry), _kind(info))
    if entry.is_dir or entry.size is None:
        return None
    if entry.size != info.size:
        return Difference(pair.relative, "size", str(entry.size), None if info.size is None else str(info.size))
    if entry.size and compare == "checksum":
        sums = await checksums_of(context, local, info)
        if not sums.same:
            here, there = (f"{sums.algorithm} {value}" for value in (sums.here, sums.there))
            return Difference(pair.relative, "checksum", here, there)
    return entry.size


def _kind(side: LocalEntry | FileInfo | None) -> str | None:
    if side is None:
        return None
    if side.is_dir:
        return "folder"
    return "neither file nor folder" if isinstance(side, LocalEntry) and side.size is None else "file"

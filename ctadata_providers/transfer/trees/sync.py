"""One tree made like another, one way."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from ctadata_providers.errors import CtaError, IsADirError, NotADirError, PermissionDeniedError, StorageError
from ctadata_providers.patterns import EVERYTHING, Selection
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import Task, asked, wait
from ctadata_providers.transfer.compare import Compare, checked_compare
from ctadata_providers.transfer.context import Failure, OnError, TransferResult
from ctadata_providers.transfer.failures import Failures
from ctadata_providers.transfer.parallel import as_ended
from ctadata_providers.transfer.trees.directions import Direction
from ctadata_providers.transfer.trees.ordered import in_order
from ctadata_providers.transfer.trees.pairs import Pair, pairs
from ctadata_providers.transfer.trees.removals import plan_removals

ChangeKind = Literal["make", "copy", "replace", "remove"]


@dataclass(frozen=True, slots=True)
class Change:
    """What a sync does, or would do, to one name of the target.

    Attributes:
        kind: `make` a folder, `copy` a file that is not there, `replace` one that differs, `remove` what the source
            does not have.
        path: Path from the tops of the trees; empty for the target itself.
        is_dir: Whether it is a folder.
        size: Bytes that are copied, None when there are none or the listing does not tell.
    """

    kind: ChangeKind
    path: str
    is_dir: bool = False
    size: int | None = None


@dataclass(frozen=True, slots=True)
class SyncResult:
    """A tree that has been made like another, but for its failures.

    Attributes:
        copied: Files that were copied, new and replaced ones.
        unchanged: Files that were right already.
        removed: Files and folders that were removed.
        size: Bytes of the files that were copied.
        seconds: Wall time.
        retries: Attempts after the first, over all files.
        failures: What could not be done, by path; only where errors do not stop the rest.
        changes: Of a dry run, what would be done, in its order: copies by path, then removals. Of a real one nothing,
            so that memory does not grow with the tree: it tells them as they are done.
    """

    copied: int
    unchanged: int
    removed: int
    size: int
    seconds: float
    retries: int
    failures: tuple[Failure, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How to sync.

    Attributes:
        compare: What tells that a copy is right.
        delete: Whether the target loses what the source does not have.
        dry_run: Whether nothing is changed.
        selection: What is looked at, in both trees.
        on_error: What an error of one file means for the others.
        on_change: Told of each change when it is done; of a dry run when it is found.
    """

    compare: Compare = "auto"
    delete: bool = False
    dry_run: bool = False
    selection: Selection = EVERYTHING
    on_error: OnError = "stop"
    on_change: Callable[[Change], object] | None = None


def sync_tree(direction: Direction, options: SyncOptions) -> SyncResult:
    """Make the target of a direction like its source.

    Copies are those of `download` and `upload`. When all of them are done and no listing failed, and only then, what
    the source does not have is removed: files one by one, then folders that are empty, deepest first.

    Raises:
        ConfigError: When an option is none.
        NotFoundError: When the source does not exist.
        NotADirError: When source or target is a file.
        PermissionDeniedError: When something may be removed at the root of the storage, or of this machine.
        CtaError: The first error; with `continue` only what no other file would survive.
    """
    checked_compare(options.compare)
    if options.delete and direction.is_root:
        raise PermissionDeniedError(
            f"nothing is removed from {direction.target_name('')}: it is the root",
            path=direction.target_name(""),
            remedy="sync folder by folder, or without removing",
        )
    return _Sync(direction, options).run()


@dataclass
class _Done:
    """What was done so far."""

    copied: int = 0
    unchanged: int = 0
    removed: int = 0
    size: int = 0
    retries: int = 0
    changes: list[Change] = field(default_factory=list)


class _Sync:
    """One sync on its way."""

    def __init__(self, direction: Direction, options: SyncOptions) -> None:
        self._direction = direction
        self._options = options
        self._failures = Failures(options.on_error)
        self._done = _Done()
        self._extras: list[str] = []
        self._unmade: str | None = None
        self._staying: set[str] = set()  # folders with something in them that could not be removed

    def run(self) -> SyncResult:
        started = time.monotonic()
        self._run(self._steps(), self._direction.context.max_parallel)
        if self._options.delete and not self._failures.by_path():
            self._remove()
        done = self._done
        return SyncResult(
            copied=done.copied,
            unchanged=done.unchanged,
            removed=done.removed,
            size=done.size,
            seconds=time.monotonic() - started,
            retries=done.retries,
            failures=self._failures.by_path(),
            changes=tuple(done.changes),
        )

    def _run(self, steps: Iterator[tuple[Change, Task[TransferResult | bool]]], limit: int) -> None:
        # In a dry run nothing takes long but to look at bytes, and the order of the changes is that of the steps; so it
        # is where one must be done before the next.
        run = in_order if self._options.dry_run or limit == 1 else as_ended
        with closing(run(steps, limit)) as outcomes:
            for change, future in outcomes:
                self._take(change, future)

    def _steps(self) -> Iterator[tuple[Change, Task[TransferResult | bool]]]:
        """Give what is to be done as the trees are walked; folders are made on the way, before what goes into them."""
        direction = self._direction
        walk = pairs(
            direction.context.backend,
            direction.root,
            direction.path,
            selection=self._options.selection,
            source=direction.source,
            on_error=self._fail,
        )
        with closing(walk):
            for pair in walk:
                try:
                    step = self._step(pair)
                except CtaError as error:
                    if not pair.relative:
                        raise
                    self._fail(pair.relative, error)
                else:
                    yield from [step] if step else []

    def _step(self, pair: Pair) -> tuple[Change, Task[TransferResult | bool]] | None:
        direction, options = self._direction, self._options
        if self._unmade is not None and pair.relative.startswith(f"{self._unmade}/"):
            return None
        source = direction.source_of(pair)
        if source is None:
            if options.delete:
                self._extras.append(pair.relative)
            return None
        exists = direction.target_of(pair) is not None
        if pair.clash:
            raise _clash(direction.target_name(pair.relative), source_is_dir=source.is_dir)
        if source.is_dir:
            return None if exists else (self._made(pair.relative), _settled(True))
        same = direction.same_by_listing(pair, options.compare) if exists else False
        if same:
            self._done.unchanged += 1
            return None
        if same is False:  # else it is not known yet whether anything is to be written
            direction.check_name(pair.relative)
        change = Change("replace" if exists else "copy", pair.relative, size=source.size)
        if options.dry_run:
            return change, self._would_be_copied(pair) if same is None else _settled(True)
        return change, direction.copy(pair, unless_same=same is None)

    async def _would_be_copied(self, pair: Pair) -> bool:
        differs = await self._direction.differs(pair)
        if differs:
            self._direction.check_name(pair.relative)
        return differs

    def _made(self, relative: str) -> Change:
        try:
            self._direction.check_name(relative)
            if not self._options.dry_run:
                self._direction.make(relative)
        except CtaError:
            self._unmade = relative
            raise
        return Change("make", relative, is_dir=True)

    def _take(self, change: Change, future: "Future[TransferResult | bool]") -> None:
        """Count an outcome: a transfer, a change that is done or found, or False for none that is needed."""
        done = self._done
        try:
            outcome = future.result()
        except CtaError as error:
            if change.kind == "remove":
                self._staying |= {change.path[:end] for end, letter in enumerate(change.path) if letter == "/"}
            return self._fail(change.path, error)
        if outcome is False:
            done.unchanged += 1
            return None
        if change.kind == "remove":
            done.removed += 1
        elif not change.is_dir:
            done.copied += 1
            done.size += (change.size or 0) if outcome is True else outcome.size
            done.retries += 0 if outcome is True else outcome.retries
        return self._tell(change)

    def _remove(self) -> None:
        """Remove what only the target has; nothing unless all of it could be found out."""
        try:
            if self._extras and not self._direction.names_in_source(""):
                raise _nothing_in_source(self._direction)
            plan = plan_removals(self._direction, self._options.selection, self._extras)
        except CtaError as error:
            return self._fail("", error)
        files = ((Change("remove", name), self._removal(name, is_dir=False)) for name in plan.files)
        self._run(files, self._direction.context.max_parallel)
        folders = (
            (Change("remove", name, is_dir=True), self._removal(name, is_dir=True))
            for name in plan.folders
            if name not in self._staying
        )
        self._run(folders, 1)
        return None

    async def _removal(self, relative: str, *, is_dir: bool) -> bool:
        if not self._options.dry_run:
            await wait(asked(partial(self._direction.remove, relative, is_dir=is_dir)))
        return True

    def _tell(self, change: Change) -> None:
        if self._options.dry_run:
            self._done.changes.append(change)
        if self._options.on_change is not None:
            self._options.on_change(change)

    def _fail(self, relative: str, error: CtaError) -> None:
        self._failures.take(self._direction.remote_path(relative), error)


async def _settled(outcome: bool) -> bool:
    return outcome


def _clash(target: str, *, source_is_dir: bool) -> StorageError:
    """Return the error for a file that stands where a folder is to be, or the reverse: neither is ever removed."""
    if source_is_dir:
        return NotADirError(f"{target} is a file, in the source a folder", path=target, remedy="remove the file first")
    return IsADirError(f"{target} is a folder, in the source a file", path=target, remedy="remove the folder first")


def _nothing_in_source(direction: Direction) -> StorageError:
    """Return the error for a removal of all: a source that is not mounted, or may not be read, would ask for it."""
    target = direction.target_name("")
    return StorageError(
        f"nothing is removed from {target}: there is nothing in the source, which would remove all of it",
        path=target,
        remedy="look whether the source is mounted and may be read; to remove all, remove the target itself",
    )

"""Trees: listed and transferred at once; the first error stops all, or all errors are told at the end."""

import stat
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import Path

from ctadata_providers.backends import Backend, FileInfo
from ctadata_providers.errors import AlreadyExistsError, CtaError, NotADirError, NotFoundError, StorageError
from ctadata_providers.patterns import EVERYTHING, Selection
from ctadata_providers.session.tasks import asked, wait
from ctadata_providers.transfer.brief import begin_download, begin_upload
from ctadata_providers.transfer.context import Context, CopyResult, OnError, Progress, TransferResult, TreeResult
from ctadata_providers.transfer.failures import Failures
from ctadata_providers.transfer.folders import make_dirs, stat_or_none
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.parallel import Begin, Job, Pump
from ctadata_providers.transfer.trees.places import LocalRoot, made_folder
from ctadata_providers.transfer.trees.walking import local_entries, walk
from ctadata_providers.uri import segment_fault, split

LOOK_AHEAD = 32
"""Entries that wait for their turn, as a multiple of those that run: the folders among them are made meanwhile."""


@dataclass(frozen=True, slots=True)
class Step:
    """A file or folder of a tree, told from others by its remote path.

    Attributes:
        path: The remote path.
        number: Its place in the order of the tree, 0 for the top.
    """

    path: str
    number: int = field(default=0, compare=False)


Done = TransferResult | CopyResult
Jobs = Generator[Job[Step, Done | None], None, None]


def download_tree(
    context: Context,
    path: str,
    local: Path,
    *,
    overwrite: bool = True,
    progress: Progress | None = None,
    selection: Selection = EVERYTHING,
    on_error: OnError = "stop",
) -> TreeResult:
    """Download what a selection takes below a remote folder into a local one, which is made.

    Args:
        context: What the transfers of a client share.
        path: The remote folder.
        local: The local one.
        overwrite: Whether local files may be replaced.
        progress: Told of the bytes that pass.
        selection: What is taken.
        on_error: `stop` raises the first error; `continue` tells all in the result.

    Raises:
        NotADirError: When the remote path is a file, or the local one.
        StorageError: When a name would leave the local folder, or a symbolic link there leads to another file's place.
        CtaError: With `stop` the first error, by the order of the tree among those that there were when it stopped;
            else only what no other file would survive. What is whole stays.
    """
    failures = Failures(on_error)

    def unlisted(folder: str, error: CtaError) -> None:
        if folder == path and isinstance(error, NotFoundError | NotADirError):
            raise error
        failures.take(folder, error)

    def jobs() -> Jobs:
        with closing(walk(context.backend, path, selection=selection, on_error=unlisted)) as entries:
            first = next(entries, None)  # a missing folder must not leave an empty one here
            root = LocalRoot(made_folder(local), path, holds=partial(_is_there, context.backend))
            found = chain([first] if first else [], entries)
            for number, (info, target) in enumerate(_placed(found, root, failures), start=1):
                begin = partial(begin_download, context, info, target, overwrite=overwrite, progress=progress)
                yield Job(Step(info.path, number), begin)

    return run_jobs(jobs(), context.max_parallel, failures)


def _is_there(backend: Backend, path: str) -> bool:
    can_be = not any(map(segment_fault, filter(None, path.split("/"))))
    return can_be and stat_or_none(backend, path) is not None


def _placed(entries: Iterable[FileInfo], root: LocalRoot, failures: Failures) -> Iterator[tuple[FileInfo, Path]]:
    """Make the folders of a tree, and give its files with where they go; nothing below a folder that cannot be made."""
    refused: set[str] = set()
    for info in entries:
        target = None
        if not refused or split(info.path)[0] not in refused:
            try:
                place = root.place_of(info.path)
                target = made_folder(place) if info.is_dir else place
            except CtaError as error:
                failures.take(info.path, error)
        if info.is_dir and target is None:
            refused.add(info.path)
        elif target is not None and not info.is_dir:
            yield info, target


def upload_tree(
    context: Context,
    local: Path,
    path: str,
    *,
    overwrite: bool = True,
    progress: Progress | None = None,
    selection: Selection = EVERYTHING,
    on_error: OnError = "stop",
) -> TreeResult:
    """Upload what a selection takes below a local folder into a remote one, which is made; symbolic links are followed.

    Folders are made in parallel, too: a file waits only for its own.

    Args:
        context: What the transfers of a client share.
        local: The local folder.
        path: The remote one.
        overwrite: Whether remote files may be replaced.
        progress: Told of the bytes that pass.
        selection: What is taken; other folders are made only for what is taken in them.
        on_error: `stop` raises the first error; `continue` tells all in the result.

    Raises:
        NotFoundError: When there is no such local folder.
        NotADirError: When it is a file, or the remote one is.
        StorageError: When a local entry is neither file nor folder, has a name that is not allowed, or is a link that
            leads in a circle.
        CtaError: With `stop` the first error, by the order of the tree among those that there were when it stopped;
            else only what no other file would survive. What is whole stays.
    """
    _require_local_folder(local)
    failures = Failures(on_error)
    top = path.rstrip("/")

    def unreadable(relative: str, error: CtaError) -> None:
        if not relative:
            raise error
        failures.take(f"{top}/{relative}", error)

    def jobs() -> Jobs:
        yield Job(Step(path), made_with_parents(context.backend, path), urgent=True)
        entries = local_entries(local, selection=selection, on_error=unreadable)
        for number, entry in enumerate(entries, start=1):
            step = Step(f"{top}/{entry.relative}", number)
            folder, name = split(step.path)
            fault = segment_fault(name)
            task: Begin[Done | None]
            if fault:
                task = _refused(local / entry.relative, fault)
            elif entry.is_dir:
                task = made(context.backend, step.path)
            else:
                place = local / entry.relative
                task = partial(begin_upload, context, place, step.path, overwrite=overwrite, progress=progress)
            yield Job(step, task, after=Step(folder), urgent=entry.is_dir)

    return run_jobs(jobs(), context.max_parallel, failures)


def _require_local_folder(local: Path) -> None:
    try:
        is_dir = stat.S_ISDIR(local.stat().st_mode)
    except FileNotFoundError as error:
        raise NotFoundError(f"cannot upload {local}: it does not exist", path=local, remedy="check the path") from error
    except OSError as error:
        raise explained(error, local, "read") from error
    if not is_dir:
        raise NotADirError(f"cannot upload {local} as a tree: it is a file", path=local, remedy="upload it as a file")


def remove_tree(context: Context, path: str) -> None:
    """Remove a folder and all that it holds, one by one, deepest first; what goes meanwhile is gone.

    Raises:
        CtaError: The first error; what was removed is gone.
    """
    folders = [path]
    with closing(walk(context.backend, path, hidden=True)) as entries:
        for info in entries:
            if info.is_dir:
                folders.append(info.path)
            else:
                with suppress(NotFoundError):
                    context.backend.remove(info.path, is_file=True)
    for folder in reversed(folders):
        with suppress(NotFoundError):
            context.backend.remove(folder)


async def made_with_parents(backend: Backend, path: str) -> None:
    """Make a remote folder and those above it."""
    await wait(asked(partial(make_dirs, backend, path)))


async def made(backend: Backend, path: str) -> None:
    """Make a remote folder in one that exists; one that is there already is right.

    Raises:
        NotADirError: When a file is there.
    """

    def make() -> None:
        try:
            backend.make_dir(path)
        except AlreadyExistsError as error:
            if not backend.stat(path).is_dir:
                raise NotADirError(f"{path} is a file, so no folder can be made there", path=path) from error

    await wait(asked(make))


async def _refused(local: Path, fault: str) -> None:
    raise StorageError(f"cannot upload {str(local)!r}: {fault}", path=local, remedy="rename it, or exclude it")


def run_jobs(jobs: Jobs, limit: int, failures: Failures) -> TreeResult:
    """Run transfers, at most some at once, and sum them up."""
    started = time.monotonic()
    files = size = retries = resumed = 0
    pump: Pump[Step, Done | None] = Pump(limit, look_ahead=LOOK_AHEAD)
    ends: list[tuple[int, CtaError]] = []  # what stops all, by its place in the tree
    try:
        with closing(pump.outcomes(jobs)) as outcomes:
            for step, future in outcomes:
                if future.cancelled():
                    continue  # its folder could not be made, which is told once
                error = future.error
                if isinstance(error, CtaError):
                    if failures.stop(error) or step.number == 0:
                        ends.append((step.number, error))
                        break
                    failures.take(step.path, error)
                    continue
                result = future.result()
                if result is not None:
                    files, size, retries = files + 1, size + result.size, retries + result.retries
                    resumed += result.resumed
    except CtaError as error:
        ends.append((sys.maxsize, error))  # of a listing, which comes after all that it has given
    if not ends:
        return TreeResult(files, size, time.monotonic() - started, retries, failures.by_path(), resumed)
    for step, future in pump.left:
        other = None if future.cancelled() else future.exception()
        if isinstance(other, CtaError) and failures.stop(other):
            ends.append((step.number, other))
    raise min(ends, key=itemgetter(0))[1]

"""Trees: listed and transferred at once, the first error stops all."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import AlreadyExistsError, NotADirError, NotFoundError, StorageError
from ctadata_providers.session.tasks import Task
from ctadata_providers.transfer.context import Context, Progress, TransferResult, TreeResult
from ctadata_providers.transfer.download import download
from ctadata_providers.transfer.folders import make_dirs, walk
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.names import is_part
from ctadata_providers.transfer.parallel import as_ended
from ctadata_providers.transfer.upload import upload
from ctadata_providers.uri import segment_fault, split


def download_tree(
    context: Context, path: str, local: Path, *, overwrite: bool = True, progress: Progress | None = None
) -> TreeResult:
    """Download everything below a remote folder into a local one, which is made.

    Raises:
        NotADirError: When the remote path is a file, or the local one.
        StorageError: When a name would leave the local folder.
        CtaError: The first error of a transfer; those that still run are stopped, what is whole stays.
    """

    def tasks() -> Iterator[Task[TransferResult]]:
        entries = walk(context.backend, path)
        first = next(entries, None)  # a missing folder must not leave an empty one here
        root = _Root(_made(local), path)
        for info in [first] if first else []:
            yield from _task(info, root)
        for info in entries:
            yield from _task(info, root)

    def _task(info: FileInfo, root: "_Root") -> Iterator[Task[TransferResult]]:
        target = root.place_of(info.path)
        if info.is_dir:
            _made(target)
        else:
            yield download(context, info, target, overwrite=overwrite, progress=progress)

    return _run(tasks(), context.max_parallel)


def upload_tree(
    context: Context, local: Path, path: str, *, overwrite: bool = True, progress: Progress | None = None
) -> TreeResult:
    """Upload everything below a local folder into a remote one, which is made; symbolic links are followed.

    Raises:
        NotFoundError: When there is no such local folder.
        NotADirError: When it is a file, or the remote one is.
        StorageError: When a local entry is neither file nor folder, or a link leads in a circle.
        CtaError: The first error of a transfer; those that still run are stopped, what is whole stays.
    """
    if not local.exists():
        raise NotFoundError(f"cannot upload {local}: it does not exist", path=local, remedy="check the path")
    if not local.is_dir():
        raise NotADirError(f"cannot upload {local} as a tree: it is a file", path=local, remedy="upload it as a file")

    def tasks() -> Iterator[Task[TransferResult]]:
        make_dirs(context.backend, path)
        for relative, is_dir in _local_entries(local):
            remote = f"{path.rstrip('/')}/{relative}"
            if is_dir:
                with suppress(AlreadyExistsError):
                    context.backend.make_dir(remote)
            else:
                yield upload(context, local / relative, remote, overwrite=overwrite, progress=progress)

    return _run(tasks(), context.max_parallel)


def remove_tree(context: Context, path: str) -> None:
    """Remove a folder and all that it holds, one by one, deepest first.

    Raises:
        CtaError: The first error; what was removed is gone.
    """
    folders = [path]
    for info in walk(context.backend, path, hidden=True):
        if info.is_dir:
            folders.append(info.path)
        else:
            context.backend.remove(info.path, is_file=True)
    for folder in reversed(folders):
        context.backend.remove(folder)


def _run(tasks: Iterator[Task[TransferResult]], limit: int) -> TreeResult:
    """Run transfers, at most some at once; the first error stops the others and is raised."""
    started = time.monotonic()
    files = size = retries = 0
    with closing(as_ended(((None, task) for task in tasks), limit)) as outcomes:
        for _, future in outcomes:
            result = future.result()
            files, size, retries = files + 1, size + result.size, retries + result.retries
    return TreeResult(files, size, time.monotonic() - started, retries)


class _Root:
    """The local folder that takes a remote one; nothing is written outside it."""

    def __init__(self, local: Path, top: str) -> None:
        self._local = local
        self._real = os.path.realpath(local)
        self._top = top.rstrip("/") + "/"
        self._checked: tuple[str, Path] | None = None

    def place_of(self, path: str) -> Path:
        """Return the local place of a remote path.

        Raises:
            StorageError: When it would lie outside, by its name or through a symbolic link.
        """
        folder, name = split(path)
        if self._checked is None or self._checked[0] != folder:
            self._checked = folder, self._inside(folder)
        fault = segment_fault(name)
        if fault:
            raise StorageError(f"{path!r} is not written: {fault}", path=path)
        target = self._checked[1] / name
        try:
            if target.is_symlink():
                self._refuse_outside(path, target)
        except OSError as error:
            raise explained(error, target, "write") from error
        return target

    def _inside(self, folder: str) -> Path:
        segments = (folder.rstrip("/") + "/").removeprefix(self._top).split("/")
        local = self._local.joinpath(*segments)
        self._refuse_outside(folder, local)
        return local

    def _refuse_outside(self, path: str, local: Path) -> None:
        if os.path.commonpath([self._real, os.path.realpath(local)]) != self._real:
            raise StorageError(
                f"{path} would be written outside {self._local}",
                path=path,
                remedy=f"remove the symbolic link at {local} that leads there",
            )


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirError(f"cannot make folder {folder}: it is a file", path=folder, remedy="remove it") from error
    except OSError as error:
        raise explained(error, folder, "make folder") from error
    return folder


def _local_entries(
    root: Path, relative: str = "", seen: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[str, bool]]:
    """Give the entries below a local folder in the order of their names, a folder before what is in it."""
    folder = root / relative
    try:
        own = folder.stat()
        names = sorted(os.listdir(folder))  # noqa: PTH208 (names are wanted)
    except OSError as error:
        raise explained(error, folder, "read") from error
    if (own.st_dev, own.st_ino) in seen:
        raise StorageError(f"{folder} leads in a circle", path=folder, remedy="remove the symbolic link")
    for name in names:
        inner = f"{relative}/{name}" if relative else name
        place = root / inner
        if place.is_dir():
            yield inner, True
            yield from _local_entries(root, inner, seen | {(own.st_dev, own.st_ino)})
        elif place.is_file() and not is_part(name):
            yield inner, False
        elif not is_part(name):
            raise StorageError(
                f"cannot upload {place}: it is neither a file nor a folder", path=place, remedy="remove or repair it"
            )

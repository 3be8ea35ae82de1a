"""Transfers that are begun and not waited for: futures for programs that do several things at once, and for asyncio."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ctadata_providers import transfer, uri
from ctadata_providers.backends import FileInfo
from ctadata_providers.connection import Connection
from ctadata_providers.errors import ConfigError, IsADirError
from ctadata_providers.mirroring import local_path
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import Task, spawn, wait
from ctadata_providers.transfer import CopyResult, Progress, Route, TransferResult, asked

T = TypeVar("T")


class Beginning(Connection):
    """A storage to and from which files are on their way.

    Each method returns at once. What it returns can be awaited in asyncio, has `result()` and `add_done_callback`, and
    ends with the errors of the method that waits. Its `cancel()` stops the transfer, which cleans up and leaves nothing
    partial. No thread waits for it.
    """

    def begin_download(
        self,
        remote: str,
        local: Path | str,
        *,
        overwrite: bool = True,
        info: FileInfo | None = None,
        progress: Progress | None = None,
    ) -> Future[TransferResult]:
        """Begin what `download` does; the arguments are the same."""

        async def work() -> TransferResult:
            target = _file(str(local))
            path, told = await wait(asked(lambda: self._source(remote, info)))
            _must_tell(told, path, remote)
            return await transfer.download(self._transfers, told, target, overwrite=overwrite, progress=progress)

        return _begun(work)

    def begin_upload(
        self, local: Path | str, remote: str, *, overwrite: bool = True, progress: Progress | None = None
    ) -> Future[TransferResult]:
        """Begin what `upload` does; the arguments are the same."""

        async def work() -> TransferResult:
            path, context = await wait(asked(lambda: (self._path(remote), self._transfers)))
            _must_name_a_file(remote, path)
            return await transfer.upload(context, local_path(local), path, overwrite=overwrite, progress=progress)

        return _begun(work)

    def begin_copy(
        self,
        source: str,
        target: str,
        *,
        to: Connection | None = None,
        overwrite: bool = True,
        info: FileInfo | None = None,
        progress: Progress | None = None,
    ) -> Future[CopyResult]:
        """Begin what `copy` does; the arguments are the same."""

        async def work() -> CopyResult:
            def prepare() -> tuple[Route, FileInfo, str]:
                from_, path = self._side(source)
                into, there = (self if to is None else to)._side(target)
                _must_name_a_file(target, there)
                _must_name_a_file(source, path)
                told = from_._backend.stat(path) if info is None else info
                _must_tell(told, path, source)
                return Route(from_._transfers, into._transfers), told, there

            route, told, there = await wait(asked(prepare))
            return await transfer.copy(route, told, there, overwrite=overwrite, progress=progress)

        return _begun(work)

    def _source(self, remote: str, info: FileInfo | None) -> tuple[str, FileInfo]:
        path = self._path(remote)
        _must_name_a_file(remote, path)
        return path, self._backend.stat(path) if info is None else info


def _begun(work: Callable[[], Task[T]]) -> Future[T]:
    return spawn(work())


def _file(text: str) -> Path:
    if text.endswith("/"):
        raise IsADirError(f"cannot write {text}: it names a folder", path=text, remedy="give the name of a file in it")
    return local_path(text)


def _must_name_a_file(address: str, path: str) -> None:
    if uri.parse(address).is_folder:
        raise IsADirError(f"{address} names a folder", path=path, remedy="give the name of a file in it")


def _must_tell(info: FileInfo, path: str, address: str) -> None:
    if info.path != path:
        raise ConfigError(f"info tells of {info.path}, not of {address}", path=address)

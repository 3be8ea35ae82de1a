"""What the client copies from one remote place to another, of the same storage or of two."""

from collections.abc import Generator, Iterable

from ctadata_providers import transfer, uri
from ctadata_providers.backends import FileInfo
from ctadata_providers.client.connection import Connection
from ctadata_providers.errors import ConfigError, IsADirError
from ctadata_providers.patterns import Selection
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import run
from ctadata_providers.transfer import CopyResult, OnError, Progress, Route, TreeResult


class Copying(Connection):
    """A storage whose files can be copied to other places there, and to and from other storages.

    The servers copy by themselves where they can: inside one server; or from server to server over https, when each
    is named in the other's setting `copy_hosts`, for the one that acts is given the token for the other. Else the bytes
    pass through this machine.
    """

    def copy(
        self,
        source: str,
        target: str,
        *,
        to: Connection | None = None,
        overwrite: bool = True,
        info: FileInfo | None = None,
        progress: Progress | None = None,
        through_here: bool = True,
    ) -> CopyResult:
        """Copy one file; missing folders are made; the target is whole, or as it was before.

        Where the target's server cannot rename, it is written under its name, verified, and removed again on failure.

        Args:
            source: The file; an address may name another profile (`cta://name@…`).
            target: The target file, likewise.
            to: The client of the target's storage; without it that is this one, or the one that `target` names.
            overwrite: Whether an existing file may be replaced.
            info: What a listing told of the source; saves a request.
            progress: Called with the bytes that have been transferred, in another thread; negative when it begins
                again. Servers that copy by themselves tell every few seconds, or only at the end.
            through_here: Whether the bytes may pass through this machine, and its disk, where the servers do not copy
                by themselves.

        Raises:
            NotFoundError: When there is no such file.
            IsADirError: When either is a folder.
            AlreadyExistsError: When the target exists and may not be overwritten.
            PermissionDeniedError: When a credential does not allow it.
            IntegrityError: When what is stored is not what was copied.
            QuotaError: When the storage is full, or the disk through which it passes.
            UnsupportedError: When the servers do not copy it, and it may not pass through here.
        """
        route, info, there = route_of(self, source, self if to is None else to, target, info)
        return run(transfer.copy(route, info, there, overwrite=overwrite, progress=progress, through_here=through_here))

    def copy_many(
        self,
        files: Iterable[tuple[FileInfo, str]],
        *,
        to: Connection | None = None,
        overwrite: bool = True,
        progress: Progress | None = None,
    ) -> Generator[tuple[tuple[FileInfo, str], Future[CopyResult]], None, None]:
        """Copy files of this storage to targets, several at once, and give each pair with its outcome as it ends.

        The error of a file is in its future; the others go on. Closing the generator stops those that still run.
        """
        other = self if to is None else to
        route = Route(self._transfers, other._transfers)

        async def copied(info: FileInfo, target: str) -> CopyResult:
            path = other._file(target, "copy to")
            return await transfer.copy(route, info, path, overwrite=overwrite, progress=progress)

        return transfer.as_ended(((pair, copied(*pair)) for pair in files), route.target.max_parallel)

    def copy_tree(
        self,
        source: str,
        target: str,
        *,
        to: Connection | None = None,
        overwrite: bool = True,
        progress: Progress | None = None,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        on_error: OnError = "stop",
    ) -> TreeResult:
        """Copy everything below a folder into another one, which is made; several files and folders at once.

        Args:
            source: The folder; an address may name another profile (`cta://name@…`).
            target: The target folder, likewise.
            to: As for `copy`.
            overwrite: Whether files there may be replaced.
            progress: As for `copy`, over all files.
            include: As for `walk`.
            exclude: As for `walk`.
            on_error: As for `download_tree`.

        Raises:
            NotFoundError: When there is no such folder.
            NotADirError: When either is a file.
            StorageError: When the target is the folder itself or inside it.
        """
        from_, path = self._side(source)
        into, there = (self if to is None else to)._side(target)
        return transfer.copy_tree(
            Route(from_._transfers, into._transfers),
            path,
            there,
            overwrite=overwrite,
            progress=progress,
            selection=Selection.of(include, exclude),
            on_error=on_error,
        )


def route_of(
    from_: Connection, source: str, to: Connection, target: str, info: FileInfo | None
) -> tuple[Route, FileInfo, str]:
    """Return what a copy needs: from where to where, what is known of the source, and the path of the target.

    Raises:
        ConfigError: When an address cannot be used, or `info` tells of another file.
        IsADirError: When one of them names a folder.
    """
    (here, path), (into, there) = from_._side(source), to._side(target)
    if uri.parse(target).is_folder:
        raise IsADirError(
            f"cannot copy to {target}: it names a folder", path=there, remedy="give the name of a file in it"
        )
    if uri.parse(source).is_folder:
        raise IsADirError(f"cannot copy {source}: it names a folder", path=path, remedy="copy it as a tree (cp -r)")
    told = here._backend.stat(path) if info is None else info
    if told.path != path:
        raise ConfigError(f"info tells of {told.path}, not of {source}", path=source)
    return Route(here._transfers, into._transfers), told, there

"""The front: what a user, a workflow engine or a notebook calls."""

from collections.abc import Callable, Generator, Iterable
from functools import partial
from pathlib import Path

from ctadata_providers import transfer, uri
from ctadata_providers.backends import ChecksumBackend, FileInfo, HomeBackend
from ctadata_providers.checksum import canonical_algorithm
from ctadata_providers.client.beginning import Beginning
from ctadata_providers.client.checkup import Checking
from ctadata_providers.client.contents import Contents
from ctadata_providers.client.copies import Copying
from ctadata_providers.client.looking import Looking
from ctadata_providers.client.mirroring import Mirroring
from ctadata_providers.errors import (
    AlreadyExistsError,
    ConfigError,
    CtaError,
    IsADirError,
    PermissionDeniedError,
    UnsupportedError,
)
from ctadata_providers.local_places import local_file, local_path
from ctadata_providers.patterns import Selection
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import run
from ctadata_providers.transfer import (
    CopyResult,
    Failure,
    OnError,
    Progress,
    TransferEvent,
    TransferResult,
    TreeResult,
)

__all__ = ["CopyResult", "CtaClient", "Failure", "FileInfo", "TransferEvent", "TransferResult", "TreeResult"]


class CtaClient(Mirroring, Copying, Looking, Checking, Beginning, Contents):
    """A CTA storage: listings, transfers, and what else one does with files.

    A path is a plain one (`lst/DL3`, `/lst/DL3`) or an address (`cta://lst/DL3`); what cannot be one is a
    `ConfigError`, raised before anything is sent. Construction does no I/O. A client can be used by many threads.

    Args:
        config: The settings; without it they are resolved by `Config.from_env(**settings)` at the first request.
        **settings: Settings by name, over those of `config`.

    Every method raises the errors of `ctadata_providers.errors` by meaning.
    """

    def download(
        self,
        remote: str,
        local: Path | str,
        *,
        overwrite: bool = True,
        info: FileInfo | None = None,
        progress: Progress | None = None,
    ) -> TransferResult:
        """Download one file; the local target is whole, or as it was before.

        Args:
            remote: The file.
            local: The target file; missing folders are made.
            overwrite: Whether an existing file may be replaced.
            info: What a listing told of the file; saves a request.
            progress: Called with the bytes that have just passed, in another thread; negative when a retry begins.

        Raises:
            NotFoundError: When there is no such file.
            IsADirError: When either is a folder.
            IntegrityError: When size or checksum are not what the server said.
            QuotaError: When the local disk is full.
        """
        target = local_file(local)
        info = self.stat(remote) if info is None or uri.parse(remote).is_folder else info
        if info.path != self._path(remote):
            raise ConfigError(f"info tells of {info.path}, not of {remote}", path=remote)
        return run(transfer.download(self._transfers, info, target, overwrite=overwrite, progress=progress))

    def upload(
        self, local: Path | str, remote: str, *, overwrite: bool = True, progress: Progress | None = None
    ) -> TransferResult:
        """Upload one file; missing folders are made; the target is whole, or as it was before.

        Where the server cannot rename, it is written under its name, verified, and removed again on failure.

        Args:
            local: The file; a pipe is spooled to disk first.
            remote: The target file.
            overwrite: Whether an existing file may be replaced.
            progress: Called with the bytes that have just passed, in another thread; negative when a retry begins.

        Raises:
            NotFoundError: When there is no such local file.
            IsADirError: When either is a folder.
            AlreadyExistsError: When the target exists and may not be overwritten.
            IntegrityError: When what is stored is not what was sent.
            QuotaError: When the storage is full.
        """
        path = self._file(remote, "upload to")
        return run(transfer.upload(self._transfers, local_path(local), path, overwrite=overwrite, progress=progress))

    @property
    def owner(self) -> str:
        """What tells the parts that downloads of this process leave from those of all others, on all machines."""
        return transfer.this_owner()

    def take_over(self, owner: str) -> None:
        """Say that the process with that `owner` has ended, on whichever machine, so that its parts may be adopted.

        Of a process of this machine that is seen without it. Of another machine, only bytes count that were made safe
        there, or that a checksum will tell.

        Raises:
            ConfigError: When it is no owner.
        """
        transfer.declare_ended(owner)

    def download_many(
        self,
        files: Iterable[tuple[FileInfo, Path]],
        *,
        overwrite: bool = True,
        progress: Progress | None = None,
        progress_of: Callable[[FileInfo, Path], Progress] | None = None,
    ) -> Generator[tuple[tuple[FileInfo, Path], Future[TransferResult]], None, None]:
        """Download files to local targets, several at once, and give each pair with its outcome as it ends.

        The error of a file is in its future; the others go on. Closing the generator stops those that still run.

        Args:
            files: What a listing told of each, and where it goes.
            overwrite: Whether local files may be replaced.
            progress: As for `download`, over all files.
            progress_of: Gives that of each file, when its turn comes, instead.
        """
        context = self._transfers
        begin = partial(transfer.begin_download, context, overwrite=overwrite)
        begins = (
            (pair, partial(begin, *pair, progress=progress_of(*pair) if progress_of else progress)) for pair in files
        )
        return transfer.as_ended(begins, context.max_parallel)

    def upload_many(
        self,
        files: Iterable[tuple[Path, str]],
        *,
        overwrite: bool = True,
        progress: Progress | None = None,
        progress_of: Callable[[Path, str], Progress] | None = None,
    ) -> Generator[tuple[tuple[Path, str], Future[TransferResult]], None, None]:
        """Upload local files to remote targets, several at once, and give each pair with its outcome as it ends.

        The error of a file is in its future; the others go on. Closing the generator stops those that still run.

        Args:
            files: Each file, and where it goes.
            overwrite: Whether remote files may be replaced.
            progress: As for `upload`, over all files.
            progress_of: Gives that of each file, when its turn comes, instead.
        """
        context = self._transfers

        def begin(local: Path, remote: str) -> transfer.Begin[TransferResult]:
            try:
                path = self._file(remote, "upload to")
            except CtaError as error:
                return transfer.failed(error)
            told = progress_of(local, remote) if progress_of else progress
            return partial(transfer.begin_upload, context, local, path, overwrite=overwrite, progress=told)

        return transfer.as_ended(((pair, begin(*pair)) for pair in files), context.max_parallel)

    def download_tree(
        self,
        remote: str,
        local: Path | str,
        *,
        overwrite: bool = True,
        progress: Progress | None = None,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        on_error: OnError = "stop",
    ) -> TreeResult:
        """Download everything below a folder into a local folder, which is made; several files at once.

        Args:
            remote: The folder.
            local: The local folder.
            overwrite: Whether local files may be replaced.
            progress: As for `download`, over all files.
            include: As for `walk`.
            exclude: As for `walk`.
            on_error: `stop`: the first error, in the order of the tree, ends it and is raised; what is whole stays.
                `continue`: the others go on, and `failures` of the result tells all, by path; only what no other file
                would survive is raised (a wrong setting, a refused credential, no space left).

        Raises:
            NotADirError: When either is a file.
            StorageError: When a name would leave the local folder.
        """
        return transfer.download_tree(
            self._transfers,
            self._path(remote),
            local_path(local),
            overwrite=overwrite,
            progress=progress,
            selection=Selection.of(include, exclude),
            on_error=on_error,
        )

    def upload_tree(
        self,
        local: Path | str,
        remote: str,
        *,
        overwrite: bool = True,
        progress: Progress | None = None,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        on_error: OnError = "stop",
    ) -> TreeResult:
        """Upload everything below a local folder into a folder, which is made; several files and folders at once.

        Args:
            local: The local folder; symbolic links are followed.
            remote: The folder.
            overwrite: Whether remote files may be replaced.
            progress: As for `upload`, over all files.
            include: As for `walk`; with it only folders are made in which something is taken.
            exclude: As for `walk`.
            on_error: As for `download_tree`.

        Raises:
            NotFoundError: When there is no such local folder.
            NotADirError: When either is a file.
        """
        return transfer.upload_tree(
            self._transfers,
            local_path(local),
            self._path(remote),
            overwrite=overwrite,
            progress=progress,
            selection=Selection.of(include, exclude),
            on_error=on_error,
        )

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Remove a file or an empty folder; with `recursive` also all that a folder holds, deepest first.

        Raises:
            NotFoundError: When it does not exist.
            StorageError: When it is a folder that is not empty.
            PermissionDeniedError: For the root, and recursively for a folder at depth one, such as `/lst`.
        """
        checked = self._path(path)
        if checked == "/" or (recursive and checked.count("/") < 2 and self.stat(path).is_dir):
            raise _guarded(checked)
        if uri.parse(path).is_folder:
            self.stat(path)  # a file is not removed as a folder
        if recursive and self.stat(path).is_dir:
            transfer.remove_tree(self._transfers, checked)
        else:
            self._backend.remove(checked)

    def move(self, source: str, target: str, *, overwrite: bool = False) -> None:
        """Rename a file or folder within the storage.

        Raises:
            NotFoundError: When the source, or the target's folder, does not exist.
            AlreadyExistsError: When the target exists and may not be overwritten.
            IsADirError: When the target is a folder: a folder is never overwritten.
            UnsupportedError: When the server cannot rename to that name.
        """
        old, new = self._path(source), self._path(target)
        info = self.stat(source)
        if uri.parse(target).is_folder and not info.is_dir:
            raise IsADirError(f"cannot move {old} to {target}: it names a folder", path=new, remedy="give the new name")
        transfer.move(self._backend, info, new, overwrite=overwrite)

    def make_dir(self, path: str, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Make a folder.

        Args:
            path: The folder.
            parents: Also make missing parents; implies `exist_ok`.
            exist_ok: Whether it may exist already.

        Raises:
            AlreadyExistsError: When it exists.
            NotFoundError: When the parent is missing.
        """
        checked = self._path(path)
        if parents:
            return transfer.make_dirs(self._backend, checked)
        existing = transfer.stat_or_none(self._backend, checked)  # XRootD makes what exists, and missing parents
        if existing is not None:
            if exist_ok and existing.is_dir:
                return None
            remedy = "allow that (mkdir -p, exist_ok)" if existing.is_dir else "it is a file: take another name"
            raise AlreadyExistsError(f"cannot make folder {checked}: it exists", path=checked, remedy=remedy)
        transfer.require_folder(self._backend, uri.split(checked)[0], f"cannot make folder {checked}")
        try:
            return self._backend.make_dir(checked)
        except AlreadyExistsError:  # another process was faster
            if exist_ok and self._backend.stat(checked).is_dir:
                return None
            raise

    def checksum(self, path: str, algorithm: str = "adler32", *, compute: bool = True) -> str:
        """Return a checksum, hexadecimal: from the listing, else from the server, else computed by reading the file.

        Args:
            path: The file.
            algorithm: `adler32`, `md5`, `sha`, `sha-256` or `sha-512`.
            compute: Whether the file may be read for it.

        Raises:
            UnsupportedError: For another algorithm, or when the file would have to be read and may not.
            IsADirError: When it is a folder.
            StorageError: When the file would have to be read, and is on tape or not available.
        """
        wanted = canonical_algorithm(algorithm)
        info = self.stat(path)
        if info.is_dir:
            raise IsADirError(
                f"{info.path} is a folder: it has no checksum", path=info.path, remedy="name a file in it"
            )
        if wanted in info.checksums:
            return info.checksums[wanted]
        if isinstance(self._backend, ChecksumBackend):
            offered = self._backend.checksum(info.path, wanted)
            if wanted in offered:
                return offered[wanted]
        if not compute:
            raise UnsupportedError(f"the server does not tell the {wanted} of {info.path}", path=info.path)
        transfer.refuse_unreadable(info, "read")
        return run(transfer.read_checksum(self._transfers, info.path, wanted))

    def home(self) -> str:
        """Return the path of the user's own folder: the setting `home`, or with the services what their hub tells.

        Raises:
            ConfigError: When the setting `home` is not given, and it is a door.
            CredentialError: When the hub refuses the hub token, or there is none.
        """
        if self.config.home is not None:
            return self.config.home
        if isinstance(self._backend, HomeBackend):
            return self._backend.home()
        raise ConfigError("your own folder is not known", remedy="set home (CTA_HOME), e.g. /lst/users/alice")


def _guarded(path: str) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"{path} is not removed with all that it holds: it is the root or right below it",
        path=path,
        remedy="remove what is in it, folder by folder",
    )

"""The front: what a user, a workflow engine or a notebook calls."""

import os
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ctadata_providers import transfer, uri
from ctadata_providers.backends import Backend, ChecksumBackend, FileInfo, RenameBackend, open_backend
from ctadata_providers.checksum import canonical_algorithm
from ctadata_providers.config import Config
from ctadata_providers.errors import (
    AlreadyExistsError,
    ConfigError,
    IsADirError,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    UnsupportedError,
)
from ctadata_providers.globbing import expand
from ctadata_providers.session.tasks import run
from ctadata_providers.transfer import Context, Progress, TransferResult, TreeResult

__all__ = ["CtaClient", "FileInfo", "TransferResult", "TreeResult"]


class CtaClient:
    """A CTA storage: listings, transfers, and what else one does with files.

    A path is a plain one (`lst/DL3`, `/lst/DL3`) or an address (`cta://lst/DL3`); what cannot be one is a
    `ConfigError`, raised before anything is sent. Construction does no I/O. A client can be used by many threads.

    Args:
        config: The settings; without it they are resolved by `Config.from_env(**settings)` at the first request.
        **settings: Settings by name, over those of `config`.

    Every method raises the errors of `ctadata_providers.errors` by meaning.
    """

    def __init__(self, config: Config | None = None, **settings: Any) -> None:
        self._given = config
        self._settings = settings
        self._lock = threading.Lock()
        self._context: Context | None = None
        self._config: Config | None = None

    @property
    def config(self) -> Config:
        """The settings, resolved at the first use."""
        if self._config is None:
            with self._lock:
                if self._config is None:
                    given, settings = self._given, self._settings
                    self._config = given.with_settings(**settings) if given else Config.from_env(**settings)
        return self._config

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        """Give the entries of a folder as they arrive, in the server's order, from one listing.

        Raises:
            NotFoundError: When it does not exist.
            NotADirError: When it is a file.
            TransientError: When the listing breaks off: what was given is not all.
        """
        folder = self._path(path)
        return (info for info in self._backend.list_dir(folder) if not transfer.is_part(info.name))

    def walk(self, path: str) -> Iterator[FileInfo]:
        """Give everything below a folder as listings arrive, a folder before what is in it.

        Raises:
            NotFoundError: When it does not exist.
            NotADirError: When it is a file.
        """
        return transfer.walk(self._backend, self._path(path))

    def glob(self, pattern: str) -> Iterator[FileInfo]:
        """Give what matches a pattern: `*`, `?` and `[..]` within a name, `**` for any number of folders.

        Names that begin with a dot match only a pattern that does. In a folder, matches come in the order of their
        names. A literal `*`, `?` or `[` is written `[*]`, `[?]`, `[[]`.

        Raises:
            NotFoundError: When a folder before the first magic element does not exist.
        """
        return expand(self._backend, self._path(pattern) + ("/" if uri.parse(pattern).is_folder else ""))

    def stat(self, path: str) -> FileInfo:
        """Tell about one file or folder.

        Raises:
            NotFoundError: When it does not exist.
            NotADirError: When the path ends in `/` and it is a file.
        """
        address = uri.parse(path)
        info = self._backend.stat(self._path(path))
        if address.is_folder and not info.is_dir:
            raise NotADirError(f"{info.path} is a file, not a folder", path=info.path, remedy="write it without '/'")
        return info

    def exists(self, path: str) -> bool:
        """Tell whether there is such a file or folder; every other answer than yes or no is an error."""
        try:
            self.stat(path)
        except (NotFoundError, NotADirError):
            return False
        return True

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
        target = _local_file(local)
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
        path = self._path(remote)
        if uri.parse(remote).is_folder:
            raise IsADirError(
                f"cannot upload to {remote}: it names a folder", path=path, remedy="give the name of a file in it"
            )
        return run(transfer.upload(self._transfers, _local(local), path, overwrite=overwrite, progress=progress))

    def download_many(
        self, files: Iterable[tuple[FileInfo, Path]], *, overwrite: bool = True, progress: Progress | None = None
    ) -> Generator[tuple[tuple[FileInfo, Path], Future[TransferResult]], None, None]:
        """Download files to local targets, several at once, and give each pair with its outcome as it ends.

        The error of a file is in its future; the others go on. Closing the generator stops those that still run.
        """
        context = self._transfers
        tasks = ((pair, transfer.download(context, *pair, overwrite=overwrite, progress=progress)) for pair in files)
        return transfer.as_ended(tasks, context.max_parallel)

    def upload_many(
        self, files: Iterable[tuple[Path, str]], *, overwrite: bool = True, progress: Progress | None = None
    ) -> Generator[tuple[tuple[Path, str], Future[TransferResult]], None, None]:
        """Upload local files to remote targets, several at once, and give each pair with its outcome as it ends.

        The error of a file is in its future; the others go on. Closing the generator stops those that still run.
        """
        context = self._transfers
        tasks = (
            (pair, transfer.upload(context, pair[0], self._path(pair[1]), overwrite=overwrite, progress=progress))
            for pair in files
        )
        return transfer.as_ended(tasks, context.max_parallel)

    def download_tree(
        self, remote: str, local: Path | str, *, overwrite: bool = True, progress: Progress | None = None
    ) -> TreeResult:
        """Download everything below a folder into a local folder, which is made; the first error stops it.

        Raises:
            NotADirError: When either is a file.
            StorageError: When a name would leave the local folder.
        """
        path = self._path(remote)
        return transfer.download_tree(self._transfers, path, _local(local), overwrite=overwrite, progress=progress)

    def upload_tree(
        self, local: Path | str, remote: str, *, overwrite: bool = True, progress: Progress | None = None
    ) -> TreeResult:
        """Upload everything below a local folder into a folder, which is made; the first error stops it.

        Raises:
            NotADirError: When either is a file.
        """
        path = self._path(remote)
        return transfer.upload_tree(self._transfers, _local(local), path, overwrite=overwrite, progress=progress)

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
        backend = self._backend
        info = self.stat(source)
        if uri.parse(target).is_folder and not info.is_dir:
            raise IsADirError(f"cannot move {old} to {target}: it names a folder", path=new, remedy="give the new name")
        if new == old or new.startswith(old + "/") or old == "/":
            raise StorageError(
                f"cannot move {old} to {new}: that is itself or inside it", path=old, remedy="name another target"
            )
        existing = transfer.stat_or_none(backend, new)
        if existing is not None and existing.is_dir:
            raise IsADirError(f"cannot move {old} to {new}: it is a folder", path=new, remedy="give the new name in it")
        if existing is not None and (not overwrite or info.is_dir):
            raise AlreadyExistsError(
                f"cannot move {old} to {new}: it exists", path=new, remedy="remove it first, or allow overwriting"
            )
        transfer.require_folder(self._backend, uri.split(new)[0], f"cannot move {old} to {new}")
        if not isinstance(backend, RenameBackend) or not backend.can_rename(new):
            raise UnsupportedError(
                f"the server cannot rename {old} to {new}", path=new, remedy="download, upload, and remove the old one"
            )
        backend.rename(old, new, overwrite=existing is not None, is_dir=info.is_dir)

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
            raise AlreadyExistsError(
                f"cannot make folder {checked}: it exists", path=checked, remedy="allow that (exist_ok)"
            )
        transfer.require_folder(self._backend, uri.split(checked)[0], f"cannot make folder {checked}")
        return self._backend.make_dir(checked)

    def checksum(self, path: str, algorithm: str = "adler32") -> str:
        """Return a checksum, hexadecimal: from the listing, else from the server, else computed by reading the file.

        Args:
            path: The file.
            algorithm: `adler32`, `md5`, `sha`, `sha-256` or `sha-512`.

        Raises:
            UnsupportedError: For another algorithm.
            IsADirError: When it is a folder.
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
        return transfer.compute_checksum(self._transfers, info.path, wanted)

    def home(self) -> str:
        """Return the path of the user's own folder.

        Raises:
            ConfigError: When the setting `home` is not given.
        """
        if self.config.home is None:
            raise ConfigError("your own folder is not known", remedy="set home (CTA_HOME), e.g. /lst/users/alice")
        return self.config.home

    def close(self) -> None:
        """Close idle connections; the client can still be used."""
        if self._context is not None:
            self._context.backend.close()
            self._context.cleaner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        # Connections and secrets stay here: the other process resolves its own.
        return {"given": self._given, "settings": {k: v for k, v in self._settings.items() if k not in _UNPICKLED}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        CtaClient.__init__(self, state["given"], **state["settings"])

    @property
    def _transfers(self) -> Context:
        if self._context is None:
            config = self.config
            with self._lock:
                if self._context is None:
                    self._context = Context.of(open_backend(config), config)
        return self._context

    @property
    def _backend(self) -> Backend:
        return self._transfers.backend

    def _path(self, text: str) -> str:
        """Return the path of an address that belongs to this client.

        Raises:
            ConfigError: When it is not usable, or names another profile.
        """
        address = uri.parse(text)
        if address.name is not None and address.name != self.config.profile:
            raise ConfigError(
                f"{text} names the profile '{address.name}', this client has '{self.config.profile}'",
                path=text,
                remedy=f"make a client with profile='{address.name}'",
            )
        return address.path


_UNPICKLED = frozenset({"token", "on_token"})


def _local_file(local: Path | str) -> Path:
    if str(local).endswith(os.sep):
        raise IsADirError(
            f"cannot write {local}: it names a folder", path=local, remedy="give the name of a file in it"
        )
    return _local(local)


def _local(local: Path | str) -> Path:
    if "\0" in str(local):
        raise ConfigError(f"not a usable local path: {str(local)!r}: a NUL is in it", remedy="name a file without it")
    return Path(local)


def _guarded(path: str) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"{path} is not removed with all that it holds: it is the root or right below it",
        path=path,
        remedy="remove what is in it, folder by folder",
    )

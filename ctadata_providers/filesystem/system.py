"""The file system that fsspec knows as `cta`: what changes files and folders, on top of what looks at them."""

from typing import Any

from ctadata_providers import uri
from ctadata_providers.errors import (
    AlreadyExistsError,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    UnsupportedError,
)
from ctadata_providers.filesystem.bulk import Bulk, above
from ctadata_providers.filesystem.entries import NotOfferedError
from ctadata_providers.filesystem.expansion import Found, is_folder
from ctadata_providers.filesystem.files import CompressedFile, CtaFile, TextFile
from ctadata_providers.filesystem.transactions import CtaTransaction


class CtaFileSystem(Bulk):
    """A CTA storage as a file system of fsspec, protocol `cta`.

    A path is an address (`cta://lst/DL3`) or a plain one (`/lst/DL3`, `lst/DL3`), taken literally: `#`, `%`, `?` and
    blanks belong to names. Paths that are given back are plain and absolute. Construction does no I/O: settings are
    resolved, and a token is looked for, at the first request. Many threads can use one; a forked process, and one that
    unpickles it, resolve their own: what is pickled holds no secret.

    Args:
        config: The settings; without it they are resolved by `Config.from_env(**settings)`. A mapping is taken as
            complete, as `Config.from_mapping` does.
        client: A client to use instead.
        use_listings_cache: Whether what was listed is believed later on; own writes are noted, those of others are not.
        listings_expiry_time: Seconds for which it is believed, None for ever.
        max_paths: Listings that are kept, None for all.
        block_size: What `open` takes for its own where it is not told; so `fsspec.open` and pandas can say it.
        cache_type: Likewise.
        cache_options: Likewise.
        **settings: Settings by name, as those of `Config`.

    Raises:
        ConfigError: For an unknown setting.
    """

    transaction_type = CtaTransaction

    def open(
        self,
        path: Any,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Open a file; what is written is stored when it is closed, and not at all when an exception comes before.

        Args:
            path: The file.
            mode: `r`, `w`, `x` (it must not exist) or `a` (what is stored is fetched, and stored anew), with `b` for
                bytes.
            block_size: Bytes that one look into the file brings.
            cache_options: Of the cache, for reading.
            compression: As fsspec names them; `infer` goes by the name.
            **kwargs: `cache_type` for reading; `encoding`, `errors`, `newline` for text.
        """
        checked = self._path(path) if "r" in mode else self._file_path(path)
        options = {"block_size": block_size, "cache_options": cache_options, **kwargs}
        if "r" in mode:
            return super().open(checked, mode, compression=compression, **options)
        text = {name: options.pop(name) for name in ("encoding", "errors", "newline") if name in options}
        file = raw = super().open(checked, mode.replace("t", "").replace("b", "") + "b", **options)
        if compression is not None:
            from fsspec.compression import compr
            from fsspec.core import get_compression

            name = get_compression(checked, compression)
            if name is not None:
                file = CompressedFile(compr[name](raw, mode="w"), raw)
        return file if "b" in mode else TextFile(file, **text)

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> CtaFile:
        given = {name: value for name, value in kwargs.items() if value is not None}
        return CtaFile(self, path, mode, **{**self._reading, **given})

    def touch(self, path: Any, truncate: bool = True, **kwargs: Any) -> None:
        """Store an empty file.

        Raises:
            NotOfferedError: When it exists and is not to be emptied: its time cannot be set.
        """
        if not truncate and self.exists(path):
            raise NotOfferedError(
                f"the time of {path} cannot be set", path=self._path(path), remedy="store the file again"
            )
        self.pipe_file(path, b"")

    def pipe_file(self, path: Any, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Store bytes under a name; with mode `create` it must be free."""
        checked = self._file_path(path)
        if self._intrans:
            with self.open(checked, "xb" if mode == "create" else "wb") as file:
                file.write(value)
        else:
            with self.changing(checked):
                self.client.write(checked, value, overwrite=mode != "create")

    # Folders, and what is removed or moved.

    def mkdir(self, path: Any, create_parents: bool = True, **kwargs: Any) -> None:
        """Make a folder.

        Raises:
            AlreadyExistsError: When it exists.
            NotFoundError: When its parent is missing, and may not be made.
        """
        checked = self._path(path)
        if create_parents:
            self.makedirs(checked)
        else:
            with self.changing(checked):
                self.client.make_dir(checked)

    def makedirs(self, path: Any, exist_ok: bool = False) -> None:
        """Make a folder and what is missing above it.

        Raises:
            AlreadyExistsError: When it exists, and may not, or is a file.
        """
        checked = self._path(path)
        existing = self._look(checked) if checked != "/" else {"type": "directory"}
        if existing is not None:
            if exist_ok and existing["type"] == "directory":
                return
            raise AlreadyExistsError(f"cannot make folder {checked}: it exists", path=checked)
        with self.changing(checked):
            self.client.make_dir(checked, parents=True)

    def rmdir(self, path: Any) -> None:
        """Remove an empty folder.

        Raises:
            NotADirError: When it is a file.
            StorageError: When it is not empty.
        """
        checked = self._path(path)
        if not self.client.stat(checked).is_dir:
            raise NotADirError(f"{checked} is a file, not a folder", path=checked, remedy="remove it as a file (rm)")
        with self.changing(checked):
            self.client.remove(checked)

    def rm_file(self, path: Any) -> None:
        """Remove one file or empty folder."""
        checked = self._path(path)
        with self.changing(checked):
            self.client.remove(checked)

    _rm = rm_file

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove files, empty folders and what matches patterns; with `recursive` also all that folders hold.

        Raises:
            PermissionDeniedError: For the root, and recursively for a folder at depth one, such as `/lst`.
        """
        if maxdepth is not None:
            if recursive:
                _guard(self._expanded(path, recursive=False, maxdepth=None))
            for each in reversed(self.expand_path(path, recursive=recursive, maxdepth=maxdepth)):
                self.rm_file(each)
            return
        found = self.expand_path(path)
        if recursive:  # what is below another goes with it
            found = [each for each in found if not {*above(each)} & {*found}]
        for each in found:
            with self.changing(each):
                self.client.remove(each, recursive=recursive)

    def cp_file(self, path1: Any, path2: Any, **kwargs: Any) -> None:
        """Copy one file; a folder is made."""
        target = self._path(path2)
        info = self.client.stat(self._path(path1))
        if info.is_dir:
            self.makedirs(target, exist_ok=True)
        else:
            with self.changing(target):
                self.client.copy(info.path, self._file_path(path2), info=info)

    def mv(self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:
        """Move a file or folder: by a rename where the server can, else by a copy that is verified.

        A file at the target is replaced, missing folders are made. When the target ends in `/`, or is a folder, it
        goes into that; patterns and lists are copied, and what was copied is then removed.
        """
        one = isinstance(path1, str) and isinstance(path2, str) and maxdepth is None
        if one and not (set(path1) & set("*?[") and not self.exists(path1)):
            source, target = self._path(path1), self._path(path2)
            if path2.endswith("/") or (source != target and self.isdir(target)):
                target = uri.join(target, uri.split(source)[1])
            if source == target:
                return
            with self.changing(source, target):
                try:
                    self._move(source, target)
                except NotFoundError:
                    folder = uri.split(target)[0]
                    if not self.exists(source) or self.exists(folder):
                        raise
                    self.client.make_dir(folder, parents=True)
                    self._move(source, target)
        else:
            self._remove_copied(self._copied(path1, path2, recursive=recursive, maxdepth=maxdepth, ignored=False))

    def _move(self, source: str, target: str) -> None:
        try:
            self.client.move(source, target, overwrite=True)
        except UnsupportedError:
            self._remove_copied(self._copied(source, target, recursive=True, maxdepth=None, ignored=False))

    def _remove_copied(self, found: Found) -> None:
        """Remove what was copied, and nothing that others have stored meanwhile: a folder that is not empty stays."""
        self.at_once(self.rm_file, [path for path, info in found.items() if not is_folder(info)])
        for path, info in reversed(found.items()):
            if is_folder(info) and next(iter(self.client.list_dir(path)), None) is None:
                self.rm_file(path)


def _guard(found: Found) -> None:
    """Refuse to remove what a folder at the top holds, as the client does where all of it is meant.

    Raises:
        PermissionDeniedError: When there is such a folder.
    """
    for path, info in found.items():
        if is_folder(info) and path.count("/") < 2:
            raise PermissionDeniedError(
                f"{path} is not removed with what it holds: it is the root or right below it",
                path=path,
                remedy="remove what is in it, folder by folder",
            )

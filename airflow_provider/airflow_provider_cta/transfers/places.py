"""Files on any storage that `ObjectStoragePath` knows: looked at, read and written as streams."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import fsspec
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import has_fs

from ctadata_providers import ConfigError, IntegrityError, IsADirError

BLOCK = 8 * 1024 * 1024
"""Bytes that are written at once; object stores take at least 5 MiB."""
_AHEAD = 4 * 1024 * 1024
"""Bytes that are read at once, one block of them ahead."""
_PARTS = 9000
"""Blocks of a file at most: S3 takes 10,000."""
_BLOCKS = 2
_TELLING = ("size", "mtime", "modified", "last_modified", "LastModified", "ETag", "etag", "generation", "created")
"""What of the details of a file changes with what it holds."""

Details = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A file, a folder or a pattern on some storage.

    Attributes:
        fs: The storage.
        path: As the storage calls it.
        server: What stands before the path in its address, where the storage does not tell that itself.
    """

    fs: Any
    path: str
    server: str = ""

    @classmethod
    def of(cls, path: str, conn_id: str | None) -> "Place":
        """Return the place of a path; `name@` in it names the connection.

        Raises:
            ConfigError: When no provider offers such a storage, nor, where no connection is needed, fsspec.
        """
        try:
            parsed = ObjectStoragePath(path, conn_id=conn_id)
            try:
                return cls(parsed.fs, parsed.path, _server(parsed.protocol, parsed.fs))
            except ValueError:
                if parsed.conn_id is not None or has_fs(parsed.protocol or "file"):
                    raise
                return cls(fsspec.filesystem(parsed.protocol), parsed.path)
        except (ValueError, ImportError) as error:
            raise ConfigError(f"{path}: {error}", remedy="install the provider of that storage") from error

    @property
    def uri(self) -> str:
        """Its address, without a connection."""
        return self.server + self.path if self.server else str(self.fs.unstrip_protocol(self.path))

    @property
    def is_local(self) -> bool:
        """Whether it is on the disk of the worker."""
        return "file" in _protocols(self.fs)

    @property
    def is_cta(self) -> bool:
        """Whether it is at a data centre, too."""
        return "cta" in _protocols(self.fs)

    def inside(self, name: str) -> "Place":
        """Return the place of a name in this folder."""
        return replace(self, path=f"{self.path.rstrip('/')}/{name}")

    def matches(self) -> "list[Place]":
        """Return the files that match this pattern, by their names."""
        found = self.fs.glob(self.path, detail=True)
        return [replace(self, path=path) for path, details in sorted(found.items()) if details["type"] == "file"]

    def below(self) -> "list[Place]":
        """Return all files below this folder, by their names."""
        found = self.fs.find(self.path.rstrip("/"), detail=True)
        return [
            replace(self, path=path)
            for path, details in sorted(found.items())
            if details["type"] == "file" and not path.endswith("/")  # object stores may have files for their folders
        ]

    def look(self) -> Details | None:
        """Tell of the file that is there now, None when there is none.

        Raises:
            IsADirError: When it is a folder.
        """
        self.fs.invalidate_cache(self.path)
        try:
            details: Details = self.fs.info(self.path)
        except FileNotFoundError:
            return None
        if details["type"] == "directory":
            raise IsADirError(f"{self.uri} is a folder", path=self.uri, remedy="name a file in it")
        return details

    def read(self) -> Any:
        """Open it."""
        ahead = {"cache_type": "background", "cache_options": {"maxblocks": _BLOCKS}}
        return self.fs.open(self.path, "rb", **self._blocks(_AHEAD), **ahead)

    def put(self, content: bytes) -> None:
        """Write a small file at once."""
        with self._or_nothing():
            self._with_folder(lambda: self.fs.pipe_file(self.path, content))
            self._check_size(len(content))

    @contextmanager
    def written(self, size: int | None) -> Iterator[BinaryIO]:
        """Give an open file to write to, which appears at the end of the `with` block, where the storage can do that.

        What raises in the block, or in the end, discards it; what was there before stays where the storage can do that,
        and nothing partial stays anywhere.
        """
        blocks = self._blocks(max(BLOCK, -(-(size or 0) // _PARTS)))
        with self._or_nothing():
            file = self._with_folder(lambda: self.fs.open(self.path, "wb", autocommit=False, **blocks))
            try:
                yield file
                file.close()
                if hasattr(file, "commit"):  # else it was under its name from the beginning
                    file.commit()
            except BaseException:
                with suppress(Exception):  # whatever a storage of others raises, the error that came before counts
                    file.close()
                with suppress(Exception):
                    file.discard()
                raise
            self._check_size(size)

    def _blocks(self, size: int) -> dict[str, int]:
        """Return what tells a storage how much to move at once: SFTP itself knows what its servers take."""
        return {} if self.server else {"block_size": size}

    @contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """Remove what has come here when the `with` block raises."""
        before = self.look()
        try:
            yield
        except BaseException:
            with suppress(Exception):  # as above
                after = self.look()
                if after is not None and (before is None or print_of(before) != print_of(after)):
                    self.fs.rm_file(self.path)
            raise

    def _check_size(self, size: int | None) -> None:
        """Make sure that all is there.

        Raises:
            IntegrityError: When it is not.
        """
        stored = (self.look() or {}).get("size")
        if size is not None and stored is not None and stored != size:
            raise IntegrityError(f"{self.uri} has {stored} bytes of {size}", path=self.uri, remedy="transfer it again")

    def _with_folder(self, write: Any) -> Any:
        """Write; make the folder first where that is needed, but no bucket or what else is at the top."""
        try:
            return write()
        except FileNotFoundError:
            folder = self.fs._parent(self.path)
            top = folder[: len(folder) - len(folder.lstrip("/"))] + folder.strip("/").partition("/")[0]
            if not self.fs.exists(top):
                raise
            self.fs.makedirs(folder, exist_ok=True)
            return write()


def print_of(details: Details | None) -> Details:
    """Return what of the details of a file changes with what it holds."""
    return {name: value for name, value in (details or {}).items() if name in _TELLING}


def _server(protocol: str, fs: Any) -> str:
    """Return the server of a storage without buckets, as the assets of its provider name it."""
    host = fs.storage_options.get("host")
    return f"sftp://{host}:{fs.storage_options.get('port') or 22}" if protocol in ("sftp", "ssh") and host else ""


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)

"""What `FakeCta` has of its files: stored, seen and changed without HTTP."""

from abc import ABC, abstractmethod
from typing import get_args

from ctadata_providers import uri
from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.entries import Locality
from ctadata_providers.testing.storage import Storage


class FilesFront(ABC):
    """The part of `FakeCta` that is about the files in its storage."""

    @property
    @abstractmethod
    def _storage(self) -> Storage:
        """The storage, while the servers run."""

    def put(self, path: str, data: bytes) -> None:
        """Store a file, with missing folders.

        Raises:
            IsADirError: When the path is a folder.
        """
        self._storage.put(uri.parse_path(path), data)

    def get(self, path: str) -> bytes:
        """Return the bytes of a file; none while it is being uploaded.

        Raises:
            NotFoundError: When there is no such file.
            IsADirError: When the path is a folder.
        """
        storage = self._storage
        with open(storage.open(storage.file(uri.parse_path(path))), "rb") as file:  # noqa: PTH123 - a descriptor
            return file.read()

    def xattrs(self, path: str) -> dict[str, str]:
        """Return the extended attributes of a file.

        Raises:
            NotFoundError: When there is no such file.
            IsADirError: When the path is a folder.
        """
        storage = self._storage
        return dict(storage.notes(storage.file(uri.parse_path(path))).xattrs)

    def set_locality(self, path: str, locality: Locality, *, recall: float | None = None) -> None:
        """Say where a file is, until it is overwritten.

        A GET of a NEARLINE file blocks for `recall` seconds; if that is None or more than the door's patience, it
        gets 500 at the end of that. UNAVAILABLE blocks and gets 500, LOST gets it at once.

        Args:
            path: The file.
            locality: ONLINE, NEARLINE (on tape only), ONLINE_AND_NEARLINE, UNAVAILABLE (its pool is down), LOST or
                NONE.
            recall: Seconds that it takes to bring it from tape; then it is ONLINE_AND_NEARLINE.

        Raises:
            ConfigError: For an unknown locality.
            NotFoundError: When there is no such file.
            IsADirError: When the path is a folder.
        """
        if locality not in get_args(Locality):
            raise ConfigError(f"unknown locality {locality!r}", remedy=f"use one of {', '.join(get_args(Locality))}")
        storage = self._storage
        notes = storage.notes_to_change(storage.file(uri.parse_path(path)))
        notes.locality, notes.recall = locality, recall

    def exists(self, path: str) -> bool:
        """Tell whether a file or folder exists."""
        return self._storage.stat(uri.parse_path(path)) is not None

    def paths(self) -> list[str]:
        """Return the paths of all files, sorted."""
        return sorted(entry.path for entry in self._storage.walk() if not entry.is_dir)

    def make_dir(self, path: str) -> None:
        """Make a folder and those above it; one that exists is fine."""
        self._storage.make_dirs(uri.parse_path(path))

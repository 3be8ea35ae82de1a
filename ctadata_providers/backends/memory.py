"""A storage in memory, for tests and trials without a server."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate

from ctadata_providers.backends.base import FileInfo, ReadResult, WriteResult
from ctadata_providers.checksum import canonical_algorithm, new_hasher
from ctadata_providers.errors import (
    AlreadyExistsError,
    CtaError,
    IsADirError,
    NotADirError,
    NotFoundError,
    StorageError,
)
from ctadata_providers.session.futures import Future
from ctadata_providers.session.request import Sink, Source
from ctadata_providers.uri import split

CHUNK = 1024 * 1024


@dataclass
class _Node:
    data: bytes | None
    modified: float = field(default_factory=time.time)


class MemoryBackend:
    """The six operations, rename and checksums on a dictionary; each instance is a storage of its own."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {"/": _Node(None)}
        self._lock = threading.RLock()

    def stat(self, path: str) -> FileInfo:
        """Tell about one file or folder."""
        with self._lock:
            return _info(path, self._node(path))

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        """Give the entries of a folder."""
        with self._lock:
            if self._node(path).data is not None:
                raise NotADirError(f"cannot list {path}: it is a file", path=path)
            inside = [(name, node) for name, node in self._nodes.items() if name != "/" and split(name)[0] == path]
        yield from (_info(name, node) for name, node in inside)

    def read(
        self, path: str, sink: Sink, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> Future[ReadResult]:
        """Push a file's bytes into a sink, in the caller's thread."""
        future: Future[ReadResult] = Future()
        try:
            with self._lock:
                data = self._file(path)
            result = ReadResult(size=len(data), start=start)
            if hasattr(sink, "answered"):
                sink.answered(result)
            for offset in range(start, len(data) if end is None else min(end, len(data)), CHUNK):
                stop = offset + CHUNK if end is None else min(offset + CHUNK, end)
                sink(data[offset:stop])
        except (CtaError, OSError) as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    def write(self, path: str, source: Source, *, size: int, overwrite: bool) -> Future[WriteResult]:
        """Store a source's bytes, in the caller's thread."""
        future: Future[WriteResult] = Future()
        try:
            chunks = []
            while chunk := source.read(CHUNK):
                chunks.append(chunk)
            with self._lock:
                self._parent_must_be(path)
                self._may_replace(path, overwrite=overwrite)
                self._nodes[path] = _Node(b"".join(chunks))
        except (CtaError, OSError) as error:
            future.set_exception(error)
        else:
            future.set_result(WriteResult())
        return future

    def make_dir(self, path: str) -> None:
        """Make one folder."""
        with self._lock:
            self._parent_must_be(path)
            if path in self._nodes:
                raise AlreadyExistsError(f"cannot make folder {path}: it exists", path=path, remedy="use another name")
            self._nodes[path] = _Node(None)

    def remove(self, path: str, *, is_file: bool = False) -> None:
        """Remove one file or empty folder."""
        with self._lock:
            self._node(path)
            if any(name.startswith(path.rstrip("/") + "/") for name in self._nodes if name != "/"):
                raise StorageError(
                    f"cannot remove {path}: the folder is not empty", path=path, remedy="remove it recursively (rm -r)"
                )
            if path != "/":
                del self._nodes[path]

    def can_rename(self, path: str) -> bool:
        """Tell that everything can be renamed."""
        return True

    def rename(self, source: str, target: str, *, overwrite: bool, is_dir: bool = False) -> None:
        """Rename a file or folder."""
        with self._lock:
            self._node(source)
            self._parent_must_be(target)
            self._may_replace(target, overwrite=overwrite)
            if target.startswith(source + "/"):
                raise StorageError(f"cannot move {source} into itself ({target})", path=source)
            moved = {n: node for n, node in self._nodes.items() if n == source or n.startswith(source + "/")}
            for name, node in moved.items():
                del self._nodes[name]
                self._nodes[target + name[len(source) :]] = node

    def copy(self, source: str, target: str, *, overwrite: bool) -> Future[None]:
        """Copy a file."""
        future: Future[None] = Future()
        try:
            with self._lock:
                data = self._file(source)
                self._parent_must_be(target)
                self._may_replace(target, overwrite=overwrite)
                self._nodes[target] = _Node(data)
        except CtaError as error:
            future.set_exception(error)
        else:
            future.set_result(None)
        return future

    def checksum(self, path: str, algorithm: str) -> Mapping[str, str]:
        """Compute a checksum."""
        hasher = new_hasher(algorithm)
        with self._lock:
            hasher.update(self._file(path))
        return {canonical_algorithm(algorithm): hasher.hexdigest()}

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _node(self, path: str) -> _Node:
        try:
            return self._nodes[path]
        except KeyError as error:
            raise NotFoundError(f"there is no {path}", path=path, remedy="check the path") from error

    def _file(self, path: str) -> bytes:
        data = self._node(path).data
        if data is None:
            raise IsADirError(f"cannot download {path}: it is a folder", path=path, remedy="download it as a tree")
        return data

    def _parent_must_be(self, path: str) -> None:
        parent = split(path)[0]
        if self._node(parent).data is not None:
            raise NotADirError(f"{parent} is a file, so {path} cannot be made", path=parent)

    def _may_replace(self, path: str, *, overwrite: bool) -> None:
        node = self._nodes.get(path)
        if node is not None and node.data is None:
            raise IsADirError(f"{path} is a folder", path=path, remedy="give the name of a file")
        if node is not None and not overwrite:
            raise AlreadyExistsError(f"{path} exists", path=path, remedy="remove it first, or allow overwriting")


def _info(path: str, node: _Node) -> FileInfo:
    modified = formatdate(node.modified, usegmt=True)
    return FileInfo(
        path, is_dir=node.data is None, size=None if node.data is None else len(node.data), modified=modified
    )

"""A storage without a disk, for measurements: it has one large file and keeps nothing of what it is given."""

from typing import Any

import fsspec
from fsspec.spec import AbstractBufferedFile


class Forgetful(fsspec.AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The storage.

    Args:
        size: Bytes of `box/file`.
    """

    protocol = "forgetful"
    cachable = False

    def __init__(self, size: int = 0) -> None:
        super().__init__()
        self.size = size
        self.stored: dict[str, int] = {}

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Tell the size of a file."""
        size = self.size if path.endswith("box/file") else self.stored.get(path)
        if size is None:
            raise FileNotFoundError(path)
        return {"name": path, "size": size, "type": "file"}

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        return _Buffered(self, path, mode, **kwargs)


class _Buffered(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    def _upload_chunk(self, final: bool = False) -> bool:
        return True

    def _fetch_range(self, start: int, end: int) -> bytes:
        return bytes(end - start)

    def commit(self) -> None:
        self.fs.stored[self.path] = self.loc

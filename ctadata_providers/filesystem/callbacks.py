"""What fsspec's callbacks are told of transfers: how many files there are, and of each how many bytes."""

from pathlib import Path
from types import TracebackType
from typing import Self

from fsspec.callbacks import Callback

from ctadata_providers.backends import FileInfo
from ctadata_providers.transfer import Progress


class Told:
    """Tells a callback of several files, and a child of it of the bytes of each; those that are left are closed.

    Args:
        callback: It.
        count: How many files and folders there are.
        done: How many of them need no transfer.
    """

    def __init__(self, callback: Callback, count: int, done: int) -> None:
        self._callback = callback
        self._children: dict[tuple[object, object], Callback] = {}
        callback.set_size(count)
        callback.relative_update(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children.values():
            child.close()

    def download(self, info: FileInfo, local: Path) -> Progress:
        """Return what is to be told of the bytes of a download."""
        return self._child((info, local), (info.path, str(local)), info.size)

    def upload(self, local: Path, path: str) -> Progress:
        """Return what is to be told of the bytes of an upload."""
        return self._child((local, path), (str(local), path), local.stat().st_size if local.is_file() else None)

    def done(self, pair: tuple[object, object]) -> None:
        """Tell that one of the files is there."""
        child = self._children.pop(pair, None)
        if child is not None:
            child.close()
        self._callback.relative_update()

    def _child(self, pair: tuple[object, object], names: tuple[str, str], size: int | None) -> Progress:
        child = self._children[pair] = self._callback.branched(*names)
        if size is not None:
            child.set_size(size)
        update: Progress = child.relative_update
        return update

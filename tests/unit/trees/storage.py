"""A storage in memory on which chosen acts fail or wait, and local trees beside it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ctadata_providers import (
    Config,
    CtaError,
    FileInfo,
)
from ctadata_providers.backends import ReadResult, WriteResult
from ctadata_providers.backends.memory import MemoryBackend
from ctadata_providers.session.futures import Future
from ctadata_providers.session.request import Sink, Source
from ctadata_providers.transfer import Context, TreeResult

PATIENCE = 20.0
FILES = ("a", "b/1", "b/2", "b/c/x", "d/y", "z")


class Bytes:
    """Some bytes to be written."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int, /) -> bytes:
        data, self._data = self._data[:size], self._data[size:]
        return data

    def rewind(self) -> None:
        """Nothing to do: it is written once."""


class Storage(MemoryBackend):
    """A storage in memory on which acts on some paths fail, or wait for something."""

    def __init__(self, files: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.faults: dict[tuple[str, str], Exception | Callable[[], object]] = {}
        self.acts: list[tuple[str, str]] = []
        self.make_dir("/t")
        for name in files:
            parts = name.split("/")[:-1]
            for depth in range(len(parts)):
                folder = "/t/" + "/".join(parts[: depth + 1])
                if folder not in self._nodes:
                    self.make_dir(folder)
            super().write(f"/t/{name}", Bytes(name.encode()), size=len(name), overwrite=True).result()
        self.acts.clear()

    def _meet(self, act: str, path: str) -> None:
        self.acts.append((act, path))
        fault = self.faults.get((act, path))
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            fault()

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        self._meet("list", path)
        return super().list_dir(path)

    def make_dir(self, path: str) -> None:
        self._meet("make", path)
        super().make_dir(path)

    def read(self, path: str, sink: Sink, **how: Any) -> Future[ReadResult]:
        try:
            self._meet("read", path)
        except CtaError as error:
            future: Future[ReadResult] = Future()
            future.set_exception(error)
            return future
        return super().read(path, sink, **how)

    def write(self, path: str, source: Source, **how: Any) -> Future[WriteResult]:
        try:
            self._meet("write", path.rpartition("/.")[2].partition(".")[0])
        except CtaError as error:
            future: Future[WriteResult] = Future()
            future.set_exception(error)
            return future
        return super().write(path, source, **how)

    def tree(self, top: str = "/t/") -> list[str]:
        return sorted(
            name.removeprefix(top) + ("/" if node.data is None else "")
            for name, node in self._nodes.items()
            if name.startswith(top)
        )


def context(storage: MemoryBackend, **settings: Any) -> Context:
    return Context.of(storage, Config(backend="memory", retries=0, **settings))


def names(folder: Path) -> list[str]:
    return sorted(str(place.relative_to(folder)) + ("/" if place.is_dir() else "") for place in folder.rglob("*"))


def told(result: TreeResult) -> list[tuple[str, str]]:
    return [(failure.path, type(failure.error).__name__) for failure in result.failures]

"""A storage under test: a client's way to it, and a way behind its back."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from ctadata_providers import Config, CtaClient
from ctadata_providers.backends import Backend, open_backend
from tests.servers.server import Server


class Storage(Protocol):
    """Where the suite runs.

    Attributes:
        name: Of the kind of server, for the table of limits.
        version: Of the server's program, where the table for users tells several apart.
        settings: Of a client, as another process needs them; None when the storage lives in this process only.
        home: The folder below which the suite may write, empty for the root.
    """

    name: str
    version: tuple[int, ...]
    settings: Mapping[str, str] | None
    home: str

    def client(self, **settings: Any) -> CtaClient:
        """Return a client that may do everything."""

    def backend(self) -> Backend:
        """Return what a client works with; to be closed."""

    def put(self, path: str, data: bytes = b"") -> None:
        """Store a file behind the client's back, with missing folders."""

    def put_empty(self, folder: str, names: Iterable[str]) -> None:
        """Store many empty files in one folder."""

    def get(self, path: str) -> bytes:
        """Return what is stored, without a client."""

    def tree(self, folder: str) -> dict[str, bytes]:
        """Return the files below a folder by relative path, hidden ones too; empty when there is no such folder."""


class ServerStorage:
    """A server that serves a local folder.

    Args:
        server: The server.
        home: The folder below which the suite may write.
        settings: Of a client, in place of those for the server's door.
    """

    def __init__(self, server: Server, *, home: str = "", settings: Mapping[str, str] | None = None) -> None:
        self.name = server.name
        self.version = server.version
        self.home = home
        self.settings = {**(settings or server.settings()), "retries": "3"}  # it tries again seldom, to fail fast
        self._server = server
        self.put = server.put
        self.put_empty = server.put_empty
        self.put_sparse = server.put_sparse

    def client(self, **settings: Any) -> CtaClient:
        """Return a client."""
        return CtaClient(Config.from_mapping({**self.settings, **settings}))

    def backend(self) -> Backend:
        """Return its backend."""
        return open_backend(Config.from_mapping(self.settings))

    def get(self, path: str) -> bytes:
        """Return what is stored."""
        return self._local(path).read_bytes()

    def tree(self, folder: str) -> dict[str, bytes]:
        """Return the files below a folder, but for Apache's own scratch files, which it removes when it gets to it."""
        root = self._local(folder)
        files = (path for path in root.rglob("*") if not path.name.startswith(".davfs.tmp") and path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in files}

    def _local(self, path: str) -> Path:
        return self._server.root / path.lstrip("/")


class MemoryStorage:
    """The backend in memory; its storage is the client's own."""

    name = "memory"
    version = ()
    settings = None
    home = ""

    def __init__(self) -> None:
        self._client = CtaClient(backend="memory")
        self._backend = self._client._backend

    def client(self, **settings: Any) -> CtaClient:
        """Return the client."""
        return self._client

    def backend(self) -> Backend:
        """Return the client's own."""
        return self._backend

    def put(self, path: str, data: bytes = b"") -> None:
        """Store a file."""
        self._client.make_dir(path.rpartition("/")[0] or "/", parents=True)
        self._backend.write(path, _Bytes(data), size=len(data), overwrite=True).result()

    def put_empty(self, folder: str, names: Iterable[str]) -> None:
        """Store many empty files."""
        self._client.make_dir(folder, parents=True)
        for name in names:
            self._backend.write(f"{folder}/{name}", _Bytes(), size=0, overwrite=True).result()

    def get(self, path: str) -> bytes:
        """Return what is stored."""
        pieces: list[bytes] = []
        self._backend.read(path, pieces.append).result()
        return b"".join(pieces)

    def tree(self, folder: str) -> dict[str, bytes]:
        """Return the files below a folder."""
        found: dict[str, bytes] = {}
        todo = [folder] if self._client.exists(folder) else []
        while todo:
            for info in self._backend.list_dir(todo.pop()):
                if info.is_dir:
                    todo.append(info.path)
                else:
                    found[info.path.removeprefix(folder + "/")] = self.get(info.path)
        return found


def names_in(folder: Path) -> list[str]:
    """Return the names in a local folder, hidden ones too, sorted."""
    return sorted(path.name for path in folder.iterdir())


class _Bytes(BytesIO):
    """Bytes as the source of an upload."""

    def rewind(self) -> None:
        self.seek(0)

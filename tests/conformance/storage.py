"""A storage under test: a client's way to it, and a way behind its back."""

from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from ctadata_providers import Config, CtaClient
from tests.servers.server import Server


class Storage(Protocol):
    """Where the suite runs.

    Attributes:
        name: Of the kind of server, for the table of limits.
    """

    name: str

    def client(self, **settings: Any) -> CtaClient:
        """Return a client that may do everything."""

    def put(self, path: str, data: bytes = b"") -> None:
        """Store a file behind the client's back, with missing folders."""

    def get(self, path: str) -> bytes:
        """Return what is stored, without a client."""

    def tree(self, folder: str) -> dict[str, bytes]:
        """Return the files below a folder by relative path, hidden ones too; empty when there is no such folder."""


class ServerStorage:
    """A server that serves a local folder."""

    def __init__(self, server: Server) -> None:
        self.name = server.name
        self._server = server

    def client(self, **settings: Any) -> CtaClient:
        """Return a client; it tries again seldom, to fail fast."""
        return CtaClient(Config.from_mapping({**self._server.settings(), "retries": 3, **settings}))

    def put(self, path: str, data: bytes = b"") -> None:
        """Store a file."""
        self._server.put(path, data)

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

    def __init__(self) -> None:
        self._client = CtaClient(backend="memory")
        self._backend = self._client._backend

    def client(self, **settings: Any) -> CtaClient:
        """Return the client."""
        return self._client

    def put(self, path: str, data: bytes = b"") -> None:
        """Store a file."""
        self._client.make_dir(path.rpartition("/")[0] or "/", parents=True)
        self._backend.write(path, _Bytes(data), size=len(data), overwrite=True).result()

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

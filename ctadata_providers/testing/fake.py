"""FakeCta: a dCache-like door and its pools, in one thread of this process."""

import asyncio
import tempfile
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from ctadata_providers import uri
from ctadata_providers.errors import ConfigError, IsADirError, NotFoundError
from ctadata_providers.testing.door import Anonymous, Door
from ctadata_providers.testing.pki import make_pki
from ctadata_providers.testing.pool import Pool
from ctadata_providers.testing.requestlog import LoggedRequest, RequestLog
from ctadata_providers.testing.storage import Storage
from ctadata_providers.testing.tokens import FULL_SCOPE, TokenIssuer

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


class FakeCta:
    """A CTA data centre: a WebDAV door with pools on other ports, which behave like dCache's.

    A context manager; the servers run in a background thread from `start` to `close`.

    Args:
        root: The folder to serve; None for a temporary one.
        tls: Whether door and pools speak HTTPS. Without it bearer tokens are refused, as dCache does.
        pools: How many pools there are.
        host: The name in the URLs, which must lead to this machine.
        door_port: The door's port, 0 for any free one.
        anonymous: What clients without a token may do: False for nothing, True for reading, "full" for all.
        token_lifetime: Seconds for which `token` is valid.
        overwrite: Whether a PUT may replace a file (dCache's `webdav.enable.overwrite`).
        quota: Bytes that all files may have together, None for no limit; beyond it uploads get 507.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        tls: bool = True,
        pools: int = 2,
        host: str = "localhost",
        door_port: int = 0,
        anonymous: bool | Literal["full"] = False,
        token_lifetime: float = 3600.0,
        overwrite: bool = True,
        quota: int | None = None,
    ) -> None:
        if pools < 1:
            raise ConfigError("a door needs at least one pool", remedy="set pools to 1 or more")
        self._root = root
        self._tls = tls
        self._pool_count = pools
        self._host = host
        self._door_port = door_port
        self._anonymous: Anonymous = "full" if anonymous == "full" else "readonly" if anonymous else "none"
        self._token_lifetime = token_lifetime
        self._overwrite = overwrite
        self._quota = quota
        self._issuer = TokenIssuer()
        self._log = RequestLog()
        self._running: _Running | None = None
        self._token = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the servers; they answer when this returns.

        Raises:
            ConfigError: When the port is taken.
            NotADirError: When the folder to serve does not exist.
        """
        if self._running is None:
            self._running = _Running(self._build())
            self._token = self.make_token(lifetime=self._token_lifetime)

    def close(self) -> None:
        """Stop the servers and remove what is temporary; a second call does nothing."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    # How to reach it

    @property
    def door_url(self) -> str:
        """The door's URL, without a slash at the end."""
        return self._parts.door.url

    @property
    def pool_urls(self) -> list[str]:
        """The pools' URLs, without a slash at the end."""
        return [pool.url for pool in self._parts.pools]

    @property
    def ca_file(self) -> Path | None:
        """The certificate authority to trust, a PEM file; None without TLS."""
        return self._parts.ca_file

    @property
    def token(self) -> str:
        """A bearer token with every right, the same until `close`."""
        return self._token if self._parts else ""

    def make_token(self, *, lifetime: float = 3600.0, scope: str = FULL_SCOPE, subject: str = "alice") -> str:
        """Return a new bearer token (JWT, WLCG profile).

        Args:
            lifetime: Seconds from now to its expiry; negative for one that has expired.
            scope: Storage scopes with paths, separated by blanks.
            subject: Who it is for.
        """
        return self._issuer.issue(lifetime=lifetime, scope=scope, subject=subject)

    def settings(self) -> dict[str, str | bool]:
        """Return the settings for `Config(**settings)`, complete for a client of this server."""
        if not self._tls:
            return {"door_url": self.door_url, "allow_http_pools": True}
        return {"door_url": self.door_url, "token": self.token, "ca_path": str(self.ca_file)}

    def environ(self) -> dict[str, str]:
        """Return the same settings as environment variables."""
        if not self._tls:
            return {"CTA_DOOR_URL": self.door_url, "CTA_ALLOW_HTTP_POOLS": "true"}
        return {"CTA_DOOR_URL": self.door_url, "BEARER_TOKEN": self.token, "CTA_CA_PATH": str(self.ca_file)}

    # What is stored, seen and changed without HTTP

    def put(self, path: str, data: bytes) -> None:
        """Store a file, with missing folders.

        Raises:
            IsADirError: When the path is a folder.
        """
        self._parts.storage.put(uri.parse_path(path), data)

    def get(self, path: str) -> bytes:
        """Return the bytes of a file; none while it is being uploaded.

        Raises:
            NotFoundError: When there is no such file.
            IsADirError: When the path is a folder.
        """
        path = uri.parse_path(path)
        storage = self._parts.storage
        entry = storage.stat(path)
        if entry is None:
            raise NotFoundError("no such file", path=path)
        if entry.is_dir:
            raise IsADirError("a folder, not a file", path=path)
        with open(storage.open(entry), "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            return file.read()

    def exists(self, path: str) -> bool:
        """Tell whether a file or folder exists."""
        return self._parts.storage.stat(uri.parse_path(path)) is not None

    def paths(self) -> list[str]:
        """Return the paths of all files, sorted."""
        return sorted(entry.path for entry in self._parts.storage.walk() if not entry.is_dir)

    def make_dir(self, path: str) -> None:
        """Make a folder and those above it; one that exists is fine."""
        path = uri.parse_path(path)
        storage = self._parts.storage
        for folder in [*storage.missing_parents(path), path]:
            if storage.stat(folder) is None:
                storage.make_dir(folder)

    # What was asked

    @property
    def requests(self) -> list[LoggedRequest]:
        """What the servers were asked so far, in the order of their answers."""
        return self._log.requests()

    def clear_requests(self) -> None:
        """Forget what was asked so far."""
        self._log.clear()

    def reset(self) -> None:
        """Remove all files and forget all requests, for the next test on the same server.

        Raises:
            ConfigError: When the folder served was given from outside.
        """
        if self._root is not None:
            raise ConfigError("the served folder is not temporary", path=self._root)
        self._parts.storage.clear()
        self._log.clear()

    @property
    def _parts(self) -> "_Parts":
        if self._running is None:
            raise ConfigError("FakeCta is not running", remedy="use it as a context manager, or call start()")
        return self._running.parts

    def _build(self) -> "_Parts":
        """Make the parts, and undo what was made when one fails."""
        pki = make_pki(self._host) if self._tls else None
        context = pki.server_context if pki else None
        # Pools without TLS are named by their bare address (dCache: HttpTransferService).
        pool_host = self._host if self._tls else "127.0.0.1"
        with ExitStack() as stack:
            ca_file = None
            if pki:
                ca_file = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fakecta-ca-"))) / "ca.pem"
                ca_file.write_bytes(pki.ca_pem)
            storage = stack.enter_context(closing(Storage(self._root, quota=self._quota)))
            pools = [
                stack.enter_context(closing(Pool(storage, host=pool_host, tls=context, log=self._log)))
                for _ in range(self._pool_count)
            ]
            door = Door(
                storage,
                pools,
                issuer=self._issuer,
                host=self._host,
                port=self._door_port,
                tls=context,
                log=self._log,
                anonymous=self._anonymous,
                overwrite=self._overwrite,
            )
            stack.enter_context(closing(door))
            return _Parts(storage, pools, door, ca_file, stack.pop_all())


@dataclass(frozen=True, slots=True)
class _Parts:
    """Storage and servers of a running FakeCta, and what closes them."""

    storage: Storage
    pools: list[Pool]
    door: Door
    ca_file: Path | None
    stack: ExitStack


class _Running:
    """The thread with the event loop of all servers."""

    def __init__(self, parts: _Parts) -> None:
        self.parts = parts
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="FakeCta", daemon=True)
        self._thread.start()
        self._ready.wait(_START_SECONDS)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_STOP_SECONDS)
        self.parts.stack.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        servers = [*self.parts.pools, self.parts.door]
        for server in servers:
            await server.start()
        self._ready.set()
        await self._stop.wait()
        await asyncio.gather(*(server.stop() for server in servers))

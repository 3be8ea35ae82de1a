"""The servers of a data centre: how they are made, and the thread in which they run."""

import asyncio
import os
import ssl
import tempfile
import threading
import weakref
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.bans import Bans
from ctadata_providers.testing.door import Door, Manners
from ctadata_providers.testing.faults import Faults
from ctadata_providers.testing.logins import Logins
from ctadata_providers.testing.pki import Pki, make_pki
from ctadata_providers.testing.pool import Pool
from ctadata_providers.testing.requestlog import RequestLog
from ctadata_providers.testing.scratch import ScratchFolder
from ctadata_providers.testing.server import Server, Site
from ctadata_providers.testing.storage import Storage
from ctadata_providers.testing.wallclock import WallClock

if TYPE_CHECKING:
    from ctadata_providers.testing.services.server import ServicesServer
    from ctadata_providers.testing.services.upstream import StorageKind

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a data centre is made of.

    Attributes:
        root: The folder to serve; None for a temporary one.
        quota: Bytes that all files may have together, None for no limit.
        host: The name in the URLs.
        port: The door's port, 0 for any free one.
        tls: Whether the door speaks HTTPS.
        pool_tls: Whether the pools do.
        pools: How many there are.
        logins: Who tells who asks.
        bans: Who is blocked; None for nobody ever.
        manners: How the door behaves.
        log: Where requests are entered.
        faults: What goes wrong.
        clock: Gives the time in seconds.
        wall_clock: Gives the time of day.
        service_storage: What the services have behind them, None for no services.
    """

    root: Path | None
    quota: int | None
    host: str
    port: int
    tls: bool
    pool_tls: bool
    pools: int
    logins: Logins
    bans: Bans | None
    manners: Manners
    log: RequestLog
    faults: Faults
    clock: Callable[[], float]
    wall_clock: WallClock
    service_storage: "StorageKind | None" = None

    def __post_init__(self) -> None:
        patience = self.manners.patience
        for wrong, message, remedy in (
            (self.pools < 1, "a door needs at least one pool", "set pools to 1 or more"),
            (self.pool_tls and not self.tls, "https pools behind an http door are not made", "leave pool_tls alone"),
            (self.quota is not None and self.quota < 0, f"a quota of {self.quota} bytes is none", "set quota from 0"),
            (not patience >= 0, f"nobody waits {patience} s", "set patience to 0 or more"),
            (not 0 <= self.port < 1 << 16, f"{self.port} is no port", "set door_port to 1 to 65535, or 0 for any"),
        ):
            if wrong:
                raise ConfigError(message, remedy=remedy)

    def site(self, storage: Storage, *, tls: ssl.SSLContext | None) -> Site:
        """Return where a server of this data centre stands."""
        return Site(
            storage=storage,
            host=self.host,
            tls=tls,
            log=self.log,
            faults=self.faults,
            clock=self.clock,
            wall_clock=self.wall_clock,
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """Storage and servers of a data centre, and what closes them.

    Attributes:
        storage: The namespace and the bytes.
        pools: The pools.
        door: The door.
        pki: The certificate authority; None without TLS.
        folder: A temporary folder for certificates; None without TLS.
        services: Hub and services; None without them.
        stack: What closes all of it.
    """

    storage: Storage
    pools: list[Pool]
    door: Door
    pki: Pki | None
    folder: Path | None
    stack: ExitStack
    services: "ServicesServer | None" = None

    @property
    def ca_file(self) -> Path | None:
        """The certificate authority to trust, a PEM file; None without TLS."""
        return self.folder and self.folder / "ca.pem"

    def write_pem(self, name: str, make: Callable[[Pki], bytes]) -> Path:
        """Write something of the certificate authority to a new file of that name, for its owner only.

        Raises:
            ConfigError: Without TLS.
        """
        if self.pki is None or self.folder is None:
            raise ConfigError("there are no certificates without TLS", remedy="leave tls alone")
        descriptor, file = tempfile.mkstemp(prefix=f"{name}-", suffix=".pem", dir=self.folder)
        with open(descriptor, "wb") as opened:  # noqa: PTH123 - a descriptor, not a path
            opened.write(make(self.pki))
        return Path(file)


def build(plan: Plan) -> Parts:
    """Make the parts of a data centre, and undo what was made when one fails."""
    pki = make_pki(plan.host) if plan.tls else None
    with ExitStack() as stack:
        folder = None
        if pki:
            folder = stack.enter_context(closing(ScratchFolder("fakecta-ca-"))).path
            (folder / "ca.pem").write_bytes(pki.ca_pem)
        files = Storage(plan.root, quota=plan.quota, clock=plan.clock, wall_clock=plan.wall_clock)
        storage = stack.enter_context(closing(files))
        pools = [stack.enter_context(closing(_pool(plan, storage, pki))) for _ in range(plan.pools)]
        door = Door(
            plan.site(storage, tls=pki.door_context if pki else None),
            pools,
            logins=plan.logins,
            bans=plan.bans,
            manners=plan.manners,
            port=plan.port,
            trust=ssl.create_default_context(cadata=pki.ca_pem.decode()) if pki else None,
        )
        stack.enter_context(closing(door))
        door.lift_bans()
        services = _services(plan, storage, pools, door, pki) if plan.service_storage else None
        if services:
            stack.enter_context(closing(services))
        return Parts(storage, pools, door, pki, folder, stack.pop_all(), services)


def _services(plan: Plan, storage: Storage, pools: list[Pool], door: Door, pki: Pki | None) -> "ServicesServer":
    from ctadata_providers.testing.services.server import ServicesServer

    return ServicesServer(
        plan.site(storage, tls=pki.server_context if pki else None),
        pools,
        door_url=door.url,
        manners=plan.manners,
        storage_kind=plan.service_storage or "webdav",
        ca_pem=pki.ca_pem if pki else None,
        is_temporary=plan.root is None,
    )


def _pool(plan: Plan, storage: Storage, pki: Pki | None) -> Pool:
    site = plan.site(storage, tls=pki.server_context if pki and plan.pool_tls else None)
    # Pools without TLS are named by their bare address (dCache: HttpTransferService).
    host = plan.host if plan.pool_tls else "127.0.0.1"
    return Pool(replace(site, host=host), version=plan.manners.major, patience=plan.manners.patience)


class Running:
    """The thread with the event loop of all servers."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._servers: list[Server] = [*parts.pools, parts.door, *filter(None, [parts.services])]
        _all.add(self)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="FakeCta", daemon=True)
        self._thread.start()
        self._ready.wait(_START_SECONDS)

    def start_server(self, server: Server) -> None:
        """Start one more server beside the others; it answers when this returns.

        Raises:
            ConfigError: In a fork, which has no thread for it.
        """
        if not self._thread.is_alive():
            raise ConfigError("a fork cannot start a server", remedy="start it before the fork")
        asyncio.run_coroutine_threadsafe(server.start(), self._loop).result(_START_SECONDS)
        self._servers.append(server)

    def stop(self) -> None:
        """Stop the servers and remove what is temporary."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_STOP_SECONDS)
        self.parts.stack.close()

    def leave(self) -> None:
        """Leave the servers, in a fork, to the process that has the thread."""
        for server in self._servers:
            server.leave()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        for server in self._servers:
            await server.start()
        self._ready.set()
        await self._stop.wait()
        await asyncio.gather(*(server.stop() for server in self._servers))


_all: "weakref.WeakSet[Running]" = weakref.WeakSet()


def _leave_all() -> None:
    for running in list(_all):
        running.leave()


os.register_at_fork(after_in_child=_leave_all)

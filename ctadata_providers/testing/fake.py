"""FakeCta: a dCache-like door and its pools, in one thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing.bans import Bans
from ctadata_providers.testing.door import Manners
from ctadata_providers.testing.fault_kinds import FaultName, FaultOptions
from ctadata_providers.testing.faults import Fault, Faults
from ctadata_providers.testing.files import FilesFront
from ctadata_providers.testing.logins import Anonymous, Logins
from ctadata_providers.testing.past_proxies import past_proxies
from ctadata_providers.testing.requestlog import LoggedRequest, RequestLog, ServerName
from ctadata_providers.testing.running import Parts, Plan, Running, build
from ctadata_providers.testing.services.front import SERVICE_BACKS, SERVICE_FRONTS, ServicesFront
from ctadata_providers.testing.storage import Storage
from ctadata_providers.testing.tokens import ANY_AUDIENCE, FULL_SCOPE, TokenIssuer
from ctadata_providers.testing.wallclock import WallClock

if TYPE_CHECKING:
    from ctadata_providers.testing.oidc.issuer import Issuer
    from ctadata_providers.testing.services.server import ServicesServer
    from ctadata_providers.testing.services.upstream import StorageKind


class FakeCta(FilesFront, ServicesFront):
    """A CTA data centre: a WebDAV door with pools on other ports, which behave like dCache's.

    A context manager; the servers run in a background thread from `start` to `close`.

    Args:
        root: The folder to serve; None for a temporary one.
        tls: Whether the door speaks HTTPS. Without it bearer tokens are refused, as dCache does.
        pools: How many pools there are.
        pool_tls: Whether pools speak HTTPS; None for what the door does. Older dCaches send clients of an https door
            to plain-http pools, named by their bare address (dCache issue 3736).
        host: The name in the URLs, which must lead to this machine.
        door_port: The door's port, 0 for any free one.
        anonymous: What clients without a credential may do: False for nothing, True for reading, "full" for all.
        users: Passwords of users who may log in by HTTP Basic, by name; they may do everything.
        token_lifetime: Seconds for which `token` is valid.
        issuer_prefix: The folder below which the paths in tokens' scopes lie.
        login_cache: Seconds for which the result of a login by token is kept, so that an expired one still works
            and a refused one stays refused; 600 is dCache's default.
        overwrite: Whether a PUT may replace a file (dCache's `webdav.enable.overwrite`).
        quota: Bytes that all files may have together, None for no limit; beyond it uploads get 507.
        version: The dCache that it claims to be, from 9.2; from 12 on it knows Want-Repr-Digest.
        patience: Seconds for which the door waits for a pool or tape before 500, and a pool for the bytes of an upload.
        bans: Whether clients get 429 for 15 s after three answers 401 within 20 s, and above 250 requests a second.
        retry_after: Whether these 429 say how long to wait, as dCache does since June 2026.
        markers: Seconds from one performance marker of a third-party copy to the next.
        services: Whether there are a JupyterHub, a downloadservice and a certificateservice over the same storage.
        service_storage: What the services have behind them: `webdav`, a storage that sends the bytes itself; `dcache`,
            which redirects readers to pools; or `xrootd`.
        clock: Gives the time by which bans, patience, logins and the waits of faults are measured, in seconds.
    """

    def __init__(
        self,
        *,
        root: Path | str | None = None,
        tls: bool = True,
        pools: int = 2,
        pool_tls: bool | None = None,
        host: str = "localhost",
        door_port: int = 0,
        anonymous: Anonymous = False,
        users: Mapping[str, str] | None = None,
        token_lifetime: float = 3600.0,
        issuer_prefix: str = "/",
        login_cache: float = 0.0,
        overwrite: bool = True,
        quota: int | None = None,
        version: str = "10.2.25",
        patience: float = 300.0,
        bans: bool = True,
        retry_after: bool = False,
        markers: float = 5.0,
        services: bool = False,
        service_storage: StorageKind = "webdav",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token_lifetime = token_lifetime
        self._wall_clock = WallClock()
        self._tokens = TokenIssuer(self._wall_clock, prefix=issuer_prefix)
        self._log = RequestLog()
        self._faults = Faults(("door", "pool", *SERVICE_FRONTS), SERVICE_BACKS) if services else Faults()
        self._plan = Plan(
            root=None if root is None else Path(root),
            quota=quota,
            host=host,
            port=door_port,
            tls=tls,
            pool_tls=tls if pool_tls is None else pool_tls,
            pools=pools,
            logins=Logins(
                self._tokens,
                users or {},
                anonymous=anonymous,
                secure=tls,
                cache_seconds=login_cache,
                clock=clock,
            ),
            bans=Bans(clock=clock, retry_after=retry_after) if bans else None,
            manners=Manners(version=version, overwrite=overwrite, patience=patience, markers=markers),
            log=self._log,
            faults=self._faults,
            clock=clock,
            wall_clock=self._wall_clock,
            service_storage=service_storage if services else None,
        )
        self._issuer: Issuer | None = None
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._token = ""
        self._proxy: Path | None = None

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
            self._running = Running(build(self._plan))
            self._tokens.audiences = {ANY_AUDIENCE, self.door_url}
            self._token = self.make_token(lifetime=self._token_lifetime)

    def close(self) -> None:
        """Stop the servers and remove what is temporary; a second call does nothing."""
        if self._running is not None:
            self._running.stop()
            self._running = None
            self._proxy = None
            self._hub_token = ""
            self._issuer = None
            self._tokens.readers.clear()

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
        return self._tokens.issue(lifetime=lifetime, scope=scope, subject=subject)

    @property
    def proxy_file(self) -> Path:
        """An X.509 proxy of a user with every right, a PEM file; the same until `close`.

        Raises:
            ConfigError: Without TLS.
        """
        if self._proxy is None:
            self._proxy = self.make_proxy()
        return self._proxy

    def make_proxy(self, subject: str = "alice", *, lifetime: float = 3600.0) -> Path:
        """Return a new X.509 proxy (RFC 3820) with its key and the certificate behind it, a PEM file until `close`.

        Args:
            subject: Who it is for; each has every right.
            lifetime: Seconds from now to its expiry; negative for one that has expired.

        Raises:
            ConfigError: Without TLS.
        """
        return self._parts.write_pem("proxy", lambda pki: pki.issue_proxy(subject, lifetime))

    def make_certificate(self, subject: str = "alice", *, lifetime: float = 3600.0) -> Path:
        """Return a new user certificate with its key, a PEM file until `close`.

        Args:
            subject: Who it is for; each has every right.
            lifetime: Seconds from now to its expiry.

        Raises:
            ConfigError: Without TLS.
        """
        return self._parts.write_pem("certificate", lambda pki: pki.issue_certificate(subject, lifetime))

    def settings(self) -> dict[str, str | bool]:
        """Return the settings for `Config(**settings)`, complete for a client of this server."""
        settings: dict[str, str | bool] = {"door_url": self.door_url}
        if self._plan.tls:
            settings |= {"token": self.token, "ca_path": str(self.ca_file)}
        return settings if self._plan.pool_tls else settings | {"allow_http_pools": True}

    def environ(self) -> dict[str, str]:
        """Return the same settings as environment variables; where a proxy is set, also those that lead past it."""
        environ = {"CTA_DOOR_URL": self.door_url, **past_proxies([self.door_url, *self.pool_urls])}
        if self._plan.tls:
            environ |= {"BEARER_TOKEN": self.token, "CTA_CA_PATH": str(self.ca_file)}
        return environ if self._plan.pool_tls else environ | {"CTA_ALLOW_HTTP_POOLS": "true"}

    # Logins

    @property
    def issuer(self) -> Issuer:
        """The OpenID provider whose tokens the door takes; the first look at it starts it."""
        with self._lock:
            if self._issuer is None:
                from ctadata_providers.testing.oidc.issuer import start_issuer

                self._issuer = start_issuer(self._plan, self._servers)
                self._tokens.readers.append(self._issuer.read_token)
            return self._issuer

    def oidc_settings(self, client: str = "public") -> dict[str, str | bool]:
        """Return the settings for `Config(**settings)` of a client that logs in at the issuer.

        Args:
            client: `public` for a person, `confidential` for one whose program has a secret, `robot` for client
                credentials; or the id of one that was added.

        Raises:
            ConfigError: When the client is not known.
        """
        settings = self.settings() | self.issuer.settings(client)
        return {name: value for name, value in settings.items() if name != "token"}

    def oidc_environ(self, client: str = "public") -> dict[str, str]:
        """Return the same settings as environment variables.

        Raises:
            ConfigError: When the client is not known.
        """
        environ = (self.environ() | self.issuer.environ(client)).items()
        return {name: value for name, value in environ if name != "BEARER_TOKEN"}

    @property
    def clock_ahead(self) -> float:
        """By how many seconds the clocks of the data centre are ahead of this machine's; 0 after `reset`."""
        return self._wall_clock.ahead

    @clock_ahead.setter
    def clock_ahead(self, seconds: float) -> None:
        self._wall_clock.ahead = seconds

    # What goes wrong

    @property
    def faults(self) -> Faults:
        """What goes wrong on purpose: `add(name, ...)` switches a fault on, `clear()` all of them off."""
        return self._faults

    def fault(
        self,
        name: FaultName,
        *,
        path: str = "/**",
        method: str | None = None,
        server: ServerName | None = None,
        times: int | None = None,
        **options: Unpack[FaultOptions],
    ) -> AbstractContextManager[Fault]:
        """Switch a fault on for a `with` block; as `faults.add`, which tells the arguments and errors."""
        added = self._faults.add(name, path=path, method=method, server=server, times=times, **options)
        return self._faults.during(added)

    def lift_bans(self) -> None:
        """Let every client in again that was banned."""
        self._parts.door.lift_bans()

    # What was asked

    @property
    def requests(self) -> list[LoggedRequest]:
        """What the servers were asked so far, in the order of their answers."""
        return self._log.requests()

    def clear_requests(self) -> None:
        """Forget what was asked so far."""
        self._log.clear()

    def reset(self) -> None:
        """Remove all files, transfers, faults, bans and remembered logins, and forget all requests, for the next test.

        Raises:
            ConfigError: When the folder served was given from outside.
        """
        if self._plan.root is not None:
            raise ConfigError("the served folder is not temporary", path=self._plan.root)
        self._faults.clear()
        self._plan.logins.forget()
        self._parts.door.lift_bans()
        for pool in self._parts.pools:
            pool.drop_transfers()
        self._storage.clear()
        if self._parts.services:
            self._parts.services.reset()
        self._log.clear()
        self._wall_clock.ahead = 0.0
        if self._issuer:
            self._issuer.reset()

    @property
    def _parts(self) -> Parts:
        return self._servers.parts

    @property
    def _storage(self) -> Storage:
        return self._parts.storage

    @property
    def _services(self) -> ServicesServer:
        if self._parts.services is None:
            raise ConfigError("FakeCta has no services", remedy="make it with services=True")
        return self._parts.services

    @property
    def _servers(self) -> Running:
        if self._running is None:
            raise ConfigError("FakeCta is not running", remedy="use it as a context manager, or call start()")
        return self._running

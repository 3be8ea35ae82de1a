"""The WebDAV door of the fake data centre: who may come in, and who does what is asked.

What is said here and beside of dCache was read in its webdav module and in Milton 2.7, unless another source is given.
"""

import itertools
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing import pages
from ctadata_providers.testing.bans import Bans
from ctadata_providers.testing.copying import Copying
from ctadata_providers.testing.exchange import Exchange, Refusal
from ctadata_providers.testing.logins import Logins
from ctadata_providers.testing.pool import Pool
from ctadata_providers.testing.reading import Reading
from ctadata_providers.testing.server import Server, Site
from ctadata_providers.testing.tokens import Login
from ctadata_providers.testing.writing import Writing

_OLDEST = (9, 2)
REALM = 'Basic realm="dCache"'
_METHODS = "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, MOVE, COPY, PROPFIND, PROPPATCH, LOCK, UNLOCK"

Handler = Callable[[Exchange, Login], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How a door behaves.

    Attributes:
        version: dCache's version, like 10.2.25, from 9.2.
        overwrite: `webdav.enable.overwrite`; False answers 409 to a PUT on an existing file.
        patience: Seconds for which the door waits for a pool (`webdav.service.poolmanager.timeout`), and a pool
            for a client.
        markers: Seconds from one performance marker of a copy to the next.
    """

    version: str = "10.2.25"
    overwrite: bool = True
    patience: float = 300.0
    markers: float = 5.0
    major: int = field(init=False)

    def __post_init__(self) -> None:
        found = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)*", self.version)
        if not found or (int(found[1]), int(found[2])) < _OLDEST:
            raise ConfigError(f"{self.version!r} is no known version of dCache", remedy="use one like 9.2 or 12.0.1")
        object.__setattr__(self, "major", int(found[1]))


class Door(Server):
    """The door.

    Args:
        site: Where it stands.
        pools: Where bytes are sent and received.
        logins: Who tells who asks.
        bans: Who is blocked; None for nobody ever.
        manners: How it behaves.
        port: The port, 0 for any free one.
        trust: What the certificates of other doors are checked against, in copies; None without TLS.
    """

    def __init__(
        self,
        site: Site,
        pools: Sequence[Pool],
        *,
        logins: Logins,
        bans: Bans | None,
        manners: Manners,
        port: int,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__("door", site, port=port)
        self._logins = logins
        self._bans = bans
        self._server_header = f"dCache/{manners.version} (fake)"
        turns = itertools.cycle(pools)
        reading = Reading(
            site.storage, turns, site.faults, url=self.url, version=manners.major, patience=manners.patience
        )
        writing = Writing(
            site.storage,
            turns,
            reading.facts,
            url=self.url,
            overwrite=manners.overwrite,
            patience=manners.patience,
        )
        copying = Copying(
            site.storage,
            server_header=self._server_header,
            trust=trust,
            seconds=manners.markers,
            patience=manners.patience,
            clock=site.clock,
        )
        self._handlers: dict[str, Handler] = {**reading.handlers, **writing.handlers, **copying.handlers}

    async def admit(self, exchange: Exchange) -> None:
        """Count the request, and see whether its client is banned."""
        # Seen in recent versions, for every HEAD (dCache issue 8005) and every Expect (5604).
        exchange.ends_connection = exchange.method == "HEAD" or exchange.expects_continue
        if self._bans:
            self._bans.admit(exchange.client)

    async def handle(self, exchange: Exchange) -> web.StreamResponse:
        """Answer a WebDAV request."""
        if exchange.method == "OPTIONS":
            headers = {"DAV": "1, 2", "MS-Author-Via": "DAV", "Allow": _METHODS}
            return web.Response(headers=self._headers(headers))
        login = self._logins.login(exchange)
        handler = self._handlers.get(exchange.method)
        if handler is None:
            if exchange.method == "POST":
                raise Refusal(405, "Method not allowed", {"Allow": _METHODS})
            raise Refusal(501, f"{exchange.method} is not implemented")
        response = await handler(exchange, login)
        if not response.prepared:
            response.headers.setdefault("Server", self._server_header)
        return response

    def refuse(self, exchange: Exchange, refusal: Refusal) -> web.Response:
        """Answer with one line of text, or HTML; the reason of a failed login stands in the status line."""
        headers = self._headers(refusal.headers)
        reason = None
        if refusal.status == 401:
            reason = refusal.text
            if exchange.headers.get("Suppress-WWW-Authenticate") != "1":
                headers["WWW-Authenticate"] = REALM
            if self._bans:
                self._bans.note_401(exchange.client)
        if refusal.status == 507:
            text, kind = pages.QUOTA_EXCEEDED, "application/xml"
        else:
            text, kind = pages.error_page(refusal.status, refusal.text, exchange.headers.get("Accept", ""))
        return web.Response(status=refusal.status, reason=reason, headers=headers, text=text, content_type=kind)

    def lift_bans(self) -> None:
        """Let every client in again."""
        if self._bans:
            self._bans.lift()

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"Server": self._server_header, **more}

"""The one listener of hub and services, where the hub's proxy would be."""

from collections.abc import Sequence

from aiohttp import web

from ctadata_providers.testing.door import Manners
from ctadata_providers.testing.exchange import Exchange, Refusal
from ctadata_providers.testing.pool import Pool
from ctadata_providers.testing.requestlog import ServerName
from ctadata_providers.testing.server import Server, Site
from ctadata_providers.testing.services.certificates import Certificates
from ctadata_providers.testing.services.certificateservice import CertificateService
from ctadata_providers.testing.services.downloadservice import DownloadService
from ctadata_providers.testing.services.gate import Answered, Gate
from ctadata_providers.testing.services.hub import SERVICES, Hub, failure, page
from ctadata_providers.testing.services.peers import Peer
from ctadata_providers.testing.services.process import Process
from ctadata_providers.testing.services.upstream import StorageKind, Upstream
from ctadata_providers.testing.services.users import UPLOAD_FOLDERS, decoded, stored_path

_SERVICES: dict[str, ServerName] = {
    "/services/downloadservice": "downloadservice",
    "/services/certificateservice": "certificateservice",
}


class ServicesServer(Server):
    """Hub, downloadservice and certificateservice at one origin.

    Args:
        site: Where they stand.
        pools: Where the storage sends clients, when it does.
        door_url: What pools take for the door.
        manners: How dCache behaves, which the storage is.
        storage_kind: What else the storage may be.
        ca_pem: Who must have signed the certificates that are uploaded; None without TLS.
        is_temporary: Whether the storage is made for this data centre, which then has the folders of all users.
    """

    def __init__(
        self,
        site: Site,
        pools: Sequence[Pool],
        *,
        door_url: str,
        manners: Manners,
        storage_kind: StorageKind,
        ca_pem: bytes | None,
        is_temporary: bool,
    ) -> None:
        super().__init__("hub", site)
        clock = site.clock
        self.hub = Hub(site.wall_clock)
        self.certificates = Certificates(ca_pem, site.wall_clock)
        self._is_temporary = is_temporary
        peer = Peer("hub", site.faults, clock)
        self._gates = {name: Gate(name, self.hub, peer, clock) for name in SERVICES}
        self._processes: dict[str, Process] = {name: Process(clock) for name in SERVICES}
        upstream = Upstream(site, pools, door_url=door_url, manners=manners, kind=storage_kind)
        self._certificateservice = CertificateService(self._gates["certificateservice"], self.certificates)
        self._downloadservice = DownloadService(
            self._gates["downloadservice"],
            self.certificates,
            Peer("certificateservice", site.faults, clock),
            upstream,
            self._processes["downloadservice"],
            url=self.url,
        )
        self._make_folders()

    def reset(self) -> None:
        """Be as at first: no memory of tokens, all threads free, everybody's certificates good."""
        for process in self._processes.values():
            process.renew()
        for gate in self._gates.values():
            gate.forget()
        self.certificates.reset()
        self._make_folders()

    def _make_folders(self) -> None:
        if self._is_temporary:
            for folder in UPLOAD_FOLDERS:
                self._storage.make_dirs(f"/{folder}/users")

    async def admit(self, exchange: Exchange) -> None:
        """Find out which server is asked, and by which paths its faults may know that."""
        prefix, below = _split(exchange.raw_path)
        if prefix:
            exchange.server = _SERVICES[prefix]
            path = decoded(below)
            name, _, rest = path[1:].partition("/")
            exchange.fault_paths = (exchange.path, path)
            if exchange.server == "downloadservice" and name in ("list", "fetch", "webdav", "upload"):
                exchange.fault_paths += (stored_path(rest)[0],)

    async def handle(self, exchange: Exchange) -> web.StreamResponse:
        """Answer a request."""
        if exchange.server == "hub":
            return self.hub.answer(exchange)
        process = self._processes[exchange.server]
        if fault := exchange.struck_by("crash"):
            process.die(fault.options.seconds)
            self._gates[exchange.server].forget()
        if process.is_dead:
            raise Refusal(503, "Service Unavailable")
        if process.stumbles():
            raise Refusal(500, "Internal Server Error")
        _, below = _split(exchange.raw_path)
        try:
            if exchange.server == "downloadservice":
                response = await self._downloadservice.handle(exchange, below)
            else:
                async with process.thread():
                    response = await self._certificateservice.handle(exchange, decoded(below))
        except Answered as answered:
            response = answered.response
        if not response.prepared:
            response.headers.setdefault("Server", "gunicorn")
        return response

    def refuse(self, exchange: Exchange, refusal: Refusal) -> web.Response:
        """Answer with a page, or as the hub's API does."""
        if exchange.server == "hub" and exchange.path.startswith("/hub/api"):
            response = failure(refusal.status, refusal.text)
        elif refusal.status == 401 and exchange.server != "hub":
            tells = exchange.server == "downloadservice"
            response = self._gates[exchange.server].turn_away(exchange, tells=tells)
        else:
            response = page(refusal.status, _titles.get(refusal.status, "Error"), refusal.text)
        response.headers.update(refusal.headers)
        return response


_titles = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
}
_titles |= {500: "Internal Server Error", 503: "Service Unavailable", 507: "Insufficient Storage"}


def _split(raw_path: str) -> tuple[str, str]:
    """Return the address of the service that a path leads to, none for the hub, and what is below it."""
    for prefix in _SERVICES:
        if raw_path == prefix or raw_path.startswith(f"{prefix}/"):
            return prefix, raw_path[len(prefix) :]
    return "", raw_path

"""Real servers as fixtures: started once a session, at their first use."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ctadata_providers import Config, CtaClient
from tests.servers.apache import apache
from tests.servers.nginx import nginx
from tests.servers.pki import Pki, make_pki
from tests.servers.server import Server
from tests.servers.tokens import TokenIssuer
from tests.servers.wsgidav import wsgidav
from tests.servers.xrootd import xrootd
from tests.servers.xrootd_cluster import xrootd_cluster

Start = Callable[[Pki, TokenIssuer], AbstractContextManager[Server]]

# Those that come from Debian packages; WsgiDAV does not, so it also runs in `make test`.
DEBIAN_SERVERS: dict[str, Start] = {
    "nginx": lambda pki, issuer: nginx(),
    "nginx-tls": lambda pki, issuer: nginx(pki=pki),
    "apache": lambda pki, issuer: apache(),
    "apache-tls": lambda pki, issuer: apache(pki=pki),
    "xrootd-http": lambda pki, issuer: xrootd(),
    "xrootd-token": lambda pki, issuer: xrootd("token", pki=pki, issuer=issuer),
    "xrootd-x509": lambda pki, issuer: xrootd("x509", pki=pki),
    "xrootd-cluster-http": lambda pki, issuer: xrootd_cluster(),
    "xrootd-cluster-token": lambda pki, issuer: xrootd_cluster(pki=pki, issuer=issuer),
    "xrootd-cluster-stripped": lambda pki, issuer: xrootd_cluster(pki=pki, issuer=issuer, strip_token=True),
}
SERVERS: dict[str, Start] = {"wsgidav": lambda pki, issuer: wsgidav(pki=pki), **DEBIAN_SERVERS}
# A manager takes a second or more for every name that is new to it: one cluster takes all tests, every
# cluster those of test_redirects.py.
CLUSTERS = ("xrootd-cluster-http", "xrootd-cluster-token", "xrootd-cluster-stripped")
ALL_TESTS = (*(name for name in SERVERS if name not in CLUSTERS), "xrootd-cluster-token")
_numbers = itertools.count(1)


def server_params(*names: str) -> list[object]:
    """Return parameters of `server`, those that need Debian packages marked `real`."""
    return [pytest.param(n, marks=[pytest.mark.real] if n in DEBIAN_SERVERS else []) for n in names]


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """A CA, a host certificate, a user and proxies."""
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def issuer() -> TokenIssuer:
    """Signs the tokens that XRootD takes."""
    return TokenIssuer()


@pytest.fixture(scope="session", params=server_params(*ALL_TESTS))
def server(request: pytest.FixtureRequest, pki: Pki, issuer: TokenIssuer) -> Iterator[Server]:
    """One running server after the other."""
    with SERVERS[request.param](pki, issuer) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[CtaClient]:
    """A client that may do everything on `server`."""
    with connect(server) as opened:
        yield opened


@pytest.fixture
def folder(server: Server) -> str:
    """A remote folder of the test's own; not made yet."""
    return f"/tests/{next(_numbers)}"


def connect(server: Server, **settings: str) -> AbstractContextManager[CtaClient]:
    """Return a client for a server with some settings changed; it tries once more only, to fail fast."""
    return CtaClient(Config.from_mapping({**server.settings(), "retries": "1", **settings}))


def tree(folder: Path) -> dict[str, bytes]:
    """Return the files below a local folder by relative path, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

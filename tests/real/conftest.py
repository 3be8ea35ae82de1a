"""Real servers as fixtures: started once a session, at their first use."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from ctadata_providers import Config, CtaClient
from tests.conformance.outcomes import *  # noqa: F403 (hooks)
from tests.servers.apache import apache
from tests.servers.nginx import nginx
from tests.servers.pki import Pki, make_pki
from tests.servers.server import Server
from tests.servers.tokens import TokenIssuer
from tests.servers.xrootd import xrootd
from tests.servers.xrootd_cluster import xrootd_cluster
from tests.servers.xrootd_installation import OWN, Installation, newer

Start = Callable[[Pki, TokenIssuer], AbstractContextManager[Server]]


def _xrootds(installation: Installation) -> dict[str, Start]:
    """Return the ways in which one installation of XRootD is run."""
    data, cluster = partial(xrootd, installation=installation), partial(xrootd_cluster, installation=installation)
    return {
        "xrootd-http": lambda pki, issuer: data(),
        "xrootd-token": lambda pki, issuer: data("token", pki=pki, issuer=issuer),
        "xrootd-x509": lambda pki, issuer: data("x509", pki=pki),
        "xrootd-redirecting-token": lambda pki, issuer: cluster(pki=pki, issuer=issuer, shared=True),
        "xrootd-redirecting-stripped": lambda pki, issuer: cluster(
            pki=pki, issuer=issuer, shared=True, strip_token=True
        ),
        "xrootd-cluster-http": lambda pki, issuer: cluster(),
        "xrootd-cluster-token": lambda pki, issuer: cluster(pki=pki, issuer=issuer),
        "xrootd-cluster-stripped": lambda pki, issuer: cluster(pki=pki, issuer=issuer, strip_token=True),
    }


NEWER = newer()
SERVERS: dict[str, Start] = {
    "apache": lambda pki, issuer: apache(),
    "apache-tls": lambda pki, issuer: apache(pki=pki),
    "nginx": lambda pki, issuer: nginx(),
    "nginx-tls": lambda pki, issuer: nginx(pki=pki),
    **_xrootds(OWN),
    **({f"newer-{name}": start for name, start in _xrootds(NEWER).items()} if NEWER else {}),
}
# A manager that asks takes a second for every name that is new to it: these take test_redirects.py and
# test_credentials.py, the whole suite runs on those that look themselves.
CLUSTERS = tuple(name for name in SERVERS if "-cluster-" in name)
TOKENS = tuple(name for name in SERVERS if name.endswith(("xrootd-token", "cluster-token", "cluster-stripped")))
CERTIFICATES = tuple(name for name in SERVERS if name.endswith("-x509"))
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """A CA, a host certificate, a user and proxies."""
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def issuer() -> TokenIssuer:
    """Signs the tokens that XRootD takes."""
    return TokenIssuer()


@pytest.fixture(scope="session", params=[name for name in SERVERS if name not in CLUSTERS])
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

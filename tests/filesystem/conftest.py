"""The storages on which `cta://` is tried; but for FakeCta they are real servers."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tests.conformance.conftest import fake_cta_server
from tests.servers.pki import make_pki
from tests.servers.server import Server
from tests.servers.tokens import TokenIssuer
from tests.servers.wsgidav import wsgidav
from tests.servers.xrootd import xrootd


@pytest.fixture(
    scope="session",
    params=[
        "fakecta",
        pytest.param("wsgidav", marks=pytest.mark.real),
        pytest.param("xrootd-http", marks=pytest.mark.real),
        pytest.param("xrootd-token", marks=[pytest.mark.real, pytest.mark.soak]),
    ],
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running server after the other."""

    def with_token() -> AbstractContextManager[Server]:
        return xrootd("token", pki=make_pki(tmp_path_factory.mktemp("pki")), issuer=TokenIssuer())

    starts = {"fakecta": fake_cta_server, "wsgidav": wsgidav, "xrootd-http": xrootd, "xrootd-token": with_token}
    with starts[request.param]() as running:
        yield running

"""The storages that need no system package, and what a test needs of them."""

from collections.abc import Iterator

import pytest

from tests.conformance.conftest import fake_cta_server
from tests.servers.server import Server
from tests.servers.wsgidav import wsgidav


@pytest.fixture(scope="session", params=["fakecta", "wsgidav"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One running server after the other."""
    with {"fakecta": fake_cta_server, "wsgidav": wsgidav}[request.param]() as running:
        yield running

"""The interface's own tests on a real server that needs no package."""

from collections.abc import Iterator

import pytest

from tests.servers.server import Server
from tests.servers.wsgidav import wsgidav
from tests.snakemake.interface import OnServer


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with wsgidav() as running:
        yield running


class TestWsgiDAV(OnServer):
    """On WsgiDAV."""

    __test__ = True

"""The storages that need no system package: memory, FakeCta, WsgiDAV."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ctadata_providers.testing import FakeCta
from tests.conformance.outcomes import *  # noqa: F403 (hooks)
from tests.conformance.storage import MemoryStorage, ServerStorage, Storage
from tests.servers.server import Server, work_folder
from tests.servers.wsgidav import wsgidav


@contextmanager
def fake_cta_server() -> Iterator[Server]:
    """Run a FakeCta on an empty folder; its bans, of an address, would reach from one test into the next."""
    with work_folder("fakecta") as root, FakeCta(root=root, bans=False) as cta:
        yield Server(name="fakecta", url=cta.door_url, root=root, ca_file=cta.ca_file, make_token=cta.make_token)


@pytest.fixture(scope="session", params=["memory", "fakecta", "wsgidav"])
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    """One storage after the other."""
    if request.param == "memory":
        yield MemoryStorage()
    else:
        with {"fakecta": fake_cta_server, "wsgidav": wsgidav}[request.param]() as server:
            yield ServerStorage(server)

"""The storages that need no system package: memory, FakeCta's door and services, WsgiDAV."""

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


@contextmanager
def fake_services(name: str) -> Iterator[Storage]:
    """Run the services of a FakeCta on an empty folder, in which alice has her own."""
    kind = "dcache" if name.endswith("-dcache") else "webdav"
    with work_folder(name) as root, FakeCta(root=root, bans=False, services=True, service_storage=kind) as cta:
        (root / "lst" / "users" / "alice").mkdir(parents=True)
        server = Server(name=name, url=cta.door_url, root=root)
        settings = {key: str(value) for key, value in cta.service_settings().items()}
        yield ServerStorage(server, home="/lst/users/alice", settings=settings)


@pytest.fixture(scope="session", params=["memory", "fakecta", "wsgidav", "services", "services-dcache"])
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    """One storage after the other."""
    if request.param == "memory":
        yield MemoryStorage()
    elif request.param.startswith("services"):
        with fake_services(request.param) as services:
            yield services
    else:
        with {"fakecta": fake_cta_server, "wsgidav": wsgidav}[request.param]() as server:
            yield ServerStorage(server)

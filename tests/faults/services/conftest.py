from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import CtaClient
from tests.faults.services.scripted import HOME, PATH, TOKEN, Client, Service


@pytest.fixture
def service(payload: bytes) -> Iterator[Service]:
    with Service(files={PATH: payload}, folders={HOME, "/lst/empty"}, ranges=True) as started:
        yield started


@pytest.fixture
def client_of_service(ca: Path, service: Service) -> Iterator[Client]:
    """Make clients of the service."""
    with ExitStack() as stack:

        def make(**settings: Any) -> CtaClient:
            how = {"retries": 1, "timeout": 1.0, "connect_timeout": 2.0, "ca_path": ca, "hub_token": TOKEN, **settings}
            return stack.enter_context(CtaClient(**{"service_url": service.service_url, **how}))

        yield make


@pytest.fixture
def client(client_of_service: Client) -> CtaClient:
    return client_of_service()

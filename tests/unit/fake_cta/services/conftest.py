from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.services.clients import Crowd, Service, asking


@pytest.fixture
def cta(fake_cta_services: FakeCta) -> FakeCta:
    return fake_cta_services


@pytest.fixture
def service(cta: FakeCta) -> Iterator[Service]:
    with asking(cta) as asker:
        yield asker


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with ThreadPoolExecutor(32) as pool:
        yield Crowd(pool)

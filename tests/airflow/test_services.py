"""A connection to the CTA services: their addresses and a hub token, no door."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.testing import FakeCta


@pytest.fixture
def services(store_connection: Callable[..., None]) -> Iterator[FakeCta]:
    with FakeCta(services=True, bans=False) as cta:
        settings = {name: value for name, value in cta.service_settings().items() if name != "backend"}
        store_connection("cta_services", extra=settings)
        yield cta


def test_a_connection_with_a_service_and_a_hub_token_is_enough(services: FakeCta, tmp_path: Path) -> None:
    from airflow_provider_cta.hooks.cta import CtaHook

    (tmp_path / "sent").write_bytes(b"events")
    hook = CtaHook(cta_conn_id="cta_services")
    with hook.get_conn() as client:
        home = client.home()
        client.upload(tmp_path / "sent", f"{home}/new/f.fits")
        client.download(f"{home}/new/f.fits", tmp_path / "received")

    assert home == "/lst/users/alice"
    assert client.config.backend == "downloadservice"
    assert (tmp_path / "received").read_bytes() == b"events"


def test_the_connection_can_be_tried(services: FakeCta) -> None:
    from airflow_provider_cta.hooks.cta import CtaHook

    works, said = CtaHook(cta_conn_id="cta_services").test_connection()

    assert works, said


def test_the_hub_token_is_masked(services: FakeCta, as_logged: Callable[[str], Any]) -> None:
    from airflow_provider_cta.hooks.cta import CtaHook

    with CtaHook(cta_conn_id="cta_services").get_conn() as client:
        client.stat("/lst")
        assert services.hub_token not in as_logged(f"token {services.hub_token}")

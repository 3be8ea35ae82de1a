"""One file has one name in Airflow."""

from typing import Any

import pytest
from airflow.sdk import Asset
from airflow_provider_cta.assets import address_of, asset_uri, cta_asset

from ctadata_providers import ConfigError

NAMES = [
    ("cta://lst/DL3/a.fits", "cta://lst/DL3/a.fits"),
    ("lst/DL3/", "cta://lst/DL3"),
    ("cta://prod@lst/a", "cta://lst/a"),
    ("cta:///lst/a", "cta://lst/a"),
    ("cta://lst/odd #1?%41 ü.fits", "cta://lst/odd%20%231%3F%2541%20%C3%BC.fits"),
    ("cta:///a@b/c", "cta://a%40b/c"),
    ("cta://lst", "cta://lst"),
]


@pytest.mark.parametrize(("address", "uri"), NAMES)
def test_an_address_becomes_a_uri_and_back(address: str, uri: str) -> None:
    assert cta_asset(address).uri == uri
    assert asset_uri(address_of(uri)) == uri
    assert asset_uri(address).rstrip("/") == uri


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("cta://lst/DL3/a.fits", "cta://lst/DL3/a.fits"),
        ("CTA://lst/DL3/", "cta://lst/DL3"),
        ("cta://conn@lst/a", "cta://lst/a"),
        ("cta://conn@/lst/a", "cta://lst/a"),
        ("cta:///lst/a", "cta://lst/a"),
        ("cta:///a@b/c", "cta://a%40b/c"),
        ("cta://lst/", "cta://lst"),
        ("cta://lst/a b", "cta://lst/a%20b"),
        ("cta://lst/a%20b", "cta://lst/a%20b"),
        ("cta://lst/%23", "cta://lst/%23"),
        ("cta://lst/ü", "cta://lst/%C3%BC"),
    ],
)
def test_airflow_makes_uris_canonical_by_our_handler(given: str, canonical: str) -> None:
    assert Asset(given).uri == canonical


@pytest.mark.parametrize("given", ["cta://", "cta:///", "cta://conn@", "cta://lst/a?b=c"])
def test_a_uri_that_would_be_another_file_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="cta asset"):
        Asset(given)


def test_an_address_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError):
        cta_asset("cta://lst/../a")


def test_the_asset_keeps_what_is_told_beside() -> None:
    assert cta_asset("lst/a", extra={"instance": "dev"}).extra == {"instance": "dev"}


def test_airflow_knows_handler_factory_and_converter() -> None:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    manager: Any = ProvidersManagerTaskRuntime()  # type: ignore[no-untyped-call]  # Airflow's

    assert "cta" in manager.asset_uri_handlers
    assert manager.asset_factories["cta"](address="lst/a b").uri == "cta://lst/a%20b"
    assert "cta" in manager.asset_to_openlineage_converters

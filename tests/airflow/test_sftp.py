"""Streams to and from a real SFTP server, with the connection of its provider."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow_provider_cta.transfers.cta_to_object_storage import CtaToObjectStorageOperator
from airflow_provider_cta.transfers.object_storage_to_cta import ObjectStorageToCtaOperator

from ctadata_providers import AlreadyExistsError, IntegrityError, NotFoundError
from ctadata_providers.testing import FakeCta
from tests.servers.sftp import Sftp, sftp

pytestmark = pytest.mark.real
LARGE = bytes(range(256)) * 100_000
SMALL = b"dark night"


@pytest.fixture(scope="module")
def server() -> Iterator[Sftp]:
    with sftp() as running:
        yield running


@pytest.fixture
def place(server: Sftp, cta_default: FakeCta, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a folder there, behind the connection `other`."""
    from airflow.sdk.io.store import _STORE_CACHE
    from sshfs import SSHFileSystem

    connection = {
        "conn_type": "sftp",
        "host": "localhost",
        "port": server.port,
        "login": server.user,
        "extra": {"key_file": str(server.key), "no_host_key_check": "true"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    yield f"sftp://other@{server.root}"
    _STORE_CACHE.clear()
    SSHFileSystem.clear_instance_cache()


def give(remote_path: Any, storage_path: Any, context: Any = None, **settings: Any) -> Any:
    return CtaToObjectStorageOperator(
        task_id="give", remote_path=remote_path, storage_path=storage_path, **settings
    ).execute(context or {})


def take(storage_path: Any, remote_path: Any, **settings: Any) -> Any:
    return ObjectStorageToCtaOperator(
        task_id="take", remote_path=remote_path, storage_path=storage_path, **settings
    ).execute({})


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_file_goes_there_and_back(data: bytes, place: str, server: Sftp, cta_default: FakeCta) -> None:
    cta_default.put("/lst/a", data)
    there = give("lst/a", f"{place}/new/a")
    back = take(f"{place}/new/a", "lst/b")

    assert (server.root / "new" / "a").read_bytes() == data
    assert cta_default.get("/lst/b") == data
    assert there["storage_path"] == back["storage_path"] == f"sftp://localhost:{server.port}{server.root}/new/a"
    assert there["checksums"] == back["checksums"]


def test_folders_and_patterns_go_both_ways(place: str, server: Sftp, cta_default: FakeCta) -> None:
    for name in ("a.fits", "b.fits", "deep/c.fits"):
        cta_default.put(f"/lst/night/{name}", name.encode())
    give("lst/night/", f"{place}/night")
    take(f"{place}/night/", "lst/tree")
    some = take(f"{place}/night/*.fits", "lst/some/")

    assert [cta_default.get(f"/lst/tree/{name}") for name in ("a.fits", "deep/c.fits")] == [b"a.fits", b"deep/c.fits"]
    assert [result["uri"] for result in some] == ["cta://lst/some/a.fits", "cta://lst/some/b.fits"]


def test_what_fails_leaves_nothing(place: str, server: Sftp, cta_default: FakeCta) -> None:
    cta_default.put("/lst/a", LARGE)
    with cta_default.fault("corrupt", server="pool", method="GET"), pytest.raises(IntegrityError):
        give("lst/a", f"{place}/broken/a")
    give("lst/a", f"{place}/old")
    with pytest.raises(AlreadyExistsError):
        give("lst/a", f"{place}/old", overwrite=False)
    with pytest.raises(NotFoundError):
        take(f"{place}/none", "lst/none")

    assert not (server.root / "broken" / "a").exists()


def test_its_files_are_assets_with_host_and_port(place: str, server: Sftp, cta_default: FakeCta) -> None:
    """As the provider of SFTP names them, in lineage and in outlets."""
    cta_default.put("/lst/a", SMALL)
    asset = Asset(f"sftp://localhost:{server.port}{server.root}/asset")
    events: dict[Any, Any] = {asset: SimpleNamespace(extra={})}
    operator = {"outlets": [asset]}
    give("lst/a", f"{place}/asset", {"outlet_events": events}, **operator)

    assert events[asset].extra["size"] == len(SMALL)

"""One file has one name, whoever of Airflow tells of it: assets, lineage, paths, buttons, OpenLineage."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.openlineage.facet import Dataset
from airflow.providers.common.io.operators.file_transfer import FileTransferOperator
from airflow.providers.openlineage.utils.utils import translate_airflow_asset
from airflow.sdk import Asset, ObjectStoragePath
from airflow.sdk.io.store import _STORE_CACHE
from airflow.sdk.lineage import HookLineageCollector
from airflow_provider_cta.assets import address_of, cta_asset
from airflow_provider_cta.links.cta import CtaDoorLink
from airflow_provider_cta.operators.cta import CtaCopyOperator, CtaDownloadOperator, CtaUploadOperator
from airflow_provider_cta.sensors.cta import CtaPathSensor

ADDRESS = "cta://lst/DL3/odd name ü+1.fits"
URI = "cta://lst/DL3/odd%20name%20%C3%BC%2B1.fits"
PATH = "/lst/DL3/odd name ü+1.fits"


@pytest.fixture
def path(cta_default: Any) -> Iterator[ObjectStoragePath]:
    """The path of a file that exists."""
    cta_default.put(PATH, b"abc")
    yield ObjectStoragePath(ADDRESS.replace("//", "//cta_default@"))
    _STORE_CACHE.clear()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> HookLineageCollector:
    """What collects lineage where something reads it."""
    made: Any = HookLineageCollector()
    for place in ("airflow.sdk.lineage", "airflow_provider_cta.operators.base"):
        monkeypatch.setattr(f"{place}.get_hook_lineage_collector", lambda: made)
    return made  # type: ignore[no-any-return]  # Airflow's


def test_assets_have_it(path: ObjectStoragePath) -> None:
    assets = [Asset(uri=ADDRESS), Asset(uri=path), Asset(uri=str(path)), cta_asset(ADDRESS), cta_asset(str(path))]

    assert {asset.uri for asset in assets} == {URI}
    assert address_of(URI) == ADDRESS


def test_lineage_has_it_whoever_moves_the_file(path: ObjectStoragePath, collector: Any, tmp_path: Path) -> None:
    local = f"file://{tmp_path}/a"
    with path.open("rb") as file:
        file.read()
    with path.open("wb") as file:
        file.write(b"abc")
    FileTransferOperator(task_id="down", src=path, dst=local).execute({})
    FileTransferOperator(task_id="up", src=local, dst=path, overwrite=True).execute({})
    settings: Any = {"remote_path": ADDRESS, "local_path": tmp_path / "a"}
    results = [
        CtaDownloadOperator(task_id="get", **settings).execute({}),
        CtaUploadOperator(task_id="put", **settings).execute({}),
        CtaDownloadOperator(task_id="path", remote_path=str(path), local_path=tmp_path / "a").execute({}),
        CtaCopyOperator(task_id="copy", source=str(path), target="lst/copy").execute({}),
    ]
    lineage = collector.collected_assets
    read, wrote = ({each.asset.uri for each in side} for side in (lineage.inputs, lineage.outputs))

    assert [result["uri"] for result in results] == [ADDRESS, ADDRESS, ADDRESS, "cta://lst/copy"]
    assert results[-1]["source"] == ADDRESS
    assert read - {local} == {URI}
    assert wrote - {local} == {URI, "cta://lst/copy"}
    assert sum(each.count for each in lineage.inputs if each.asset.uri == URI) == 5


def test_openlineage_has_it(path: ObjectStoragePath, tmp_path: Path) -> None:
    expected = Dataset(namespace="cta://lst", name="DL3/odd name ü+1.fits")
    transfer = FileTransferOperator(task_id="down", src=path, dst=f"file://{tmp_path}/a")
    told = transfer.get_openlineage_facets_on_start()

    assert translate_airflow_asset(Asset(uri=URI), None) == expected
    assert (path.namespace, path.key) == (expected.namespace, expected.name)
    assert told.inputs == [expected]
    assert translate_airflow_asset(Asset(uri="cta://lst"), None) == Dataset(namespace="cta://lst", name="/")


def test_openlineage_takes_it_from_the_operators(
    path: ObjectStoragePath, collector: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from airflow.providers.openlineage.extractors import manager

    monkeypatch.setattr("airflow.providers.common.compat.lineage.hook.get_hook_lineage_collector", lambda: collector)
    CtaUploadOperator(task_id="put", remote_path=ADDRESS, local_path=__file__).execute({})
    told = manager.ExtractorManager().get_hook_lineage()  # type: ignore[no-untyped-call]  # Airflow's

    assert [(dataset.namespace, dataset.name) for dataset in told.outputs] == [("cta://lst", "DL3/odd name ü+1.fits")]


def test_the_button_leads_to_it(path: ObjectStoragePath, cta_default: Any) -> None:
    url = f"{cta_default.door_url}/lst/DL3/odd%20name%20%C3%BC%2B1.fits"
    operators: list[Any] = [
        CtaDownloadOperator(task_id="get", remote_path=str(path), local_path="x"),
        CtaUploadOperator(task_id="put", remote_path=ADDRESS, local_path="x"),
        CtaCopyOperator(task_id="copy", source="lst/a", target=str(path)),
        CtaPathSensor(task_id="wait", path=ADDRESS),
    ]

    assert {CtaDoorLink().get_link(operator, ti_key=None) for operator in operators} == {url}


@pytest.mark.parametrize(("name", "cut"), [("a#1.fits", "a"), ("a?x.fits", "a"), ("50%41.fits", "50A.fits")])
def test_what_airflow_itself_cuts_off_a_path_is_whole_by_cta_asset(name: str, cut: str, cta_default: Any) -> None:
    path = ObjectStoragePath(f"cta://cta_default@lst/{name}")

    assert Asset(uri=path).uri == f"cta://lst/{cut}"
    assert address_of(cta_asset(str(path)).uri) == f"cta://lst/{name}"

"""What operators tell Airflow: the events of assets, and lineage."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow_provider_cta.operators.cta import CtaSyncOperator, CtaUploadOperator

from tests.airflow.operated import download, run, upload


class Events(dict[Any, Any]):
    """The outlet events of a task."""

    def __missing__(self, key: Any) -> Any:
        return self.setdefault(key, SimpleNamespace(extra={}))


def test_size_and_checksum_go_into_the_event_of_the_asset(cta_default: Any, tmp_path: Path) -> None:
    (tmp_path / "a b#1").write_bytes(b"abc")
    asset, other = Asset("cta://lst/a%20b%231"), Asset("cta://lst/other")
    events = Events()
    operator = CtaUploadOperator(
        task_id="put", local_path=tmp_path / "a b#1", remote_path="cta://lst/", outlets=[asset, other]
    )
    run(operator, {"outlet_events": events})

    assert events[asset].extra == {
        "size": 3,
        "checksums": {"adler32": "024d0127"},
        "instance": cta_default.door_url,
    }
    assert events[other].extra == {}


def test_a_folder_tells_its_size_to_its_asset(cta_default: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    asset = Asset("cta://lst/night")
    events = Events()
    operator = CtaUploadOperator(
        task_id="put", local_path=f"{tmp_path}/", remote_path="cta://lst/night/", outlets=[asset]
    )
    run(operator, {"outlet_events": events})

    assert events[asset].extra == {"size": 3, "files": 1, "instance": cta_default.door_url}


def test_an_alias_gets_the_asset_of_each_upload(cta_default: Any, tmp_path: Path) -> None:
    told: list[tuple[str, Any]] = []
    events = SimpleNamespace(add=lambda asset, extra: told.append((asset.uri, extra["size"])))
    (tmp_path / "a #1").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"x")
    operator = CtaUploadOperator(
        task_id="put",
        local_path=[tmp_path / "a #1", tmp_path / "b"],
        remote_path="lst/night/",
        outlets=[AssetAlias("nights")],
    )
    run(operator, {"outlet_events": {AssetAlias("nights"): events}})

    assert sorted(told) == [("cta://lst/night/a%20%231", 3), ("cta://lst/night/b", 1)]


def test_lineage_has_the_canonical_name(cta_default: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str, Any]] = []
    collector = SimpleNamespace(
        add_input_asset=lambda context, uri, asset_extra: told.append(("in", uri, asset_extra)),
        add_output_asset=lambda context, uri, asset_extra: told.append(("out", uri, asset_extra)),
    )
    monkeypatch.setattr("airflow_provider_cta.operators.base.get_hook_lineage_collector", lambda: collector)
    cta_default.put("/lst/night/odd #1%.fits", b"x")
    download("cta://cta_default@lst/night/odd #1%.fits", tmp_path / "a")
    upload([tmp_path / "a"], "lst/night/")
    run(CtaSyncOperator(task_id="sync", source="cta://lst/night/", target=tmp_path / "synced"))
    run(CtaSyncOperator(task_id="sync", source=tmp_path / "synced", target="cta://lst/synced"))

    beside = {"instance": cta_default.door_url}
    assert told == [
        ("in", "cta://lst/night/odd%20%231%25.fits", beside),
        ("out", "cta://lst/night/a", beside),
        ("in", "cta://lst/night", beside),
        ("out", "cta://lst/synced", beside),
    ]

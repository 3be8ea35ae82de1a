"""The example DAG on the CTA services: the connection has the address of one and a hub token, no door."""

from pathlib import Path
from typing import Any

from astropy.table import Table  # type: ignore[import-untyped]  # astropy ships no type information

from ctadata_providers.testing.samples import write_night
from tests.airflow.test_example import cta_night

__all__ = ["cta_night"]  # a fixture

HOME = "/lst/users/alice"


def test_the_example_stores_its_results_in_the_own_folder(
    cta_night: Any,
    fake_cta_services: Any,
    store_connection: Any,
    tmp_path: Path,
) -> None:
    cta = fake_cta_services
    extra = {
        "service_url": cta.service_url,
        "hub_token": cta.hub_token,
        "ca_path": str(cta.ca_file),
        "retries": 1,
    }
    store_connection("cta_default", extra=extra)
    write_night(tmp_path / "night", runs=[41, 7], seed=3)
    for file in (tmp_path / "night").rglob("*.gz"):
        cta.put(f"/lst/DL3/a night/{file.relative_to(tmp_path / 'night')}", file.read_bytes())
    before = cta.paths()
    params = {"night": "cta://lst/DL3/a night", "out": f"cta:/{HOME}/new", "work": str(tmp_path / "work")}
    finished = cta_night.test(run_conf=params)
    states = {str(task.state) for task in finished.get_task_instances()}
    table = Table.read(cta.get(f"{HOME}/new/table.ecsv").decode(), format="ascii.ecsv")

    assert states == {"success"}
    assert set(cta.paths()) - set(before) == {f"{HOME}/new/table.ecsv", f"{HOME}/new/plot.png"}
    assert list(table["OBS_ID"]) == [7, 41]
    assert {request.server for request in cta.requests} <= {"downloadservice", "hub"}

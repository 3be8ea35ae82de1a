"""The example DAG, parsed as Airflow parses a DAGs folder and run on a small night."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table  # type: ignore[import-untyped]  # astropy ships no type information

from ctadata_providers.testing.samples import write_night

WORKFLOWS = Path(__file__).parents[2] / "example_workflows"


@pytest.fixture
def cta_night(airflow_database: None, airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the DAG from a DAGs folder with the files that it needs."""
    from airflow.dag_processing.dagbag import BundleDagBag

    # Airflow puts the DAGs folder on Python's path and leaves it there.
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = airflow_home / "dags"
    files = [shutil.copy(WORKFLOWS / name, folder) for name in ("airflow/cta_night.py", "dl3_analysis.py")]
    try:
        bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")

        assert bag.import_errors == {}
        assert bag.dag_ids == ["cta_night"]
        yield bag.dags["cta_night"]
    finally:
        for file in files:
            Path(file).unlink()


def test_its_work_lies_in_airflows_own_folder(cta_night: Any, airflow_home: Path) -> None:
    assert cta_night.params["work"] == str(airflow_home / "cta_night")  # in /tmp another user may have made the folder


def test_dag_stores_a_table_of_the_runs_in_the_index_and_a_plot(
    cta_night: Any, cta_default: Any, tmp_path: Path
) -> None:
    write_night(tmp_path / "night", runs=[41, 7], seed=3)
    for file in (tmp_path / "night").rglob("*.gz"):
        cta_default.put(f"/lst/DL3/a night/{file.relative_to(tmp_path / 'night')}", file.read_bytes())
    before = cta_default.paths()
    params = {"night": "cta://lst/DL3/a night", "out": "cta://lst/users/alice", "work": str(tmp_path / "work")}
    finished = cta_night.test(run_conf=params)
    tasks = {(task.task_id, task.map_index): str(task.state) for task in finished.get_task_instances()}
    table = Table.read(cta_default.get("/lst/users/alice/table.ecsv").decode(), format="ascii.ecsv")

    assert set(tasks.values()) == {"success"}
    assert {index for name, index in tasks if name == "one_run.histogram"} == {0, 1}
    assert set(cta_default.paths()) - set(before) == {"/lst/users/alice/table.ecsv", "/lst/users/alice/plot.png"}
    assert list(table["OBS_ID"]) == [7, 41]
    assert (table["SIGNIFICANCE"] > 5).all()
    assert cta_default.get("/lst/users/alice/plot.png").startswith(b"\x89PNG")


@pytest.mark.parametrize("address", ["/lst/DL3/20241114", "cta://lst/DL3/20241114/"])
def test_dag_refuses_a_night_that_is_no_address_of_a_folder(cta_night: Any, address: str) -> None:
    with pytest.raises(ValueError, match="does not match"):
        cta_night.params["night"] = address

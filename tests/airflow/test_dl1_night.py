"""The nightly pipeline in one process: from the arrival of DL1 files to the good runs that the second DAG chooses."""

import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from astropy.table import Table  # type: ignore[import-untyped]  # astropy ships no type information

from ctadata_providers.testing.dl1_samples import write_dl1_night

WORKFLOWS = Path(__file__).parents[2] / "example_workflows"
FILES = ("airflow/cta_dl1_night.py", "airflow/cta_dl3.py", "dl1_quality.py")


@pytest.fixture
def dags(airflow_database: None, airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Return both DAGs from a DAGs folder with the files that they need."""
    from airflow.dag_processing.dagbag import BundleDagBag

    # Airflow puts the DAGs folder on Python's path and leaves it there.
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = airflow_home / "dags"
    files = [shutil.copy(WORKFLOWS / name, folder) for name in FILES]
    try:
        bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")

        assert bag.import_errors == {}
        yield dict(bag.dags)
    finally:
        for file in files:
            Path(file).unlink()


@pytest.fixture
def events_are_consumed(airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a run all asset events that there are, as the scheduler gives it those that started it."""
    from airflow.models import dagrun
    from airflow.models.asset import AssetEvent
    from sqlalchemy import select

    create = dagrun.get_or_create_dagrun

    def with_events(**options: Any) -> Any:
        run = create(**options)
        session = options["session"]
        run.consumed_asset_events.extend(session.scalars(select(AssetEvent)))
        session.commit()
        return run

    monkeypatch.setattr(dagrun, "get_or_create_dagrun", with_events)


def states(run: Any) -> dict[tuple[str, int], str]:
    return {(task.task_id, task.map_index): str(task.state) for task in run.get_task_instances()}


def unpause(dag_id: str) -> None:
    """Let events start a DAG."""
    from airflow.models import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(is_paused=False))


def waiting_for_events() -> list[str]:
    """Return the DAGs that the scheduler would start now."""
    from airflow.models.asset import AssetDagRunQueue
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return [row.target_dag_id for row in session.scalars(select(AssetDagRunQueue))]


@pytest.mark.parametrize("name", ["cta_dl1_night", "cta_dl3"])
def test_their_work_lies_in_airflows_own_folder(name: str, dags: dict[str, Any], airflow_home: Path) -> None:
    assert dags[name].params["work"] == str(airflow_home / name)


def test_a_night_is_summarised_and_the_dag_that_its_table_starts_chooses_the_good_runs(
    dags: dict[str, Any], cta_default: Any, write_dag: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    for file in write_dl1_night(tmp_path / "night", runs=[7, 41], subruns=2, events=2000, cloudy=[41]):
        cta_default.put(f"/lst/DL1/20241114/v0.1/{file.name}", file.read_bytes())
    out = "/lst/users/alice/20241114"
    for dag in dags.values():
        write_dag(dag)
    unpause("cta_dl3")
    params = {"night": "20241114", "subruns": 4, "calm": 0, "out": "cta://lst/users/alice", "work": str(tmp_path / "w")}
    first = states(dags["cta_dl1_night"].test(run_conf=params))
    night = Table.read(cta_default.get(f"{out}/dl1_quality.ecsv").decode(), format="ascii.ecsv")

    assert set(first.values()) == {"success"}
    assert {index for name, index in first if name == "subrun.summarise"} == {0, 1, 2, 3}
    assert night["OBS_ID"].tolist() == [7, 7, 41, 41]
    assert cta_default.get(f"{out}/dl1_quality.png").startswith(b"\x89PNG")
    assert waiting_for_events() == ["cta_dl3"]

    request.getfixturevalue("events_are_consumed")
    second = states(dags["cta_dl3"].test(run_conf={"work": str(tmp_path / "w")}))
    good = Table.read(cta_default.get(f"{out}/good_runs.ecsv").decode(), format="ascii.ecsv")

    assert set(second.values()) == {"success"}
    assert good["OBS_ID"].tolist() == [7]


@pytest.mark.parametrize(
    ("logical_date", "run_after"),
    [
        (datetime(2024, 11, 15, 12, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
        (None, datetime(2024, 11, 15, 9, tzinfo=UTC)),  # as by `airflow dags trigger`; there is no `ds` then
    ],
)
def test_without_a_night_it_is_that_before_the_run(
    logical_date: datetime | None, run_after: datetime, dags: dict[str, Any]
) -> None:
    (sensor,) = [task for task in dags["cta_dl1_night"].tasks if task.task_id == "night_is_there"]
    params = {"dl1": "cta://lst/DL1", "version": "v0.1", "night": None}
    dag_run = SimpleNamespace(logical_date=logical_date, run_after=run_after)
    rendered = sensor.render_template(sensor.path, {"params": params, "dag_run": dag_run, "macros": macros()})

    assert rendered == "cta://lst/DL1/20241114/v0.1/dl1_LST-1.Run*.*.h5"


def macros() -> Any:
    from airflow.sdk.execution_time.macros import __dict__ as names

    return names

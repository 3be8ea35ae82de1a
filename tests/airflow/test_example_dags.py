"""The provider's own example DAGs, which the documentation shows: they are found by Airflow, and they run."""

from pathlib import Path
from typing import Any

import pytest

NIGHT = "cta://lst/DL3/20241114"


@pytest.fixture(scope="module")
def example_dags(airflow_database: None) -> dict[str, Any]:
    """Return the DAGs of the package, parsed as Airflow does."""
    import airflow_provider_cta
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = Path(airflow_provider_cta.__file__).parent / "example_dags"
    bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")

    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture
def night(cta_default: Any) -> Any:
    """Return a data centre with a night."""
    for name in ("hdu-index.fits", "run1.fits", "run2.fits", "run0_old.fits"):
        cta_default.put(f"/lst/DL3/20241114/{name}", name.encode() * 100)
    return cta_default


def states(run: Any) -> dict[tuple[str, int], str]:
    return {(task.task_id, task.map_index): str(task.state) for task in run.get_task_instances()}


def test_transfers(example_dags: dict[str, Any], write_dag: Any, night: Any, airflow_home: Path) -> None:
    write_dag(example_dags["example_cta_transfers"])
    params = {"night": NIGHT, "out": "cta://lst/users/alice"}
    ended = states(example_dags["example_cta_transfers"].test(run_conf=params))
    (summary,) = airflow_home.glob("example_cta/*/out/summary.txt")  # in /tmp another user may have made the folder

    assert set(ended.values()) == {"success"}
    assert sorted(index for name, index in ended if name == "fetch") == [0, 1, 2]
    assert sorted(index for name, index in ended if name == "copy") == [0, 1]
    assert [line.split()[0] for line in summary.read_text().splitlines()] == [
        f"{NIGHT}/{name}" for name in ("hdu-index.fits", "run1.fits", "run2.fits")
    ]
    assert [path for path in night.paths() if path.startswith("/lst/users")] == [], "what was stored is removed"
    assert {request.path for request in night.requests if request.method == "PUT"}


def test_waiting(example_dags: dict[str, Any], write_dag: Any, night: Any) -> None:
    write_dag(example_dags["example_cta_waiting"])
    run = example_dags["example_cta_waiting"].test(run_conf={"night": NIGHT})
    results = {task.task_id: task.xcom_pull(task_ids=task.task_id) for task in run.get_task_instances()}

    assert set(states(run).values()) == {"success"}
    assert results["index"] == [f"{NIGHT}/hdu-index.fits"]
    assert results["runs"] == [f"{NIGHT}/{name}.fits" for name in ("run0_old", "run1", "run2")]
    assert len(results["both"]) == 4
    assert results["large_enough"] == 100 * len("run0_old.fitsrun1.fitsrun2.fits")


def test_a_dag_for_arrivals_has_its_watcher(example_dags: dict[str, Any]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    serialized = str(DagSerialization.to_dict(example_dags["example_cta_on_arrival"]))

    assert "airflow_provider_cta.triggers.cta.CtaFolderTrigger" in serialized
    assert "cta://lst/DL3/20241114" in serialized


def test_airflow_finds_the_folder_of_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.dag_processing.bundles import manager

    bundles: list[Any] = []
    manager._add_provider_example_dags_to_bundle(bundles)

    assert any("airflow_provider_cta" in str(bundle) or "airflow-provider-cta" in str(bundle) for bundle in bundles)

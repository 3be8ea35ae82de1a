"""A whole triggerer that is killed while copies are under way and sensors wait, and the next one."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.testing import FakeCta
from tests.servers.airflow import Airflow, apart, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

PATIENCE = 120.0
SENSORS = 50
INTERVAL = 2.0
"""Seconds from look to look, as tests.servers.airflow sets it."""
DATA = b"events" * 50_000
RUNS = ["early.fits", "late1.fits", "late2.fits"]
DAGS = f"""
from airflow.sdk import DAG
from airflow_provider_cta.operators.cta import CtaCopyOperator
from airflow_provider_cta.sensors.cta import CtaPathSensor

with DAG("copies", schedule=None):
    runs = ["lst/night/" + name for name in {RUNS}]
    CtaCopyOperator(task_id="list", source=runs, target="cta://site@lst/list/", deferrable=True)
    CtaCopyOperator(task_id="folder", source="lst/night/", target="cta://site@lst/folder", deferrable=True)

with DAG("waiting", schedule=None):
    for number in range({SENSORS}):
        path = f"lst/arrivals/{{number}}"
        CtaPathSensor(task_id=f"wait_{{number}}", path=path, deferrable=True, start_from_trigger=True)
"""


@pytest.fixture
def here() -> Iterator[FakeCta]:
    """A data centre with a night of three runs, and a folder that something arrives in."""
    with FakeCta(markers=0.5) as cta:
        for number, name in enumerate(RUNS):
            cta.put(f"/lst/night/{name}", DATA + bytes(number))
        cta.put("/lst/arrivals/other", b"")
        yield cta


@pytest.fixture
def site() -> Iterator[FakeCta]:
    """Another one, empty."""
    with FakeCta(markers=0.5) as cta:
        yield cta


@pytest.fixture
def airflow(here: FakeCta, site: FakeCta, tmp_path: Path) -> Iterator[Airflow]:
    home, dags = tmp_path / "home", tmp_path / "dags"
    for folder in (home, dags):
        folder.mkdir()
    (dags / "dags.py").write_text(DAGS)
    connections = {
        name: {"door_url": cta.door_url, "ca_path": str(cta.ca_file), "token": cta.token, "copy_hosts": "localhost"}
        for name, cta in {"cta_default": here, "site": site}.items()
    }
    with apart(home, dags, connections) as running:
        running.unpause("copies", "waiting")
        yield running


def states(airflow: Airflow, dag_id: str, run: str) -> set[Any]:
    return {task["state"] for task in airflow.tasks(dag_id, run)}


def looks(here: FakeCta) -> int:
    """Return how often somebody has looked at the folder of arrivals."""
    asked = [request.path.rstrip("/") for request in here.requests if request.method == "PROPFIND"]
    return asked.count("/lst/arrivals")


def whole(site: FakeCta) -> list[str]:
    """Return the paths of what is whole, and make sure that it is right."""
    done = [path for path in site.paths() if path.endswith(RUNS[0])]
    assert all(site.get(path) == DATA for path in done)
    return done


def check_looks(here: FakeCta) -> None:
    """All sensors share a look an interval: several looks take several of them, however busy the machine is."""
    before, begun = looks(here), time.monotonic()
    until(lambda: looks(here) >= before + 4, "the sensors look on", patience=PATIENCE)

    assert time.monotonic() - begun > 1.5 * INTERVAL


def test_the_next_triggerer_ends_the_copies_and_the_sensors_of_one_that_was_killed(
    airflow: Airflow, here: FakeCta, site: FakeCta
) -> None:
    waiting = airflow.trigger("waiting", {})
    until(lambda: states(airflow, "waiting", waiting) == {"deferred"}, "the sensors wait", patience=PATIENCE)
    with here.fault("stall", path="/lst/night/late*", server="pool", method="GET", after=100_000):
        copies = airflow.trigger("copies", {})
        until(lambda: len(site.paths()) == 6 and len(whole(site)) == 2, "all copies are under way", patience=PATIENCE)
        airflow.kill("triggerer")
        until(lambda: site.paths() == whole(site), "nothing partial is left", patience=PATIENCE)
    airflow.start("triggerer")
    airflow.finish("copies", copies, patience=PATIENCE)
    check_looks(here)
    for number in range(SENSORS):
        here.put(f"/lst/arrivals/{number}", b"x")
    airflow.finish("waiting", waiting, patience=PATIENCE)
    made = [request.path for request in site.requests if request.method == "COPY"]

    assert site.paths() == [f"/lst/{folder}/{name}" for folder in ("folder", "list") for name in RUNS]
    assert [site.get(path) for path in site.paths()] == [DATA + bytes(number) for number in range(3)] * 2
    assert len(made) == 6 + 4, "what was whole was not copied again"

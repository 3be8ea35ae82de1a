"""The nightly pipeline in whole Airflows: standalone, and with Celery workers, one of which is killed on the way."""

import importlib.util
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from astropy.table import Table  # type: ignore[import-untyped]  # astropy ships no type information

from ctadata_providers.testing import FakeCta
from ctadata_providers.testing.dl1_samples import write_dl1_night
from ctadata_providers.testing.oidc.issuer import Issuer
from ctadata_providers.testing.oidc.keys import signing_key
from tests.canaries import Canaries
from tests.servers.airflow import WORKERS, Airflow, celery, standalone, until
from tests.servers.pki import Pki
from tests.servers.server import Server
from tests.servers.tokens import TokenIssuer
from tests.servers.xrootd import xrootd

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
FULL = (pytest.mark.soak, pytest.mark.timeout(3600))

WORKFLOWS = Path(__file__).parents[2] / "example_workflows"
NIGHT, OUT, ARRIVALS = "/lst/DL1/20241114/v0.1", "/lst/users/alice/20241114", "/lst/arrivals"
TOKEN_LIFE = 30.0
LARGE_EVENTS, LIMIT_RATE = 60_000, "700k"
"""Make a file of 3.5 MB, which the limit of the connection lets take some seconds."""
INTERVAL = 2.0
"""Seconds from look to look, as tests.servers.airflow sets it."""
SENSORS = 50
"""Of a DAG: Airflow sends the whole DAG to its triggerer with each sensor that begins there."""
WAITING = """
from airflow.sdk import DAG
from airflow_provider_cta.sensors.cta import CtaPathSensor

for first in range(0, {count}, {each}):
    with DAG(f"waiting_{{first}}", schedule=None):
        for number in range(first, first + {each}):
            CtaPathSensor(
                task_id=f"wait_{{number}}",
                path=f"cta:/{arrivals}/{{number}}",
                deferrable=True,
                start_from_trigger=True,
                end_from_trigger=True,
            )
"""

_spec = importlib.util.spec_from_file_location("dl1_quality", WORKFLOWS / "dl1_quality.py")
assert _spec is not None
assert _spec.loader is not None
quality = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(quality)

Asked = tuple[str, str, str | None]
"""What a door was asked: the method, the path, and the range of a GET."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A storage, and a robot's connection to it.

    Attributes:
        connection: The extra of the connection.
        put: Store a file behind the server's back.
        get: Read one.
        asked: Return what the door was asked.
        issuer: Where the robot gets its tokens.
    """

    connection: dict[str, Any]
    put: Callable[[str, bytes], object]
    get: Callable[[str], bytes]
    asked: Callable[[], list[Asked]]
    issuer: Issuer


class SandboxIssuer(TokenIssuer):
    """The issuer of a sandbox, as XRootD is told of it."""

    def jwks(self) -> dict[str, Any]:
        return {"keys": [signing_key().jwk]}


@contextmanager
def sandbox(pki: Pki, folder: Path) -> Iterator[Place]:
    with FakeCta() as cta:
        cta.issuer.configure(token_lifetime=TOKEN_LIFE)
        yield Place(
            connection={**robot(cta), "door_url": cta.door_url, "ca_path": str(cta.ca_file)},
            put=cta.put,
            get=cta.get,
            asked=lambda: [(one.method, one.path, one.headers.get("range")) for one in cta.requests],
            issuer=cta.issuer,
        )


@contextmanager
def real_xrootd(pki: Pki, folder: Path) -> Iterator[Place]:
    with FakeCta() as cta, xrootd("token", pki=pki, issuer=SandboxIssuer(cta.issuer.url)) as server:
        cta.issuer.configure(token_lifetime=TOKEN_LIFE)
        assert cta.ca_file is not None
        both = folder / "ca.pem"
        both.write_bytes(cta.ca_file.read_bytes() + pki.ca_file.read_bytes())
        yield Place(
            connection={**robot(cta), "door_url": server.url, "ca_path": str(both)},
            put=server.put,
            get=lambda path: (server.root / path.lstrip("/")).read_bytes(),
            asked=lambda: in_log(server),
            issuer=cta.issuer,
        )


def robot(cta: FakeCta) -> dict[str, Any]:
    return {**cta.oidc_settings("robot"), "limit_rate": LIMIT_RATE}


def in_log(server: Server) -> list[Asked]:
    """Return what XRootD says that it was asked, as long as it was asked one thing at a time."""
    asked: list[Asked] = []
    assert server.log is not None
    for line in re.findall(r"got hdr line: (.*?)\s*\n", server.log.read_text(errors="replace")):
        if line.endswith(" HTTP/1.1"):
            method, path, _ = line.split()
            asked.append((method, path, None))
        elif line.startswith("Range: ") and asked:
            asked[-1] = (*asked[-1][:2], line.removeprefix("Range: "))
    return asked


ENGINES = {"standalone": standalone, "celery": celery}
PLACES = {"sandbox": sandbox, "xrootd": real_xrootd}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An Airflow with the example DAGs, a storage, and a night that has not quite arrived.

    Attributes:
        files: The subruns of the night; the first is large, and not stored yet.
        work: For local files of tasks.
    """

    airflow: Airflow
    place: Place
    files: list[Path]
    work: Path


@contextmanager
def scene(engine: str, place: str, *, subruns: int, sensors: int, pki: Pki, folder: Path) -> Iterator[Scene]:
    dags, home, work = (folder / name for name in ("dags", "home", "work"))
    for made in (dags, home, work):
        made.mkdir()
    for name in ("airflow/cta_dl1_night.py", "airflow/cta_dl3.py", "dl1_quality.py"):
        shutil.copy(WORKFLOWS / name, dags)
    (dags / "waiting.py").write_text(WAITING.format(count=sensors, each=SENSORS, arrivals=ARRIVALS))
    files = write_dl1_night(folder / "night", runs=[7], subruns=1, events=LARGE_EVENTS)
    files += write_dl1_night(folder / "night", runs=[41], subruns=subruns - 1, events=1000)
    with ExitStack() as stack:
        stored = stack.enter_context(PLACES[place](pki, folder))
        for file in files[1:]:
            stored.put(f"{NIGHT}/{file.name}", file.read_bytes())
        stored.put(f"{ARRIVALS}/other", b"")
        airflow = stack.enter_context(ENGINES[engine](home, dags, {"cta_default": stored.connection}))
        airflow.unpause("cta_dl1_night", "cta_dl3", *waiting_dags(sensors))
        yield Scene(airflow=airflow, place=stored, files=files, work=work)


def waiting_dags(sensors: int) -> list[str]:
    return [f"waiting_{first}" for first in range(0, sensors, SENSORS)]


def start_sensors(scene: Scene, count: int) -> dict[str, str]:
    """Start so many sensors and return the run of each DAG when all of them wait."""
    runs = {dag_id: scene.airflow.trigger(dag_id, {}) for dag_id in waiting_dags(count)}
    for dag_id, run in runs.items():

        def all_wait(dag_id: str = dag_id, run: str = run) -> bool:
            return {task["state"] for task in scene.airflow.tasks(dag_id, run)} == {"deferred"}

        until(all_wait, f"the sensors of {dag_id} wait", patience=60 + count, pause=1)
    return runs


def check_looks(scene: Scene, seconds: float) -> None:
    """All sensors of a folder share one look an interval."""

    def looks() -> int:
        return [path.rstrip("/") for method, path, _ in scene.place.asked() if method == "PROPFIND"].count(ARRIVALS)

    begun, before = time.monotonic(), looks()
    time.sleep(seconds)
    made = looks() - before

    assert 1 <= made <= (time.monotonic() - begun) / INTERVAL + 1


def start_night(scene: Scene) -> str:
    """Start the pipeline, and let the last file arrive when it waits for that."""
    conf = {"night": "20241114", "subruns": len(scene.files), "calm": 0, "out": "cta:/" + OUT.rpartition("/")[0]}
    run = scene.airflow.trigger("cta_dl1_night", {**conf, "work": str(scene.work)})

    def waits() -> bool:
        states = {task["task_id"]: task["state"] for task in scene.airflow.tasks("cta_dl1_night", run)}
        return states.get("night_is_there") == "deferred"

    until(waits, "the pipeline waits", patience=120)
    scene.place.put(f"{NIGHT}/{scene.files[0].name}", scene.files[0].read_bytes())
    return run


def kill_what_fetches(scene: Scene) -> None:
    """Wait until the large file is fetched in part; then kill the Celery worker, or else the process of the task."""
    size = scene.files[0].stat().st_size
    fetching: list[psutil.Process] = []

    def is_half() -> bool:
        assert "failed" not in scene.airflow.runs("cta_dl1_night").values()
        for told in scene.work.glob(f"*/.{scene.files[0].name}.*.json.ctapart"):
            part = told.with_name(told.name.replace(".json.", "."))
            if part.exists() and size / 3 < part.stat().st_blocks * 512 < size:
                fetching[:] = [psutil.Process(json.loads(told.read_text().partition("\n")[0])["pid"])]
        return bool(fetching)

    until(is_half, "the large file is fetched in part", patience=60 + 10 * len(scene.files))
    above = {process.pid for process in fetching[0].parents()}
    worker = next((name for name in WORKERS if scene.airflow.pids.get(name) in above), None)
    if worker:
        scene.airflow.kill(worker)
    else:
        fetching[0].kill()


def check_night(scene: Scene, run: str) -> None:
    """The pipeline ends well, what it has stored is right, and the second DAG has chosen the good run."""
    tasks = scene.airflow.finish("cta_dl1_night", run, patience=180 + 15 * len(scene.files))
    right = scene.work / "right.ecsv"
    quality.merge(map(quality.summarise, scene.files)).write(right)
    until(lambda: scene.airflow.runs("cta_dl3"), "the second DAG starts", patience=60)
    scene.airflow.finish("cta_dl3", next(iter(scene.airflow.runs("cta_dl3"))), patience=180)
    good = Table.read(scene.place.get(f"{OUT}/good_runs.ecsv").decode(), format="ascii.ecsv")
    fetches = [task for task in tasks if task["task_id"] == "subrun.fetch"]

    assert scene.place.get(f"{OUT}/dl1_quality.ecsv") == right.read_bytes()
    assert scene.place.get(f"{OUT}/dl1_quality.png").startswith(b"\x89PNG")
    assert good["OBS_ID"].tolist() == [7]
    assert len(fetches) == len(scene.files)
    assert min(task["try_number"] for task in fetches if task["map_index"] == 0) >= 2


def show(scene: Scene, moment: str) -> None:
    """Print what each part of Airflow has cost up to now; pytest shows it with -s."""
    print(f"\n{moment} ({len(scene.place.issuer.grants('client_credentials'))} tokens)")
    for name, (seconds, memory) in scene.airflow.usage().items():
        print(f"{name:14} {seconds:7.1f} s of CPU {memory:7.0f} MiB")


@pytest.mark.parametrize(
    ("engine", "place", "subruns", "sensors"),
    [
        pytest.param("standalone", "sandbox", 4, 50, id="standalone-sandbox"),
        pytest.param("celery", "xrootd", 10, 50, id="celery-xrootd"),
        pytest.param("standalone", "xrootd", 4, 1000, id="standalone-xrootd", marks=FULL),
        pytest.param("celery", "sandbox", 300, 50, id="celery-sandbox", marks=FULL),
    ],
)
def test_a_night_is_right_although_what_fetches_it_is_killed(
    engine: str, place: str, subruns: int, sensors: int, pki: Pki, tmp_path: Path
) -> None:
    with scene(engine, place, subruns=subruns, sensors=sensors, pki=pki, folder=tmp_path) as night:
        show(night, "up")
        waiting = start_sensors(night, sensors)
        run = start_night(night)
        kill_what_fetches(night)
        check_looks(night, 3 * INTERVAL)
        for number in range(sensors):
            night.place.put(f"{ARRIVALS}/{number}", b"x")
        check_night(night, run)
        waited = [
            task
            for dag_id, of_dag in waiting.items()
            for task in night.airflow.finish(dag_id, of_dag, patience=60 + sensors)
        ]
        show(night, "done")
        large = [first for _, path, first in night.place.asked() if path.endswith(night.files[0].name) and first]

    assert len(waited) == sensors
    assert {task["hostname"] for task in waited} <= {None, ""}, "no worker had a sensor"
    # The bytes of the first try were not fetched again.
    assert any(int(re.findall(r"\d+", first)[0]) >= 1024**2 for first in large)
    assert list(night.work.rglob("*.ctapart")) == []
    assert Canaries(str(night.place.connection["client_secret"])).below(tmp_path / "home", tmp_path / "work") == []

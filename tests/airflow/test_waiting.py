"""What a sensor can be told to wait for, here and deferred, and what it hands on."""

import json
import os
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import DAG, PokeReturnValue, task
from airflow.sdk.exceptions import (
    AirflowRescheduleException,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.serialization.serialized_objects import DagSerialization
from airflow_provider_cta.sensors.cta import CtaPathSensor
from airflow_provider_cta.triggers.errors import failed
from airflow_provider_cta.wanted import Calm

from ctadata_providers import ConfigError, CredentialError, FileInfo, NotADirError


def sensor(path: Any, **settings: Any) -> CtaPathSensor:
    return CtaPathSensor(task_id="wait", path=path, **settings)


def look(path: Any, **settings: Any) -> PokeReturnValue:
    return sensor(path, **settings).poke({})


def propfinds(cta: Any) -> list[str | None]:
    """Return the depth of each PROPFIND."""
    return [request.headers.get("depth") for request in cta.requests if request.method == "PROPFIND"]


def test_of_several_paths_all_must_be_there(cta_default: Any) -> None:
    cta_default.put("/lst/a", b"x")

    assert not look(["cta://lst/a", "lst/b"])
    cta_default.put("/lst/b", b"x")
    assert look(["cta://lst/a", "lst/b"]).xcom_value == ["cta://lst/a", "cta://lst/b"]


def test_what_several_patterns_match_is_handed_on_once(cta_default: Any) -> None:
    cta_default.put("/lst/a", b"x")

    assert look(["lst/*", "lst/a"]).xcom_value == ["cta://lst/a"]


def test_a_hundred_paths_of_a_folder_cost_one_listing(cta_default: Any) -> None:
    paths = [f"lst/night/{number}" for number in range(100)]
    for path in paths:
        cta_default.put(f"/{path}", b"x")

    assert len(look(paths).xcom_value or []) == 100
    assert propfinds(cta_default) == ["1"]


def test_paths_of_several_connections(cta_default: Any, store_connection: Any) -> None:
    settings = {"door_url": cta_default.door_url, "ca_path": str(cta_default.ca_file)}
    store_connection("other", password=cta_default.token, extra=settings)
    cta_default.put("/lst/a", b"x")

    assert look(["cta://other@lst/a", "lst/*"]).xcom_value == ["cta://lst/a"]


def test_each_pattern_needs_so_many_matches(cta_default: Any) -> None:
    cta_default.put("/lst/a", b"x")
    cta_default.put("/lst/b", b"x")

    assert look("lst/*", min_count=2)
    assert look(["lst/*", "lst/a"], min_count="2")
    assert not look("lst/*", min_count=3)


def test_what_is_older_is_not_looked_at(cta_default: Any) -> None:
    cta_default.put("/lst/old", b"x")
    now = datetime.now(UTC)

    assert look("lst/*", newer_than=now - timedelta(hours=1))
    assert look("lst/*", newer_than=(now - timedelta(hours=1)).replace(tzinfo=None).isoformat())
    assert look("lst/old", newer_than="")
    assert not look("lst/*", newer_than=now + timedelta(hours=1))
    assert not look("lst/old", newer_than=(now + timedelta(hours=1)).isoformat())


def test_eight_digits_are_a_day_also_where_templates_make_numbers_of_them(cta_default: Any) -> None:
    cta_default.put("/lst/new", b"x")

    assert look("lst/*", newer_than=20241114)
    assert not look("lst/*", newer_than=20990101)
    assert not look("lst/*", newer_than="20990101")
    assert look("lst/*", newer_than=1_731_600_000)
    with pytest.raises(ConfigError, match="newer_than"):
        look("lst/*", newer_than=20241350)


@pytest.mark.parametrize(
    "settings", [{"min_count": 0}, {"min_count": "x"}, {"min_count": 1.5}, {"stable_for": -1}, {"newer_than": "soon"}]
)
def test_what_cannot_be_used_is_told_by_name(settings: dict[str, Any], cta_default: Any) -> None:
    (name,) = settings
    with pytest.raises(ConfigError, match=name):
        look("lst/*", **settings)
    with pytest.raises(ConfigError, match=name):
        sensor("lst/*", deferrable=True, **settings).execute({})


@pytest.mark.parametrize("path", [[], "", [""], 7, [None]])
def test_what_is_no_path_is_told(path: Any, cta_default: Any) -> None:
    with pytest.raises(ConfigError, match="path"):
        look(path)


def test_a_file_where_a_folder_is_meant_is_told(cta_default: Any) -> None:
    cta_default.put("/lst/a", b"x")
    with pytest.raises(NotADirError, match="lst/a/"):
        look(["lst/a/", "lst/*"])


def test_the_listing_is_handed_on_when_wanted(cta_default: Any) -> None:
    cta_default.put("/lst/a", b"xyz")
    (told,) = look("lst/*", metadata=True).xcom_value or []

    assert (told["uri"], told["size"], told["is_dir"]) == ("cta://lst/a", 3, False)
    assert told["checksums"]["adler32"]
    assert datetime.fromisoformat(told["modified"]).tzinfo
    assert json.loads(json.dumps(told)) == told


# What is still being written


def info(path: str, size: int) -> FileInfo:
    return FileInfo(path, is_dir=False, size=size)


def test_nothing_may_change_for_so_long() -> None:
    calm = Calm(10.0)

    assert not calm.settled([info("/a", 1)], 0.0)
    assert not calm.settled([info("/a", 1)], 9.0)
    assert not calm.settled([info("/a", 2)], 10.0), "it grows"
    assert not calm.settled([info("/a", 2), info("/b", 1)], 19.0), "another has come"
    assert not calm.settled([info("/b", 1), info("/a", 2)], 28.0)
    assert calm.settled([info("/b", 1), info("/a", 2)], 29.0)


def test_a_clock_that_goes_back_starts_anew() -> None:
    calm = Calm(10.0)
    calm.settled([info("/a", 1)], 100.0)

    assert not calm.settled([info("/a", 1)], 50.0)
    assert not calm.settled([info("/a", 1)], 59.0)
    assert calm.settled([info("/a", 1)], 60.0)


def test_a_sensor_waits_until_it_is_calm(cta_default: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("airflow_provider_cta.sensors.cta.time", SimpleNamespace(time=lambda: now[0]))
    cta_default.put("/lst/a", b"x")
    waiting = sensor("lst/*", stable_for=60)

    assert not waiting.poke({})
    now[0] += 61
    cta_default.put("/lst/a", b"longer")
    assert not waiting.poke({})
    now[0] += 61
    assert waiting.poke({})


def test_a_rescheduled_sensor_remembers_since_when(cta_default: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("airflow_provider_cta.sensors.cta.time", SimpleNamespace(time=lambda: now[0]))
    cta_default.put("/lst/a", b"x")
    kept: dict[str, Any] = {}
    store = SimpleNamespace(get=kept.get, set=kept.__setitem__)
    context: Any = {"ti": SimpleNamespace(get_first_reschedule_date=lambda _: None), "task_state_store": store}
    with pytest.raises(AirflowRescheduleException):
        sensor("lst/*", stable_for=60, mode="reschedule").execute(context)
    now[0] += 61

    assert sensor("lst/*", stable_for=60, mode="reschedule").execute(context) == ["cta://lst/a"]
    assert json.loads(json.dumps(kept)) == kept


# Deferred


def test_a_deferred_sensor_asks_nothing_itself(cta_default: Any) -> None:
    task_ = sensor(["lst/*"], deferrable=True, min_count=2, stable_for=3, metadata=True, poke_interval=7, timeout=60)
    with pytest.raises(TaskDeferred) as deferred:
        task_.execute({})

    assert cta_default.requests == []
    assert deferred.value.timeout == timedelta(seconds=60)
    assert deferred.value.trigger.serialize()[1] == {
        "path": ["lst/*"],
        "cta_conn_id": "cta_default",
        "poke_interval": 7.0,
        "min_count": 2,
        "stable_for": 3,
        "newer_than": None,
        "metadata": True,
        "end_from_trigger": False,
        "silent_fail": False,
        "pause": 0.0,
    }


def test_what_the_trigger_tells_is_the_result_or_the_error() -> None:
    waiting = sensor("lst/*", deferrable=True)

    assert waiting.execute_complete({}, {"status": "success", "found": ["cta://lst/a"]}) == ["cta://lst/a"]
    with pytest.raises(CredentialError, match="no"):
        waiting.execute_complete({}, failed(CredentialError("no")))
    with pytest.raises(AirflowSkipException, match="no"):
        sensor("lst/*", deferrable=True, never_fail=True).execute_complete({}, failed(CredentialError("no")))


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({"timeout": 600, "execution_timeout": timedelta(seconds=5)}, 5),
        ({"timeout": 4, "execution_timeout": timedelta(seconds=5)}, 4),
        ({"timeout": 600}, 600),
    ],
)
def test_a_deferred_sensor_waits_no_longer_than_either_limit(limits: dict[str, Any], seconds: float) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        sensor("lst/*", deferrable=True, **limits).execute({})
    begun_there = sensor("lst/*", deferrable=True, start_from_trigger=True, **limits)

    assert deferred.value.timeout == timedelta(seconds=seconds)
    assert begun_there.start_trigger_args is not None
    assert begun_there.start_trigger_args.timeout == timedelta(seconds=seconds)


def test_silent_fail_holds_in_the_triggerer_too() -> None:
    assert sensor("lst/*", deferrable=True, silent_fail=True)._trigger().silent_fail


@pytest.mark.parametrize("name", ["path", "newer_than", "min_count", "stable_for", "cta_conn_id"])
def test_what_another_task_gives_is_waited_for_from_a_worker_on(name: str) -> None:
    with DAG(f"given_{name}", schedule=None) as dag:

        @task
        def give() -> str:
            return "1"

        given = cast(Any, give)()
        several: Any = ["lst/b", given] if name == "path" else given
        arguments = {"path": "lst/a", "deferrable": True, "start_from_trigger": True}
        one = CtaPathSensor(task_id="one", **{**arguments, name: given})
        among = CtaPathSensor(task_id="among", end_from_trigger=True, **{**arguments, name: several})

    for begun in (one, among):
        assert not begun.start_from_trigger
        assert begun.start_trigger_args is None
        assert begun.upstream_task_ids == {"give"}
    assert among.end_from_trigger
    assert DagSerialization.to_dict(dag)


def test_deferring_is_the_default_where_airflow_says_so(run_python: Any) -> None:
    code = (
        "from airflow_provider_cta.sensors.cta import CtaPathSensor\n"
        "print(CtaPathSensor(task_id='wait', path='lst/a').deferrable)"
    )

    assert run_python(code, AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE="True") == "True"
    assert run_python(code) == "False"


@pytest.mark.parametrize("start_from_trigger", [False, True])
def test_a_whole_dag_waits_deferred_and_hands_on(start_from_trigger: bool, cta_default: Any, run_dag: Any) -> None:
    cta_default.put("/lst/20241114/a", b"x")
    with DAG(f"deferred_{start_from_trigger}", schedule=None, params={"night": "20241114"}) as dag:
        wait = CtaPathSensor(
            task_id="wait",
            path="lst/{{ params.night }}/*",
            deferrable=True,
            start_from_trigger=start_from_trigger,
            poke_interval=1,
            timeout=60,
        )

        @task
        def use(found: Any) -> list[str]:
            return [*found]

        use(wait.output)
    run = run_dag(dag)

    assert run.state == "success"


@pytest.mark.parametrize("path", ["lst/*", "lst/a/"])
def test_a_task_that_ends_in_the_triggerer_can_be_tried_without_one(path: str, cta_default: Any, run_dag: Any) -> None:
    cta_default.put("/lst/a", b"x")
    with DAG(f"ended_{path.count('*')}", schedule=None) as dag:
        CtaPathSensor(
            task_id="wait", path=path, deferrable=True, start_from_trigger=True, end_from_trigger=True, timeout=60
        )
    run = run_dag(dag)
    (ended,) = run.get_task_instances()

    # In this process there is no triggerer, and a worker goes on with what the trigger has ended.
    assert run.state == ("success" if path == "lst/*" else "failed")
    assert ended.xcom_pull(task_ids="wait") == (["cta://lst/a"] if path == "lst/*" else None)


def test_a_sensor_without_an_interval_takes_that_of_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CTA__POKE_INTERVAL", "7")
    by_default = sensor("lst/*", deferrable=True)
    with DAG("own_interval", schedule=None, default_args={"poke_interval": 3}):
        own = sensor("lst/*")

    assert by_default.poke_interval == 7
    assert by_default._trigger().poke_interval == 7
    assert own.poke_interval == 3


def test_a_deferred_sensor_that_fails_fails_the_dag(cta_default: Any, run_dag: Any) -> None:
    cta_default.put("/lst/a", b"x")
    with DAG("deferred_failing", schedule=None) as dag:
        CtaPathSensor(task_id="wait", path="lst/a/", deferrable=True, poke_interval=1, timeout=60)

    assert run_dag(dag).state == "failed"


@pytest.fixture
def run_python(tmp_path: Any) -> Any:
    """Return a function that runs code in a fresh process and returns what it prints last."""
    import subprocess
    import sys

    def run(code: str, **variables: str) -> str:
        environ = {**os.environ, "AIRFLOW_HOME": str(tmp_path), **variables}
        done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        return done.stdout.strip().splitlines()[-1]

    return run

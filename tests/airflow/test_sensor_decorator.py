"""`@task.cta_sensor`: a function that is asked about what is there."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from airflow.sdk import DAG, PokeReturnValue, task
from airflow.sdk.exceptions import AirflowSensorTimeout, TaskDeferred

from ctadata_providers import ConfigError


def test_a_function_is_asked_about_what_is_there(cta_default: Any) -> None:
    asked: list[list[str]] = []
    with DAG("decorated", schedule=None):

        @task.cta_sensor(path="lst/*", poke_interval=0)
        def wait(found: list[str], least: int) -> bool | list[str]:
            asked.append(found)
            return len(found) >= least and [f"{len(found)} of {least}"]

        waiting = cast(Any, wait)(least=2).operator
    cta_default.put("/lst/a", b"x")

    assert not waiting.poke({}).is_done
    cta_default.put("/lst/b", b"x")
    assert waiting.execute({}) == ["2 of 2"]
    assert asked == [["cta://lst/a"], ["cta://lst/a", "cta://lst/b"]]


def test_a_function_that_says_nothing_hands_on_what_is_there(cta_default: Any) -> None:
    cta_default.put("/lst/a", b"x")
    with DAG("decorated_silent", schedule=None):

        @task.cta_sensor(path="lst/*")
        def wait(found: list[str]) -> None:
            """Look at nothing."""

        waiting = cast(Any, wait)().operator

    assert waiting.execute({}) == ["cta://lst/a"]


def asking(answer: Any, dag_id: str, **settings: Any) -> Any:
    """Return a sensor whose function gives an answer."""
    with DAG(dag_id, schedule=None):

        @task.cta_sensor(path="lst/*", **settings)
        def wait(found: list[str]) -> Any:
            return answer

        return cast(Any, wait)().operator


WAITING = {
    "numpy's": np.float64(3) > 5,
    "of an array": (np.array([1, 2, 3]) > 5).all(),
    "without dimensions": np.array(False),
    "poked": PokeReturnValue(is_done=False, xcom_value=3),
    "poked, numpy's": PokeReturnValue(is_done=cast(bool, np.False_)),
}


@pytest.mark.parametrize("answer", WAITING.values(), ids=WAITING.keys())
def test_whatever_is_false_waits_on(answer: Any, cta_default: Any, request: pytest.FixtureRequest) -> None:
    cta_default.put("/lst/a", b"x")
    name = f"false_{list(WAITING).index(request.node.callspec.id)}"

    assert not asking(answer, name).poke({}).is_done
    with pytest.raises(TaskDeferred):
        asking(answer, f"{name}_deferred", deferrable=True).execute_complete({}, {"status": "success", "found": []})


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (np.True_, True),
        (PokeReturnValue(is_done=True, xcom_value={"n": 1}), {"n": 1}),
        (PokeReturnValue(is_done=True), ["cta://lst/a"]),
        (0, 0),
        ([], []),
        ("", ""),
    ],
)
def test_what_is_done_hands_on_what_was_said(answer: Any, result: Any, cta_default: Any) -> None:
    cta_default.put("/lst/a", b"x")
    told = asking(answer, "done").execute({})

    assert told == result
    assert type(told) is type(result)


def test_truth_values_of_many_are_no_answer(cta_default: Any) -> None:
    cta_default.put("/lst/a", b"x")
    with pytest.raises(ConfigError, match="all"):
        asking(np.array([True, False]), "many").poke({})


def test_a_function_is_given_what_it_asks_for_of_the_context(cta_default: Any) -> None:
    cta_default.put("/lst/a", b"x")
    with DAG("decorated_with_context", schedule=None):

        @task.cta_sensor(path="lst/*")
        def wait(found: list[str], least: int, ds: Any = None, ti: Any = None) -> list[Any]:
            return [len(found), least, ds, ti]

        @task.cta_sensor(path="lst/*")
        def take_all(found: list[str], **context: Any) -> list[str]:
            return [*found, *context]

        some, everything = cast(Any, wait)(least=2).operator, cast(Any, take_all)().operator
    context: Any = {"ds": "2024-11-14", "ti": "the task", "found": "not this", "least": 7}

    assert some.execute(context) == [1, 2, "2024-11-14", "the task"]
    assert some.execute_complete(context, {"status": "success", "found": []}) == [0, 2, "2024-11-14", "the task"]
    assert everything.execute(context) == ["cta://lst/a", "ds", "ti", "least"]


def test_deferred_the_function_is_asked_by_the_worker(cta_default: Any) -> None:
    with DAG("decorated_deferred", schedule=None):

        @task.cta_sensor(path="lst/*", deferrable=True)
        def wait(found: list[str]) -> bool:
            return len(found) > 1

        waiting = cast(Any, wait)().operator
    with pytest.raises(TaskDeferred):
        waiting.execute_complete({}, {"status": "success", "found": ["cta://lst/a"]})

    assert waiting.execute_complete({}, {"status": "success", "found": ["cta://lst/a", "cta://lst/b"]}) is True


def test_deferred_again_it_waits_an_interval_and_not_longer_than_the_time_that_is_left() -> None:
    with DAG("decorated_patient", schedule=None):

        @task.cta_sensor(path="lst/*", deferrable=True, poke_interval=30, timeout=600)
        def wait(found: list[str]) -> bool:
            return False

        waiting = cast(Any, wait)().operator

    def asked_after(seconds: float) -> Any:
        begun = datetime.now(UTC) - timedelta(seconds=seconds)
        return waiting.execute_complete({"ti": SimpleNamespace(start_date=begun)}, {"status": "success", "found": []})

    with pytest.raises(TaskDeferred) as deferred:
        asked_after(400)
    with pytest.raises(AirflowSensorTimeout, match="600"):
        asked_after(601)

    assert deferred.value.trigger.serialize()[1]["pause"] == 30
    assert 190 < deferred.value.timeout.total_seconds() <= 200


def test_a_function_cannot_be_asked_where_no_worker_is() -> None:
    def wait(found: list[str]) -> None:
        """Look at nothing."""

    decorated = cast(Any, task.cta_sensor(path="lst/*", deferrable=True, end_from_trigger=True)(wait))
    with DAG("decorated_ended", schedule=None), pytest.raises(ConfigError, match="end_from_trigger"):
        decorated()

"""Triggers that wait for a path, without a metadata database: what they tell, and how rarely they ask."""

import asyncio
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.triggers import watching
from airflow_provider_cta.triggers.cta import CtaPathTrigger
from airflow_provider_cta.triggers.errors import error_of

from ctadata_providers import ConfigError, CredentialError, NotADirError
from tests.airflow.looks import INTERVAL, first, listings, looked, run, until


@pytest.fixture
def silent_door() -> Iterator[str]:
    """Return the URL of a door that takes every call and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"https://localhost:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SHORTEST", INTERVAL)


def test_what_is_there_is_told_as_the_sensor_tells_it(cta_default: Any) -> None:
    cta_default.put("/lst/a.fits", b"x")
    cta_default.put("/lst/b.fits", b"x")

    assert run(first(CtaPathTrigger(["cta://lst/*.fits", "lst/a.fits"], poke_interval=INTERVAL))) == {
        "status": "success",
        "found": ["cta://lst/a.fits", "cta://lst/b.fits"],
    }


def test_it_can_end_the_task_itself_with_the_result_and_leaves_an_error_to_a_worker(cta_default: Any) -> None:
    cta_default.put("/lst/a.fits", b"x")

    async def only(trigger: BaseTrigger) -> Any:
        return [event async for event in trigger.run()]

    (good,) = run(only(CtaPathTrigger("lst/*.fits", poke_interval=INTERVAL, end_from_trigger=True)))
    (bad,) = run(only(CtaPathTrigger("lst/a.fits/", poke_interval=INTERVAL, end_from_trigger=True)))

    assert isinstance(good, TaskSuccessEvent)
    assert good.xcoms == {"return_value": ["cta://lst/a.fits"]}
    # There retries, CtaRetryPolicy and never_fail hold, and callbacks see what was wrong.
    assert not isinstance(bad, TaskFailedEvent)
    assert isinstance(error_of(bad.payload), NotADirError)


def test_with_silent_fail_an_error_is_told_in_the_log_and_the_wait_goes_on(cta_default: Any, caplog: Any) -> None:
    cta_default.put("/lst/a", b"x")
    cta_default.faults.add("forbidden", method="PROPFIND", times=2)

    assert run(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL, silent_fail=True)))["found"] == ["cta://lst/a"]
    assert caplog.text.count("PermissionDeniedError") == 2


def test_a_pause_comes_before_the_first_look(cta_default: Any) -> None:
    cta_default.put("/lst/a.fits", b"x")

    async def scene() -> tuple[int, Any]:
        waiting = asyncio.create_task(first(CtaPathTrigger("lst/a.fits", poke_interval=INTERVAL, pause=60)))
        await asyncio.sleep(2 * INTERVAL)
        waiting.cancel()
        early = listings(cta_default)
        return early, await first(CtaPathTrigger("lst/a.fits", poke_interval=INTERVAL, pause=INTERVAL))

    early, event = run(scene())

    assert early == 0
    assert event["status"] == "success"


def test_it_waits_until_all_is_there(cta_default: Any) -> None:
    async def scene() -> Any:
        waiting = asyncio.create_task(first(CtaPathTrigger(["lst/a", "lst/night/*"], poke_interval=INTERVAL)))
        await until(lambda: listings(cta_default) >= 2)
        cta_default.put("/lst/a", b"x")
        before = listings(cta_default)
        await until(lambda: listings(cta_default) >= before + 3)
        early = waiting.done()
        cta_default.put("/lst/night/b", b"x")
        return early, await waiting

    early, event = run(scene())

    assert not early
    assert event["found"] == ["cta://lst/a", "cta://lst/night/b"]


def test_a_thousand_waiting_tasks_ask_once_an_interval(cta_default: Any) -> None:
    cta_default.make_dir("/lst/night")
    names = [f"lst/night/run{number}.fits" for number in range(1000)]

    async def scene() -> tuple[list[dict[str, Any]], int, int]:
        waiting = [asyncio.create_task(first(CtaPathTrigger(name, poke_interval=INTERVAL))) for name in names]
        await until(lambda: listings(cta_default) >= 3)
        for name in names:
            cta_default.put(f"/{name}", b"x")
        before = listings(cta_default)
        events = await asyncio.gather(*waiting)
        return events, before, listings(cta_default)

    events, before, after = run(scene())

    assert [event["found"] for event in events] == [[f"cta://{name}"] for name in names]
    assert before <= 4
    assert after - before <= 2


def test_who_comes_later_shares_the_looks_of_who_waits_already(cta_default: Any) -> None:
    cta_default.make_dir("/lst")

    async def scene() -> None:
        waiting = asyncio.create_task(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL)))
        await until(lambda: listings(cta_default) >= 2)
        cta_default.clear_requests()
        later = [asyncio.create_task(first(CtaPathTrigger(f"lst/{n}", poke_interval=INTERVAL))) for n in range(9)]
        await until(lambda: listings(cta_default) >= 2)
        assert {r.headers.get("depth") for r in cta_default.requests if r.method == "PROPFIND"} == {"1"}
        for task in (waiting, *later):
            task.cancel()

    run(scene())


def test_who_comes_later_waits_for_no_interval_of_another(cta_default: Any) -> None:
    cta_default.put("/lst/here", b"x")

    async def scene() -> tuple[dict[str, Any], bool]:
        slow = asyncio.create_task(first(CtaPathTrigger("lst/later", poke_interval=3600)))
        await until(lambda: listings(cta_default) >= 1)
        event = await asyncio.wait_for(first(CtaPathTrigger("lst/here", poke_interval=3600)), 5)
        waited = not slow.done()
        quick = asyncio.create_task(first(CtaPathTrigger("lst/soon", poke_interval=INTERVAL)))
        await looked(cta_default, 2)
        cta_default.put("/lst/soon", b"x")
        await asyncio.wait_for(quick, 5)
        slow.cancel()
        return event, waited

    event, waited = run(scene())

    assert event["found"] == ["cta://lst/here"]
    assert waited


def test_who_keep_coming_share_looks_that_are_apart(cta_default: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "GATHERING", 0.001)
    cta_default.make_dir("/lst")

    async def scene() -> int:
        waiting = []
        for number in range(30):
            waiting.append(asyncio.create_task(first(CtaPathTrigger(f"lst/{number}", poke_interval=3600))))
            await asyncio.sleep(INTERVAL / 10)
        for task in waiting:
            task.cancel()
        return listings(cta_default)

    assert run(scene()) <= 10


def test_nobody_looks_when_nobody_waits(cta_default: Any) -> None:
    async def scene() -> int:
        waiting = asyncio.create_task(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL)))
        await until(lambda: listings(cta_default) >= 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        before = listings(cta_default)
        await asyncio.sleep(3 * INTERVAL)
        return listings(cta_default) - before

    assert run(scene()) == 0


def test_a_server_that_fails_for_a_while_is_asked_again(cta_default: Any, store_connection: Any) -> None:
    settings = {"door_url": cta_default.door_url, "ca_path": str(cta_default.ca_file), "retries": 0}
    store_connection("cta_default", password=cta_default.token, extra=settings)
    cta_default.put("/lst/a", b"x")
    cta_default.faults.add("unavailable", method="PROPFIND", times=2)

    assert run(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL)))["status"] == "success"


def test_a_look_asks_once_and_leaves_it_to_the_next_one_to_ask_again(cta_default: Any, caplog: Any) -> None:
    cta_default.put("/lst/a", b"x")
    cta_default.faults.add("unavailable", method="PROPFIND", times=1)  # the connection has retries

    assert run(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL)))["status"] == "success"
    assert listings(cta_default) == 2
    assert "; retry" not in caplog.text


def test_a_server_that_says_when_to_come_again_is_left_alone_until_then(cta_default: Any) -> None:
    cta_default.put("/lst/a", b"x")
    cta_default.faults.add("unavailable", method="PROPFIND", times=1, retry_after=2)

    async def scene() -> tuple[float, int]:
        begun = asyncio.get_running_loop().time()
        waiting = asyncio.create_task(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL)))
        await until(lambda: listings(cta_default) >= 1)
        later = asyncio.create_task(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL)))
        await asyncio.gather(waiting, later)
        return asyncio.get_running_loop().time() - begun, listings(cta_default)

    seconds, asked = run(scene())

    assert seconds >= 2
    assert asked == 2


def test_a_server_that_asks_for_a_day_is_asked_before(cta_default: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LONGEST", INTERVAL)
    cta_default.put("/lst/a", b"x")
    cta_default.faults.add("unavailable", method="PROPFIND", times=1, retry_after=86400)

    assert run(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL)))["status"] == "success"


def test_a_look_that_failed_is_made_again_soon_even_of_who_looks_rarely(
    cta_default: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SOON", INTERVAL)
    cta_default.put("/lst/a", b"x")
    cta_default.faults.add("unavailable", method="PROPFIND", times=1)

    assert run(first(CtaPathTrigger("lst/a", poke_interval=3600)))["status"] == "success"


def test_a_door_that_hangs_holds_up_no_sensor_of_another(
    cta_default: Any, silent_door: str, store_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 6.0)
    monkeypatch.setenv("AIRFLOW__CTA__LOOKS_AT_ONCE", "2")
    watching._threads.cache_clear()
    patient = {"door_url": silent_door, "ca_path": str(cta_default.ca_file), "connect_timeout": 60, "timeout": 60}
    store_connection("hanging", password="any-token", extra=patient)
    cta_default.put("/lst/a", b"x")

    async def scene() -> tuple[dict[str, Any], list[bool]]:
        hanging = [
            asyncio.create_task(first(CtaPathTrigger(f"cta://hanging@lst/{number}/x", poke_interval=INTERVAL)))
            for number in range(2)
        ]
        await asyncio.sleep(0.5)
        event = await asyncio.wait_for(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL)), 4)
        ended = [task.done() for task in hanging]
        for task in hanging:
            task.cancel()
        return event, ended

    event, ended = run(scene())
    watching._threads.cache_clear()

    assert event["status"] == "success"
    assert ended == [False, False]


def test_a_hanging_look_ends_within_the_interval_however_patient_its_connection_is(
    cta_default: Any, silent_door: str, store_connection: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 1.0)
    patient = {"door_url": silent_door, "ca_path": str(cta_default.ca_file), "connect_timeout": 60, "timeout": 60}
    store_connection("hanging", password="any-token", extra=patient)

    async def scene() -> None:
        waiting = asyncio.create_task(first(CtaPathTrigger("cta://hanging@lst/x", poke_interval=1)))
        await asyncio.wait_for(until(lambda: "cannot look at" in caplog.text), 8)
        waiting.cancel()

    run(scene())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"path": "lst/a/"}, "NotADirError"),
        ({"path": "lst/../a"}, "ConfigError"),
        ({"path": []}, "ConfigError"),
        ({"path": "lst/a", "min_count": "many"}, "ConfigError"),
        ({"path": "lst/a", "newer_than": "yesterday"}, "ConfigError"),
    ],
)
def test_what_does_not_pass_is_told(arguments: dict[str, Any], error: str, cta_default: Any) -> None:
    cta_default.put("/lst/a", b"x")
    event = run(first(CtaPathTrigger(**{"poke_interval": INTERVAL, **arguments})))

    assert event["status"] == "error"
    assert type(error_of(event)).__name__ == error


def test_a_refused_token_ends_the_wait_of_all_and_is_not_shown(cta_default: Any, store_connection: Any) -> None:
    expired = cta_default.make_token(lifetime=-3600.0)
    settings = {"door_url": cta_default.door_url, "ca_path": str(cta_default.ca_file)}
    store_connection("cta_default", password=expired, extra=settings)

    async def scene() -> Any:
        triggers = [CtaPathTrigger(f"lst/{name}", poke_interval=INTERVAL) for name in "abc"]
        return await asyncio.gather(*map(first, triggers))

    events = run(scene())

    assert all(isinstance(error_of(event), CredentialError) for event in events)
    assert expired not in str(events)


def test_a_connection_that_is_not_there_for_a_while_ends_the_wait_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "ABSENCE", INTERVAL)
    event = run(first(CtaPathTrigger("lst/a", cta_conn_id="there_is_none", poke_interval=INTERVAL)))

    with pytest.raises(ConfigError, match="there_is_none"):
        raise error_of(event)


def test_a_connection_that_is_deleted_and_added_again_ends_no_wait(
    cta_default: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    cta_default.make_dir("/lst")
    stored = os.environ["AIRFLOW_CONN_CTA_DEFAULT"]

    async def scene() -> dict[str, Any]:
        waiting = asyncio.create_task(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL)))
        await until(lambda: listings(cta_default) >= 1)
        monkeypatch.delenv("AIRFLOW_CONN_CTA_DEFAULT")
        await until(lambda: caplog.text.count("cannot look up the connection cta_default") >= 2)
        monkeypatch.setenv("AIRFLOW_CONN_CTA_DEFAULT", stored)
        cta_default.put("/lst/a", b"x")
        return await waiting

    assert run(scene())["found"] == ["cta://lst/a"]


def test_secrets_that_fail_once_end_no_wait_and_nothing_of_them_is_told(
    cta_default: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    cta_default.put("/lst/a", b"x")
    looked_up, failures = CtaHook.aget_connection, [RuntimeError("vault: a-canary-secret")]

    async def fail_once(conn_id: str) -> Any:
        if failures:
            raise failures.pop()
        return await looked_up(conn_id)

    monkeypatch.setattr(CtaHook, "aget_connection", staticmethod(fail_once))

    assert run(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL)))["status"] == "success"
    assert "cannot look up the connection cta_default" in caplog.text
    assert "canary" not in caplog.text


def test_a_changed_token_is_used_at_the_next_look(cta_default: Any, store_connection: Any) -> None:
    other = cta_default.make_token()
    settings = {"door_url": cta_default.door_url, "ca_path": str(cta_default.ca_file)}

    def tokens() -> set[str]:
        return {str(r.headers.get("authorization", "")).removeprefix("Bearer ") for r in cta_default.requests}

    async def scene() -> None:
        waiting = asyncio.create_task(first(CtaPathTrigger("lst/a", poke_interval=INTERVAL)))
        await until(lambda: listings(cta_default) >= 1)
        store_connection("cta_default", password=other, extra=settings)
        before = listings(cta_default)
        await until(lambda: listings(cta_default) >= before + 2)
        cta_default.put("/lst/a", b"x")
        await waiting

    run(scene())

    assert cta_default.requests[-1].status == 207


def test_a_trigger_is_made_anew_of_its_arguments(cta_default: Any) -> None:
    trigger = CtaPathTrigger(
        ["lst/*"], poke_interval=5, min_count=3, stable_for=2.0, newer_than="2024-11-14", metadata=True
    )
    path, arguments = trigger.serialize()

    assert path == "airflow_provider_cta.triggers.cta.CtaPathTrigger"
    assert CtaPathTrigger(**arguments).serialize() == (path, arguments)

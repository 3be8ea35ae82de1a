"""The watcher of a folder: each change is told once, and what it remembers is small."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from airflow_provider_cta.triggers import watching
from airflow_provider_cta.triggers.cta import CtaFolderTrigger

from ctadata_providers import ConfigError
from tests.airflow.looks import INTERVAL, listings, looked, run, until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SHORTEST", INTERVAL)


class Store:
    """The state of an asset, as a trigger sees it."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value


def folder(store: Any, path: str = "cta://lst/night/", **arguments: Any) -> CtaFolderTrigger:
    trigger = CtaFolderTrigger(path, poke_interval=INTERVAL, **arguments)
    trigger.asset_state_store = store
    return trigger


class Listener:
    """Collects the events of a trigger."""

    def __init__(self, trigger: CtaFolderTrigger) -> None:
        self.events: list[dict[str, Any]] = []
        self._task = asyncio.create_task(self._listen(trigger.run()))

    async def _listen(self, events: AsyncIterator[Any]) -> None:
        async for event in events:
            self.events.append(event.payload)

    async def __aenter__(self) -> "Listener":
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def test_each_change_of_a_folder_is_told_once(cta_default: Any) -> None:
    cta_default.put("/lst/night/old", b"x")

    async def scene() -> list[dict[str, Any]]:
        async with Listener(folder(Store())) as listener:
            await looked(cta_default, 3)
            cta_default.put("/lst/night/new", b"x")
            await until(lambda: listener.events)
            await looked(cta_default, 3)
            cta_default.put("/lst/night/new", b"longer")
            await until(lambda: len(listener.events) == 2)
            await looked(cta_default, 3)
            return listener.events

    change = {"uri": "cta://lst/night/", "changed": ["cta://lst/night/new"], "count": 1}

    assert run(scene()) == [change, change]


@pytest.mark.parametrize("root", ["cta:///", "cta://", "cta://cta_default@", "/"])
def test_the_root_is_a_folder_like_others(root: str, cta_default: Any) -> None:
    cta_default.make_dir("/lst")

    async def scene() -> list[dict[str, Any]]:
        async with Listener(folder(Store(), root, existing=True)) as listener:
            await until(lambda: listener.events)
            return listener.events

    assert run(scene()) == [{"uri": "cta:///", "changed": ["cta://lst/"], "count": 1}]


def test_after_a_restart_only_what_is_new_is_told(cta_default: Any) -> None:
    store = Store()
    cta_default.put("/lst/night/old", b"x")

    async def scene() -> list[dict[str, Any]]:
        async with Listener(folder(store)):
            await until(lambda: store.values)
        cta_default.put("/lst/night/meanwhile", b"x")
        async with Listener(folder(store)) as listener:
            await until(lambda: listener.events)
            await looked(cta_default, 3)
            return listener.events

    assert [event["changed"] for event in run(scene())] == [["cta://lst/night/meanwhile"]]


def test_what_is_there_at_first_is_told_when_wanted(cta_default: Any) -> None:
    cta_default.put("/lst/night/old", b"x")

    async def scene() -> list[dict[str, Any]]:
        async with Listener(folder(Store(), "cta://lst/night/o*", existing=True)) as listener:
            await until(lambda: listener.events)
            await looked(cta_default, 3)
            return listener.events

    assert [event["changed"] for event in run(scene())] == [["cta://lst/night/old"]]


def test_what_comes_together_is_one_change(cta_default: Any) -> None:
    async def scene() -> list[dict[str, Any]]:
        cta_default.make_dir("/lst/night")
        store = Store()
        async with Listener(folder(store, stable_for=3 * INTERVAL)) as listener:
            await until(lambda: store.values or listings(cta_default) > 6)
            for number in range(4):
                cta_default.put(f"/lst/night/{number}", b"x")
                await looked(cta_default, 1)
            await until(lambda: listener.events)
            return listener.events

    assert [event["count"] for event in run(scene())] == [4]


def test_a_folder_that_is_not_there_yet_is_waited_for(cta_default: Any) -> None:
    async def scene() -> list[dict[str, Any]]:
        store = Store()
        async with Listener(folder(store)) as listener:
            await until(lambda: store.values)
            cta_default.put("/lst/night/first", b"x")
            await until(lambda: listener.events)
            return listener.events

    assert [event["count"] for event in run(scene())] == [1]


def test_a_watcher_of_several_assets_still_tells_each_change_once(cta_default: Any) -> None:
    class Several(Store):
        async def aget(self, key: str, default: Any = None) -> Any:
            raise ValueError("Task has 2 concrete inlets")

        async def aset(self, key: str, value: Any) -> None:
            raise ValueError("Task has 2 concrete inlets")

    async def scene() -> list[dict[str, Any]]:
        async with Listener(folder(Several())) as listener:
            await looked(cta_default, 2)
            cta_default.put("/lst/night/first", b"x")
            await until(lambda: listener.events)
            await looked(cta_default, 3)
            return listener.events

    assert [event["count"] for event in run(scene())] == [1]


def test_a_large_folder_is_remembered_in_few_bytes(cta_default: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_cta.triggers.cta._REMEMBERED", 3)
    store = Store()
    for number in range(9):
        cta_default.put(f"/lst/night/{number}", b"x")

    async def scene() -> list[dict[str, Any]]:
        async with Listener(folder(store)):
            await until(lambda: store.values)
        async with Listener(folder(store)) as listener:
            await looked(cta_default, 3)
            assert listener.events == []
            cta_default.put("/lst/night/new", b"x")
            await until(lambda: listener.events)
            return listener.events

    assert [event["changed"] for event in run(scene())] == [["cta://lst/night/new"]]
    assert [len(value) for value in store.values.values()] == [1]


def test_an_error_that_does_not_pass_is_told_once_an_interval_and_ends_no_watcher(
    cta_default: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cta_default.put("/lst/night/old", b"x")
    cta_default.make_dir("/lst/night")
    store = Store()

    async def scene() -> tuple[list[dict[str, Any]], int]:
        async with Listener(folder(store)) as listener:
            await until(lambda: store.values)
            before = listings(cta_default)
            cta_default.faults.add("forbidden", method="PROPFIND", times=3)
            await until(lambda: caplog.text.count("PermissionDeniedError") >= 3)
            asked = listings(cta_default) - before
            cta_default.put("/lst/night/new", b"x")
            await until(lambda: listener.events)
            return listener.events, asked

    events, asked = run(scene())

    assert [event["changed"] for event in events] == [["cta://lst/night/new"]]
    assert asked <= 5
    assert "Traceback" not in caplog.text


def test_a_connection_that_was_mended_is_used_by_the_watcher_that_it_had_failed(
    cta_default: Any, store_connection: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watching, "ABSENCE", 0.0)
    stored = os.environ["AIRFLOW_CONN_CTA_DEFAULT"]
    monkeypatch.delenv("AIRFLOW_CONN_CTA_DEFAULT")
    cta_default.put("/lst/night/a", b"x")

    async def scene() -> list[dict[str, Any]]:
        async with Listener(folder(Store(), existing=True)) as listener:
            await until(lambda: "ConfigError" in caplog.text)
            store_connection("cta_default", password="refused-token", extra=json.loads(stored)["extra"])
            await until(lambda: "CredentialError" in caplog.text)
            monkeypatch.setenv("AIRFLOW_CONN_CTA_DEFAULT", stored)
            await until(lambda: listener.events)
            return listener.events

    assert [event["count"] for event in run(scene())] == [1]


def test_an_address_that_cannot_be_used_is_told_where_the_watcher_is_made() -> None:
    with pytest.raises(ConfigError):
        folder(Store(), "cta://lst/../x")

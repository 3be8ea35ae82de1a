"""Copies as Airflow makes them: in a worker, in the triggerer, and by the next one."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.module_loading import import_string
from airflow_provider_cta.operators.cta import CtaCopyOperator
from airflow_provider_cta.triggers.copying import CtaCopyTrigger

from ctadata_providers.testing import FakeCta

PATIENCE = 100.0
"""Seconds after which something that must happen has not: a busy machine takes long to start a process."""
DATA = b"events" * 50_000


def copy_of(source: Any, target: Any, **settings: Any) -> CtaCopyOperator:
    return CtaCopyOperator(task_id="copy", source=source, target=target, **settings)


def deferred(operator: CtaCopyOperator) -> CtaCopyTrigger:
    with pytest.raises(TaskDeferred) as raised:
        operator.execute({})
    trigger = raised.value.trigger
    assert isinstance(trigger, CtaCopyTrigger)
    return trigger


def again(trigger: Any) -> Any:
    """Return the trigger as another triggerer makes it."""
    name, arguments = trigger.serialize()
    return import_string(name)(**json.loads(json.dumps(arguments)))


async def fired(trigger: CtaCopyTrigger) -> Any:
    (event,) = [event async for event in trigger.run()]
    return json.loads(json.dumps(event.payload))


def in_time(scene: Any) -> Any:
    return asyncio.run(asyncio.wait_for(scene, PATIENCE))


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert happened()


def copies(cta: FakeCta) -> int:
    return len([request for request in cta.requests if request.method == "COPY"])


def store_night(cta: FakeCta) -> None:
    """Store three runs."""
    for number in range(3):
        cta.put(f"/lst/night/run{number}.fits", DATA + bytes(number))

"""Triggers in an event loop that look often, and how often they have looked."""

import asyncio
from collections.abc import Callable
from typing import Any

from airflow.triggers.base import BaseTrigger

INTERVAL = 0.2
PATIENCE = 20.0


def listings(cta: Any) -> int:
    """Return how many questions were asked."""
    return len([request for request in cta.requests if request.method == "PROPFIND"])


async def first(trigger: BaseTrigger) -> dict[str, Any]:
    """Return the first event of a trigger."""
    events = trigger.run()
    async for event in events:
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("no event")


async def until(happened: Callable[[], object]) -> None:
    """Wait until something has happened."""
    while not happened():
        await asyncio.sleep(0.01)


async def looked(cta: Any, times: int = 2) -> None:
    """Wait for so many questions from now on."""
    before = listings(cta)
    await until(lambda: listings(cta) >= before + times)


def run(scene: Any) -> Any:
    """Run a coroutine, for a while at most."""
    return asyncio.run(asyncio.wait_for(scene, PATIENCE))

"""What the triggers of copies have in common: they hold the copies of servers.

A copy from server to server is a request that stays open until all has been copied: who closes it, ends it. So a
trigger does not watch a copy, it holds it. The bytes go from server to server; what they refuse to do among themselves
is left to a worker, for nothing may pass through the disk of the triggerer.
"""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_cta.copying import Planned, Result, copied, there_already
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.progress import INTERVAL, Progress
from airflow_provider_cta.triggers.errors import failed
from ctadata_providers import CtaClient, CtaError, TransientError, UnsupportedError

CLEANING = 10.0
"""Seconds, at most, for which the end of a copy that was stopped is waited for: its server is asked to clean up."""
_BATCH = 500
"""So many files are planned at a time."""


class CopyTrigger(BaseTrigger):
    """Have servers copy files from one connection to another; fires once.

    The event is `{"status": "success", ...}`, or what `error_of` makes an error of.

    Killed with its task, it stops the copies; nothing partial stays. So does a triggerer that ends; the one that goes
    on makes anew what was not yet whole, and no more: a file that is there already with the same checksum is not
    copied again.

    Args:
        source_conn_id: The connection of the files.
        target_conn_id: The connection of the copies.
        overwrite: Replace what exists and is another file.
        checksum: `auto`, `require` or `off`; default what each connection says.
    """

    def __init__(self, *, source_conn_id: str, target_conn_id: str, overwrite: bool, checksum: str | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.source_conn_id = source_conn_id
        self.target_conn_id = target_conn_id
        self.overwrite = overwrite
        self.checksum = checksum
        self._copies: dict[asyncio.Task[Result | None], Planned] = {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        names = ("source_conn_id", "target_conn_id", "overwrite", "checksum")
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire when all are copied, or when one cannot be."""
        try:
            event = {"status": "success", **await self._copy()}
        except CtaError as error:
            event = failed(error)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's

    async def on_kill(self) -> None:
        """Stop the copies, and wait until they have cleaned up."""
        await self._stop()
        self.log.info("The copies were stopped")

    async def cleanup(self) -> None:
        """Stop what still runs: without this process nobody would hold it."""
        await self._stop()

    @abstractmethod
    def _plan(self, source: CtaClient, target: CtaClient) -> Iterable[Planned]:
        """Return what is to be copied; this, and what comes out of it, is asked for in threads."""

    @abstractmethod
    async def _hold(self, ended: AsyncIterator[tuple[Planned, Result | None]]) -> dict[str, Any]:
        """Return what the event tells of the copies, which are made while they are asked for."""

    async def _copy(self) -> dict[str, Any]:
        source = await self._client(self.source_conn_id)
        same = self.source_conn_id == self.target_conn_id
        target = source if same else await self._client(self.target_conn_id)
        try:
            return await self._hold(self._ended(source, target))
        finally:
            await self._stop()
            for client in {source, target}:
                await asyncio.to_thread(client.close)

    async def _client(self, conn_id: str) -> CtaClient:
        config = await CtaHook(conn_id).aconfig()
        return CtaClient(config.with_settings(checksum=self.checksum))

    async def _ended(self, source: CtaClient, target: CtaClient) -> AsyncIterator[tuple[Planned, Result | None]]:
        """Copy what is planned, several at once, and give each as it ends: None for what the servers do not copy.

        Raises:
            CtaError: The first one; the other copies go on until `_stop`.
        """
        plan = await asyncio.to_thread(self._plan, source, target)
        progress = Progress(sum(one.info.size or 0 for one in plan) if isinstance(plan, list) else None)
        telling = asyncio.create_task(self._tell(progress))
        turns = target.config.max_parallel or 1
        try:
            async for planned in _in_batches(plan):
                self._copies[asyncio.create_task(self._one(source, target, planned, progress))] = planned
                while len(self._copies) >= turns:
                    for each in await self._first():
                        yield each
            while self._copies:
                for each in await self._first():
                    yield each
        finally:
            telling.cancel()

    async def _first(self) -> list[tuple[Planned, Result | None]]:
        """Wait until one of those that run has ended, or some."""
        done, _ = await asyncio.wait(self._copies, return_when=asyncio.FIRST_COMPLETED)
        return [(self._copies.pop(copy), copy.result()) for copy in done]

    async def _tell(self, progress: Progress) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            self.log.info("%s", progress)

    async def _one(self, source: CtaClient, target: CtaClient, planned: Planned, progress: Progress) -> Result | None:
        """Have the servers copy a file, if it is not there already; None when they do not."""
        info, existing = planned.info, planned.existing
        itself = source is target and existing is not None and existing.path == info.path
        made = None if itself else await asyncio.to_thread(there_already, source, info, target, existing)
        if made is not None:
            progress(info.size or 0)
            return made
        try:
            begun = source.begin_copy(
                info.path,
                planned.target,
                to=target,
                info=info,
                overwrite=self.overwrite,
                progress=progress,
                through_here=False,
            )
            return copied(await begun)
        except (UnsupportedError, TransientError) as error:
            self.log.info("A worker copies %s: %s", info.path, error)
            return None

    async def _stop(self) -> None:
        """Stop what runs, and wait until it has cleaned up."""
        running = [copy for copy in self._copies if not copy.done()]
        for copy in running:
            copy.cancel()
        if running:
            await asyncio.wait(running, timeout=CLEANING)
        for copy in [copy for copy in self._copies if copy.done()]:
            del self._copies[copy]
            if not copy.cancelled():
                copy.exception()  # the first one was told


async def _in_batches(plan: Iterable[Planned]) -> AsyncIterator[Planned]:
    """Give what is planned; what waits for a server, waits in a thread."""
    rest = iter(plan)
    while batch := await asyncio.to_thread(lambda: list(islice(rest, _BATCH))):
        for planned in batch:
            yield planned

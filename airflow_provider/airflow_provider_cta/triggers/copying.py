"""A trigger that has servers copy files among themselves.

A copy from server to server is a request that stays open until all has been copied: who closes it, ends it. So the
trigger does not watch a copy, it holds it. The bytes go from server to server; what they refuse to do among themselves
is left to a worker, for nothing may pass through the disk of the triggerer.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_cta.copying import Result, copied, exactly, still_there, there_already
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.progress import INTERVAL, Progress
from airflow_provider_cta.triggers.errors import failed
from ctadata_providers import CtaClient, CtaError, FileInfo, TransientError, UnsupportedError

CLEANING = 10.0
"""Seconds, at most, for which the end of a copy that was stopped is waited for: its server is asked to clean up."""


class CtaCopyTrigger(BaseTrigger):
    """Have servers copy files from one connection to another; fires once.

    The event is `{"status": "success", "copied": [...], "left": [...]}` with a result for each pair, in their order,
    None for one that the servers do not copy among themselves, and these pairs; or what `error_of` makes an error of.

    Killed with its task, it stops the copies; nothing partial stays. So does a triggerer that ends; the one that goes
    on makes anew what was not yet whole, and no more: a file that is there already with the same checksum is not
    copied again.

    Args:
        pairs: Addresses or paths of the files, each with that of its copy.
        source_conn_id: The connection of the files.
        target_conn_id: The connection of the copies.
        overwrite: Replace what exists and is another file.
        checksum: `auto`, `require` or `off`; default what each connection says.
    """

    def __init__(
        self,
        pairs: Sequence[Sequence[str]],
        source_conn_id: str = CtaHook.default_conn_name,
        target_conn_id: str = CtaHook.default_conn_name,
        overwrite: bool = True,
        checksum: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.pairs = [(source, target) for source, target in pairs]
        self.source_conn_id = source_conn_id
        self.target_conn_id = target_conn_id
        self.overwrite = overwrite
        self.checksum = checksum
        self._copies: list[asyncio.Task[Result | None]] = []

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        names = ("source_conn_id", "target_conn_id", "overwrite", "checksum")
        pairs = [list(pair) for pair in self.pairs]
        return f"{__name__}.{type(self).__name__}", {"pairs": pairs, **{name: getattr(self, name) for name in names}}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire when all are copied, or when one cannot be."""
        try:
            results = await self._copy()
            left = [list(pair) for pair, result in zip(self.pairs, results, strict=True) if result is None]
            event = {"status": "success", "copied": results, "left": left}
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

    async def _copy(self) -> list[Result | None]:
        source = await self._client(self.source_conn_id)
        same = self.source_conn_id == self.target_conn_id
        target = source if same else await self._client(self.target_conn_id)
        try:
            infos, existing = await asyncio.gather(
                asyncio.to_thread(source.glob_many, dict.fromkeys(path for path, _ in self.pairs)),
                asyncio.to_thread(target.glob_many, dict.fromkeys(path for _, path in self.pairs)),
            )
            plan = [(still_there(path, infos), to, exactly(to, existing)) for path, to in self.pairs]
            return await self._all(source, target, plan)
        finally:
            await self._stop()
            for client in {source, target}:
                await asyncio.to_thread(client.close)

    async def _client(self, conn_id: str) -> CtaClient:
        config = await CtaHook(conn_id).aconfig()
        return CtaClient(config.with_settings(checksum=self.checksum))

    async def _all(
        self, source: CtaClient, target: CtaClient, plan: Sequence[tuple[FileInfo, str, FileInfo | None]]
    ) -> list[Result | None]:
        """Copy all, several at once, and write lines in the log meanwhile.

        Raises:
            CtaError: The first one; the other copies go on until `_stop`.
        """
        progress = Progress(sum(info.size or 0 for info, _, _ in plan))
        turns = asyncio.Semaphore(target.config.max_parallel or 1)

        async def one(info: FileInfo, path: str, existing: FileInfo | None) -> Result | None:
            async with turns:
                itself = source is target and existing is not None and existing.path == info.path
                made = None if itself else await asyncio.to_thread(there_already, source, info, target, existing)
                if made is not None:
                    progress(info.size or 0)
                    return made
                return await self._by_servers(source, info, target, path, progress)

        self._copies = [asyncio.create_task(one(*each)) for each in plan]
        pending = set(self._copies)
        told_at = asyncio.get_running_loop().time()
        while pending:
            done, pending = await asyncio.wait(pending, timeout=INTERVAL, return_when=asyncio.FIRST_EXCEPTION)
            for copy in done:
                copy.result()
            if asyncio.get_running_loop().time() - told_at >= INTERVAL:
                told_at = asyncio.get_running_loop().time()
                self.log.info("%d of %d copied; %s", len(plan) - len(pending), len(plan), progress)
        return [copy.result() for copy in self._copies]

    async def _by_servers(
        self, source: CtaClient, info: FileInfo, target: CtaClient, path: str, progress: Progress
    ) -> Result | None:
        """Have the servers copy a file; None when they do not."""
        try:
            return copied(
                await source.begin_copy(
                    info.path,
                    path,
                    to=target,
                    info=info,
                    overwrite=self.overwrite,
                    progress=progress,
                    through_here=False,
                )
            )
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
        for copy in self._copies:
            if copy.done() and not copy.cancelled():
                copy.exception()  # the first one was told

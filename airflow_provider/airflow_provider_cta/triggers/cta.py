"""Triggers that wait for files, and that tell what has changed in a folder."""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_cta import settings
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.triggers.errors import failed
from airflow_provider_cta.triggers.watching import SHORTEST, looks
from airflow_provider_cta.wanted import Calm, Wanted, prints, told
from ctadata_providers import CtaError, FileInfo, uri
from ctadata_providers.patterns import has_magic

log = logging.getLogger(__name__)


class CtaPathTrigger(BaseTrigger):
    """Wait for files, folders and matches of patterns; fires once.

    The event is `{"status": "success", "found": [...]}`, or what `error_of` makes an error of; with `end_from_trigger`
    it ends the task, whose result is what was found; an error is left to a worker also then, which knows what of it.

    Args:
        path: As for `CtaPathSensor`, and so are the others.
        cta_conn_id: The connection for an address that names none.
        poke_interval: Seconds from look to look; all who wait in one folder share each look.
        min_count: How many matches a pattern needs.
        stable_for: Seconds for which what is there must not have changed.
        newer_than: What was changed before is not looked at.
        metadata: Hand on what the listing tells, not addresses alone.
        end_from_trigger: End the task from here when all is there.
        silent_fail: Tell an error that does not pass in the log, and look on.
        pause: Seconds before the first look.
    """

    def __init__(
        self,
        path: str | Sequence[str],
        cta_conn_id: str = CtaHook.default_conn_name,
        poke_interval: float | None = None,
        min_count: int | str = 1,
        stable_for: float | str = 0.0,
        newer_than: Any = None,
        metadata: bool = False,
        end_from_trigger: bool = False,
        silent_fail: bool = False,
        pause: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.path = path
        self.cta_conn_id = cta_conn_id
        self.poke_interval = _interval(poke_interval)
        self.min_count = min_count
        self.stable_for = stable_for
        self.newer_than = newer_than
        self.metadata = metadata
        self.end_from_trigger = end_from_trigger
        self.silent_fail = silent_fail
        self.pause = pause

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        names = ("path", "cta_conn_id", "poke_interval", "min_count", "stable_for", "newer_than", "metadata")
        arguments = {name: getattr(self, name) for name in (*names, "end_from_trigger", "silent_fail", "pause")}
        return f"{__name__}.{type(self).__name__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire when all is there, or when a look has failed for good."""
        try:
            found = await self._wait()
        except CtaError as error:
            yield _event(failed(error))
            return
        if self.end_from_trigger:
            self.log.info("%s: %d found", self.path, len(found))
            yield TaskSuccessEvent(xcoms={"return_value": found})
        else:
            yield _event({"status": "success", "found": found})

    async def _wait(self) -> list[Any]:
        wanted = Wanted.of(self.path, min_count=self.min_count, stable_for=self.stable_for, newer_than=self.newer_than)
        await asyncio.sleep(self.pause)
        while True:
            try:
                return await self._found(wanted)
            except CtaError as error:
                if not self.silent_fail:
                    raise
                await _rest(self.path, error, self.poke_interval)

    async def _found(self, wanted: Wanted) -> list[Any]:
        calm = Calm(wanted.stable_for)
        questions = wanted.questions.values()
        async with aclosing(looks(questions, self.cta_conn_id, interval=self.poke_interval)) as answers:
            async for there in answers:
                found = wanted.found(there)
                if found is None:
                    calm = Calm(wanted.stable_for)
                elif calm.settled(found, time.time()):
                    return told(found, metadata=self.metadata)
        raise AssertionError("looks have no end")


class CtaFolderTrigger(BaseEventTrigger):
    """Tell what has come or changed in a folder: for an `AssetWatcher`, one event a change.

    What has been told is remembered in the state of the asset, so that neither a restart of the triggerer nor files
    that stay where they are start a run again. A watcher of several assets remembers only while it runs. The event is
    `{"uri": ..., "changed": [...], "count": n}`, with the first thousand addresses; after a restart with more than
    10,000 entries all of them count as changed if any is. What keeps it from looking is told in the log, a line an
    interval, and does not end it.

    Args:
        path: A folder, or a pattern.
        cta_conn_id: The connection for an address that names none.
        poke_interval: Seconds from look to look; all who wait in one folder share each look.
        stable_for: Seconds for which nothing must have changed before it is told, so that what comes together is one
            change.
        existing: Whether what is there at the very first look is told too.

    Raises:
        ConfigError: When the path cannot be used.
    """

    def __init__(
        self,
        path: str,
        cta_conn_id: str = CtaHook.default_conn_name,
        poke_interval: float | None = None,
        stable_for: float = 0.0,
        existing: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        uri.parse(path)
        self.path = path
        self.cta_conn_id = cta_conn_id
        self.poke_interval = _interval(poke_interval)
        self.stable_for = stable_for
        self.existing = existing
        self._known: dict[str, str] | None = None
        self._calm = Calm(stable_for)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        names = ("path", "cta_conn_id", "poke_interval", "stable_for", "existing")
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire for each change, without an end.

        Airflow would begin anew at once what has ended with an error, and that would not know what was told.
        """
        self._known = await self._remembered()
        while True:
            try:
                async with aclosing(self._changes()) as changes:
                    async for change in changes:
                        yield change
            except CtaError as error:
                await _rest(self.path, error, self.poke_interval)

    async def _changes(self) -> AsyncGenerator[TriggerEvent, None]:
        address = uri.parse(self.path)
        question = self.path if has_magic(self.path) else f"{address.path.rstrip('/')}/*"
        async with aclosing(
            looks([question], address.name or self.cta_conn_id, interval=self.poke_interval)
        ) as answers:
            async for there in answers:
                infos = there[question]
                if not self._calm.settled(infos, time.time()):
                    continue
                now = prints(infos)
                if self._known == _in_short(now):
                    self._known = now
                first = self._known is None and not self.existing
                changed = [] if first else _changed(infos, now, self._known or {})
                if changed:
                    yield _event({"uri": self._uri(), "changed": changed[:_TOLD], "count": len(changed)})
                if now != self._known:  # after it was told: rather twice than never
                    self._known = now
                    await self._remember(now)

    def _uri(self) -> str:
        address = uri.parse(self.path)
        return uri.format_uri(address.path, folder=not has_magic(self.path))

    async def _remembered(self) -> dict[str, str] | None:
        try:
            kept = await self.asset_state_store.aget(self._key) if self.asset_state_store else None
        except ValueError:  # there are several assets
            return None
        return {str(path): str(value) for path, value in kept.items()} if isinstance(kept, dict) else None

    async def _remember(self, now: dict[str, str]) -> None:
        if self.asset_state_store:
            try:
                await self.asset_state_store.aset(self._key, {**_in_short(now)})
            except ValueError:
                self.log.debug("%s: several assets share this watcher, which remembers only while it runs", self.path)

    @property
    def _key(self) -> str:
        return f"cta_folder:{self.cta_conn_id}:{self.path}"


_TOLD = 1000
_REMEMBERED = 10_000


def _in_short(now: dict[str, str]) -> dict[str, str]:
    """Return what is kept in Airflow's database, where it must not grow with the folder."""
    if len(now) <= _REMEMBERED:
        return now
    whole = hashlib.sha256(
        "\n".join(sorted(f"{path}\0{value}" for path, value in now.items())).encode(errors="replace")
    )
    return {"": whole.hexdigest()}


def _changed(infos: Sequence[FileInfo], now: dict[str, str], known: dict[str, str]) -> list[str]:
    return [info.uri for info in infos if known.get(info.path) != now[info.path]]


async def _rest(path: str | Sequence[str], error: CtaError, interval: float) -> None:
    """Tell what went wrong, and wait until the next look may be made."""
    log.error("cannot look at %s, again in %g s: %s: %s", path, interval, type(error).__name__, error)
    await asyncio.sleep(max(SHORTEST, interval))


def _interval(seconds: float | None) -> float:
    return settings.number("poke_interval") if seconds is None else seconds


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's

"""One look an interval for all that wait at a place, however many they are.

A place is a folder of a connection, or a pattern over several folders. Its watch lives in the event loop of the
triggerer for as long as somebody waits there; its looks, which block, are made in a few threads of its connection, so
that a server that hangs holds up nobody who waits at another.
"""

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import TypeAlias
from weakref import WeakKeyDictionary

from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_cta import settings
from airflow_provider_cta.hooks.cta import CtaHook
from ctadata_providers import Config, ConfigError, CtaClient, CtaError, FileInfo, TransientError, uri
from ctadata_providers.patterns import has_magic

GATHERING = 1.0
"""Seconds, at most, for which the first look for somebody waits for others who start together."""
SHORTEST = 1.0
"""Seconds from the end of a look to the next, at least."""
SOON = 60.0
"""Seconds, at most, after which a look that failed for a while is made again."""
ABSENCE = 60.0
"""Seconds for which a connection may be missing, as while it is replaced, before those who wait are told."""
ABSENT = 15.0
"""Seconds, at most, after which a missing connection is looked up again."""
PATIENCE = 30.0
"""Seconds, at least, for which a look waits for an answer, however short the interval: large listings take some."""
LONGEST = 300.0
"""Seconds for which a server is left alone at most, however long it asks for."""
_BUSY = {429: 20.0}
"""Seconds for which a server that has said so, and not for how long, is left alone."""

log = logging.getLogger(__name__)

Answers: TypeAlias = Mapping[str, Sequence[FileInfo]]
Place: TypeAlias = tuple[str, str]
"""A connection, and a folder or a pattern over folders there."""


async def looks(paths: Iterable[str], conn_id: str, *, interval: float) -> AsyncGenerator[Answers, None]:
    """Give what is there of some paths and patterns, at once for all of them, after each interval anew.

    A look that fails for a while is told in the log and made again.

    Args:
        paths: Addresses, plain paths and patterns.
        conn_id: The connection for those that name none.
        interval: Seconds from look to look.

    Raises:
        CtaError: What a look has raised that does not pass.
    """
    waiting = _Waiting(interval)
    by_place: dict[Place, list[str]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        by_place[place_of(path, conn_id)].append(path)
    watches = {place: _watch(place) for place in by_place}
    for place, watch in watches.items():
        watch.join(waiting, by_place[place])
    try:
        while True:
            yield await waiting.all_of(by_place)
    finally:
        for watch in watches.values():
            watch.leave(waiting)


def place_of(path: str, conn_id: str) -> Place:
    """Return where a look for a path is made."""
    address = uri.parse(path)
    folder, _ = uri.split(address.path)
    where = address.path if has_magic(folder) or "**" in address.path else folder
    return address.name or conn_id, where


class _Waiting:
    """Somebody who waits, at one place or several.

    Args:
        interval: Seconds from look to look.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._news: dict[Place, Answers | BaseException] = {}
        self._something = asyncio.Event()

    def tell(self, place: Place, outcome: Answers | BaseException) -> None:
        """Take what a look has shown, or how it has failed for good."""
        self._news[place] = outcome
        self._something.set()

    async def all_of(self, places: Iterable[Place]) -> Answers:
        """Return what is there, once each place has been looked at since the last time."""
        while True:
            for outcome in self._news.values():
                if isinstance(outcome, BaseException):
                    raise outcome
            if all(place in self._news for place in places):
                break
            self._something.clear()
            await self._something.wait()
        answers: dict[str, Sequence[FileInfo]] = {}
        for outcome in self._news.values():
            if not isinstance(outcome, BaseException):
                answers.update(outcome)
        self._news.clear()
        return answers


class _Watch:
    """Looks at one place for all who wait there.

    It looks once in the shortest interval of all who wait now, and soon for somebody who has not been served yet.
    """

    def __init__(self, place: Place, ended: Callable[[], object]) -> None:
        self._place = place
        self._ended = ended
        self._waiting: dict[_Waiting, list[str]] = {}
        self._task: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self._came: float | None = None  # when the first of those came who have not been served
        self._begun = math.inf  # the last look
        self._free = -math.inf  # when the next one may begin at the earliest
        self._again = math.inf  # seconds, at most, after which a look that failed for a while is made again
        self._missed: float | None = None  # since when the connection is missing

    def join(self, waiting: _Waiting, paths: list[str]) -> None:
        """Let somebody wait for some paths here, from the next look on."""
        self._waiting[waiting] = paths
        if self._came is None:
            self._came = asyncio.get_running_loop().time()
        self._joined.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._tell_end)

    def leave(self, waiting: _Waiting) -> None:
        """Let somebody go."""
        self._waiting.pop(waiting, None)
        if not self._waiting and self._task is not None:
            self._task.cancel()
            self._task = None
            self._ended()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._turn()
            self._begun, self._came, self._again = loop.time(), None, math.inf
            served = dict(self._waiting)
            outcome = await self._look(dict.fromkeys(path for paths in served.values() for path in paths))
            self._free = max(self._free, loop.time() + SHORTEST)
            for waiting, paths in served.items():
                if isinstance(outcome, CtaError):
                    waiting.tell(self._place, outcome)
                elif outcome is not None:
                    waiting.tell(self._place, {path: outcome[path] for path in paths})

    async def _turn(self) -> None:
        """Wait until a look is due; who joins meanwhile may bring it forward."""
        loop = asyncio.get_running_loop()
        while (left := self._due() - loop.time()) > 0:
            self._joined.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._joined.wait(), left)

    def _due(self) -> float:
        """Return when the next look is due, by the clock of the loop."""
        due = self._begun + min(self._interval, self._again)
        if self._came is not None:
            due = min(due, self._came + min(GATHERING, self._interval / 10))
        return max(due, self._free)

    def _tell_end(self, task: asyncio.Task[None]) -> None:
        """Let nobody wait for a watch that a surprise has ended."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            for waiting in self._waiting:
                waiting.tell(self._place, error)
            self._waiting.clear()
            self._task = None  # who leaves later must not end the watch that has come in its place
            self._ended()

    @property
    def _interval(self) -> float:
        return max(SHORTEST, min((waiting.interval for waiting in self._waiting), default=0.0))

    async def _look(self, paths: Iterable[str]) -> Answers | CtaError | None:
        """Look once, with the connection as it is now; None when that has failed for a while."""
        conn_id, where = self._place
        loop = asyncio.get_running_loop()
        try:
            config = await CtaHook(conn_id).aconfig()
        except CtaError as error:
            return error
        except Exception as error:  # noqa: BLE001 (a secrets backend raises what it likes)
            return self._without_connection(error)
        self._missed = None
        try:
            return await loop.run_in_executor(_threads(conn_id), _look, self._once(config), list(paths))
        except TransientError as error:
            log.warning("cannot look at %s now, trying again: %s", where, error)
            rest = _BUSY.get(error.status or 0, 0.0) if error.retry_after is None else error.retry_after
            self._again, self._free = SOON, loop.time() + min(rest, LONGEST)
            return None
        except CtaError as error:
            return error

    def _without_connection(self, error: Exception) -> ConfigError | None:
        """Return the error of a connection that is missing for long, None while it may come back."""
        conn_id, where = self._place
        # What others say may show a piece of what they could not read.
        told = str(error) if isinstance(error, AirflowNotFoundException) else type(error).__name__
        now = asyncio.get_running_loop().time()
        if self._missed is None or now - self._missed < ABSENCE:
            log.warning("cannot look up the connection %s for %s now, trying again: %s", conn_id, where, told)
            self._missed = self._missed or now
            self._again = ABSENT
            return None
        self._missed = None
        return ConfigError(
            f"cannot look up the connection {conn_id}: {told}", remedy="add it, or look at what keeps it"
        )

    def _once(self, config: Config) -> Config:
        """Return the settings for one look: the watch asks again, so a look need not hold a thread for long."""
        most = max(PATIENCE, self._interval)
        patience = {name: min(getattr(config, name), most) for name in ("connect_timeout", "timeout")}
        return config.with_settings(retries=0, **patience)


def _look(config: Config, paths: list[str]) -> Answers:
    with CtaClient(config) as client:
        return client.glob_many(paths)


@cache
def _threads(conn_id: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.whole("looks_at_once"), thread_name_prefix=f"cta-look-{conn_id}")


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Place, _Watch]] = WeakKeyDictionary()


def _watch(place: Place) -> _Watch:
    """Return the watch of a place, the one that runs or a new one."""
    of_loop = _watches.setdefault(asyncio.get_running_loop(), {})
    if place not in of_loop:
        of_loop[place] = _Watch(place, ended=lambda: of_loop.pop(place, None))
    return of_loop[place]

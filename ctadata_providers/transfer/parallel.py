"""Many transfers at once."""

import os
import threading
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

from ctadata_providers.errors import CtaError
from ctadata_providers.session.futures import SIGNAL_PATIENCE, STOP_PATIENCE, Future
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.tasks import Task, spawn

K = TypeVar("K")
T = TypeVar("T")

Begin = Task[T] | Callable[[], Future[T]]
"""A coroutine, or what begins the work in the curl loop's thread and returns its future."""
LOOK_AHEAD = 4
"""Tasks that wait for their turn, as a multiple of those that run."""
BUNCH_SECONDS = 0.01
"""Seconds for which an outcome may wait for others while there is enough to do: each wake-up of the thread that takes
them costs the loop's thread a turn at the interpreter, as much as a small file."""


@dataclass(slots=True)
class Job(Generic[K, T]):
    """A task of many.

    Attributes:
        key: What tells it from the others.
        task: What it does.
        after: Key of an earlier `urgent` job that it needs; without that one's success it is not begun.
        urgent: Others need it: it goes before all that wait and are not.
    """

    key: K
    task: Begin[T]
    after: K | None = None
    urgent: bool = False

    def begin(self) -> Future[T]:
        """Begin it; what keeps it from beginning is its outcome: in the curl loop's thread nobody would take it."""
        if not callable(self.task):
            return spawn(self.task)
        try:
            return self.task()
        except BaseException as error:  # noqa: BLE001 (it belongs to who waits for it)
            failed: Future[T] = Future()
            failed.set_exception(error)
            return failed

    def drop(self) -> None:
        """Say that it will never begin."""
        if not callable(self.task):
            self.task.close()


class _Bell:
    """Wakes one thread that waits; made of a lock written in C, so that a Ctrl-C cannot tear it."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the one who waits, or who waits next."""
        with suppress(RuntimeError):  # it has rung already
            self._lock.release()

    def wait(self, seconds: float) -> None:
        """Wait for it, no longer than some seconds."""
        self._lock.acquire(timeout=seconds)


class Pump(Generic[K, T]):
    """Keeps up to `limit` tasks running, to be used once and by one thread.

    The thread that ends one starts the next: mostly the owner thread of the curl loop, which so goes from file to file
    without waiting for the thread that lists. It also starts the first ones: a task that begins in the main thread
    could be torn by a Ctrl-C. For the same reason that thread meets only locks and queues written in C here.
    """

    def __init__(self, limit: int, *, look_ahead: int = LOOK_AHEAD) -> None:
        self.left: list[tuple[K, Future[T]]] = []
        """What had ended without being given out when the pump was stopped."""
        self._ended: deque[tuple[K, Future[T]]] = deque()
        self._bell = _Bell()
        self._open = 0
        self._limit = limit
        self._most = limit * (1 + look_ahead)
        self._lock = threading.Lock()
        self._waiting: deque[Job[K, T]] = deque()
        self._urgent: deque[Job[K, T]] = deque()
        self._needing: dict[K, list[Job[K, T]]] = {}  # by the key of a job that has not ended
        self._failed: set[K] = set()  # keys of urgent jobs
        self._running: dict[Future[T], Job[K, T]] = {}
        self._places = limit
        self._stopped = False
        self._idle = _Bell()
        self._will_ring = False
        self._pid = os.getpid()

    def outcomes(self, jobs: Iterable[Job[K, T]]) -> Generator[tuple[K, Future[T]], None, None]:
        """Run jobs and give each with its outcome as it ends; one that was not begun has a cancelled future.

        They are taken a little ahead of those that run. Whatever ends the iteration stops those that still run.

        Raises:
            RuntimeError: In a process forked from the one that began it.
        """
        try:
            for job in jobs:
                self._add(job)
                while self._open >= self._most or self._ended:
                    yield self._next()
            while self._open:
                yield self._next()
        finally:
            if isinstance(jobs, Generator):
                jobs.close()
            if not self._forked():  # what runs is its parent's, and the lock may be held for ever
                self._stop()

    def _next(self) -> tuple[K, Future[T]]:
        if self._forked():
            raise RuntimeError("transfers do not go on in a forked process: begin others there")
        while not self._ended:
            self._bell.wait(SIGNAL_PATIENCE)
        self._open -= 1
        return self._ended.popleft()

    def _forked(self) -> bool:
        return os.getpid() != self._pid

    def _add(self, job: Job[K, T]) -> None:
        self._open += 1
        with self._lock:
            if job.urgent:
                self._needing[job.key] = []
            refused = self._line_up(job)
            starts = self._places > 0
        if refused:
            self._refuse(refused)
        if starts:
            curl_loop().call(self._start)

    def _line_up(self, job: Job[K, T]) -> list[Job[K, T]]:
        """Let a job wait for its turn, or for another job; return those that will never have one."""
        if job.after is not None and job.after in self._failed:
            return [job, *self._fail(job)]
        if job.after is not None and job.after in self._needing:
            self._needing[job.after].append(job)
        else:
            (self._urgent if job.urgent else self._waiting).append(job)
        return []

    def _fail(self, job: Job[K, T]) -> list[Job[K, T]]:
        """Return the jobs that can no longer have a turn without this one, and those without them."""
        refused: list[Job[K, T]] = []
        without = [job]
        while without:
            job = without.pop()
            if job.urgent:
                self._failed.add(job.key)
                needing = self._needing.pop(job.key, [])
                refused += needing
                without += needing
        return refused

    def _refuse(self, jobs: list[Job[K, T]]) -> None:
        for job in jobs:
            job.drop()
            outcome: Future[T] = Future()
            outcome.cancel()
            self._ended.append((job.key, outcome))
        self._bell.ring()

    def _start(self) -> None:
        """Start jobs while there are places: a loop, for those that end at once must not pile up on the stack."""
        while True:
            with self._lock:
                if self._stopped or not self._places or not (self._urgent or self._waiting):
                    return
                job = (self._urgent or self._waiting).popleft()
                self._places -= 1
            future = job.begin()
            self._running[future] = job
            if self._stopped:  # who stops says so before he looks who runs
                future.cancel()
            if future.done():
                self._finish(future)
                continue
            future.add_done_callback(self._end)
            if not self._places:  # without the lock: who frees one starts the next
                return

    def _end(self, future: Future[T]) -> None:
        self._finish(future)
        self._start()

    def _finish(self, future: Future[T]) -> None:
        """Hand out an outcome, free its place, and line up what needed it."""
        refused: list[Job[K, T]] = []
        with self._lock:
            job = self._running.pop(future)
            self._places += 1
            if future.error is not None:
                refused = self._fail(job)
            elif job.urgent:
                for other in self._needing.pop(job.key):
                    refused += self._line_up(other)
            idle = self._stopped and self._places == self._limit
        self._ended.append((job.key, future))
        if refused:
            self._refuse(refused)
        if len(self._waiting) <= self._limit or len(self._ended) > self._limit or self._stopped:
            self._bell.ring()
        elif not self._will_ring:
            self._will_ring = True
            curl_loop().sleep(BUNCH_SECONDS).add_done_callback(self._ring_late)
        if idle:
            self._idle.ring()

    def _ring_late(self, _: object) -> None:
        self._will_ring = False
        self._bell.ring()

    def _stop(self) -> None:
        """Stop what runs, start nothing more, and wait a little for the end."""
        with self._lock:
            self._stopped = True
            unbegun = [*self._urgent, *self._waiting, *(job for jobs in self._needing.values() for job in jobs)]
            running = list(self._running)
            idle = self._places == self._limit
        while self._ended:
            self.left.append(self._ended.popleft())
        for job in unbegun:
            job.drop()
        for future in running:
            future.cancel()
        if not idle:
            self._idle.wait(STOP_PATIENCE)


async def failed(error: CtaError) -> NoReturn:
    """Be a task that has failed before it could be begun: its error is told like that of any other."""
    raise error


def as_ended(tasks: Iterable[tuple[K, Begin[T]]], limit: int) -> Generator[tuple[K, Future[T]], None, None]:
    """Run tasks, at most `limit` at once, and give each with its outcome as it ends.

    The tasks are taken a little ahead of those that run. Whatever ends the iteration stops those that still run.
    """
    with closing(Pump[K, T](limit).outcomes(Job(*task) for task in tasks)) as outcomes:
        yield from outcomes

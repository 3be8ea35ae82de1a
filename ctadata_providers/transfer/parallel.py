"""Many transfers at once."""

import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

from ctadata_providers.session.tasks import INTERRUPT_PATIENCE, Task, spawn

K = TypeVar("K")
T = TypeVar("T")

LOOK_AHEAD = 4
"""Tasks that wait for their turn, as a multiple of those that run."""


class _Pump(Generic[K, T]):
    """Keeps up to `limit` tasks running.

    The thread that ends one starts the next: mostly the owner thread of the curl loop, which so goes from file to file
    without waiting for the thread that lists.
    """

    def __init__(self, limit: int) -> None:
        self.ended: SimpleQueue[tuple[K, Future[T]]] = SimpleQueue()
        self.open = 0
        self._limit = limit
        self._changed = threading.Condition()
        self._waiting: deque[tuple[K, Task[T]]] = deque()
        self._running: dict[Future[T], K] = {}
        self._places = limit
        self._stopped = False

    @property
    def full(self) -> bool:
        """Whether enough tasks wait for their turn."""
        return self.open >= self._limit * (1 + LOOK_AHEAD)

    def add(self, key: K, task: Task[T]) -> None:
        """Start a task, now or when there is a place."""
        self.open += 1
        with self._changed:
            if self._places == 0:
                self._waiting.append((key, task))
                return
            self._places -= 1
        self._start(key, task)

    def stop(self) -> None:
        """Stop what runs, start nothing more, and wait a little for the end."""
        with self._changed:
            self._stopped = True
            waiting, running = list(self._waiting), list(self._running)
            self._waiting.clear()
        for _, task in waiting:
            task.close()
        for future in running:
            future.cancel()
        with self._changed:
            self._changed.wait_for(lambda: self._places == self._limit, INTERRUPT_PATIENCE)

    def _start(self, key: K, task: Task[T]) -> None:
        following: tuple[K, Task[T]] | None = (key, task)
        while following is not None:  # a loop: tasks that end at once must not pile up on the stack
            future = spawn(following[1])
            with self._changed:
                self._running[future] = following[0]
                stopped = self._stopped
            if stopped:
                future.cancel()
            if not future.done():
                future.add_done_callback(self._end)
                return
            following = self._finish(future)

    def _end(self, future: Future[T]) -> None:
        following = self._finish(future)
        if following is not None:
            self._start(*following)

    def _finish(self, future: Future[T]) -> tuple[K, Task[T]] | None:
        """Hand out an outcome; return the task that takes the place, None if there is none."""
        with self._changed:
            key = self._running.pop(future)
            following = self._waiting.popleft() if self._waiting else None
            if following is None:
                self._places += 1
                self._changed.notify_all()
        self.ended.put((key, future))
        return following


def as_ended(tasks: Iterable[tuple[K, Task[T]]], limit: int) -> Generator[tuple[K, Future[T]], None, None]:
    """Run tasks, at most `limit` at once, and give each with its outcome as it ends.

    The tasks are taken a little ahead of those that run. Whatever ends the iteration stops those that still run.
    """
    pump: _Pump[K, T] = _Pump(limit)
    try:
        for key, task in tasks:
            pump.add(key, task)
            while pump.full or not pump.ended.empty():
                pump.open -= 1
                yield pump.ended.get()
        while pump.open:
            pump.open -= 1
            yield pump.ended.get()
    finally:
        pump.stop()

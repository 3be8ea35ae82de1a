"""Several questions at once, answered in the order in which they were asked."""

import time
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

from ctadata_providers.session.futures import STOP_PATIENCE, Future
from ctadata_providers.session.tasks import Task, spawn, take

K = TypeVar("K")
T = TypeVar("T")


def in_order(tasks: Iterable[tuple[K, Task[T]]], limit: int) -> Generator[tuple[K, Future[T]], None, None]:
    """Run tasks, at most `limit` at once, and give each with its outcome in the order in which they came.

    One that takes long holds up those behind it: at most `limit` outcomes are kept. Whatever ends the iteration stops
    those that still run.
    """
    begun: deque[tuple[K, Future[T]]] = deque()
    running: set[Future[T]] = set()
    # Written in C: a Ctrl-C in a lock written in Python could leave it locked for who completes the future.
    ended: SimpleQueue[Future[T]] = SimpleQueue()
    try:
        for key, task in tasks:
            future = spawn(task)
            running.add(future)
            begun.append((key, future))
            future.add_done_callback(ended.put)
            while True:
                while not ended.empty():
                    running.discard(ended.get())
                while begun and begun[0][1] not in running:
                    yield begun.popleft()
                if len(begun) < limit:
                    break
                running.discard(take(ended))
        while begun:
            while begun[0][1] in running:
                running.discard(take(ended))
            yield begun.popleft()
    finally:
        for future in running:
            future.cancel()
        deadline = time.monotonic() + STOP_PATIENCE
        with suppress(Empty):
            while running:
                running.discard(ended.get(timeout=max(0.0, deadline - time.monotonic())))

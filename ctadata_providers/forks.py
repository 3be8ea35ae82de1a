"""What a forked process begins anew: of its parent's threads none is there, to end its work or give back its lock."""

import os
import threading
from abc import ABC, abstractmethod
from weakref import WeakSet


def fork_safe_lock() -> threading.Lock:
    """Return a lock that is free in a forked process; one written in C, so that a Ctrl-C cannot tear it."""
    lock = threading.Lock()
    _locks.add(lock)
    return lock


class NewAfterFork(ABC):
    """Something that threads share, and that begins anew in a forked process."""

    def __init__(self) -> None:
        self._begin_anew()
        _shared.add(self)

    @abstractmethod
    def _begin_anew(self) -> None:
        """Know of no work under way, and have a lock that nobody holds."""


_locks: "WeakSet[threading.Lock]" = WeakSet()
_shared: "WeakSet[NewAfterFork]" = WeakSet()


def _begin_all_anew() -> None:
    for lock in list(_locks):
        lock._at_fork_reinit()  # type: ignore[attr-defined]  # what the standard library does with its own
    for item in list(_shared):
        item._begin_anew()


os.register_at_fork(after_in_child=_begin_all_anew)

"""Locks of what a forked process goes on with: the thread that holds one at the fork is not there to give it back."""

import os
import threading
import weakref


def fork_safe_lock() -> threading.Lock:
    """Return a lock that is free in a forked process; one written in C, so that a Ctrl-C cannot tear it."""
    lock = threading.Lock()
    _all.add(lock)
    return lock


_all: "weakref.WeakSet[threading.Lock]" = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_all):
        lock._at_fork_reinit()  # type: ignore[attr-defined]  # what the standard library does with its own


os.register_at_fork(after_in_child=_renew_all)

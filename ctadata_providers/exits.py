"""What the end of a process waits for."""

import atexit
import os
import threading
import weakref

_unfinished: "weakref.WeakSet[threading.Thread]" = weakref.WeakSet()
_waits = False


def wait_at_exit(thread: threading.Thread) -> None:
    """Let this process wait at its end for a started thread, also where it is not the interpreter that ends.

    A task of Airflow is a forked process that calls what `atexit` has got since the fork, and then `os._exit`, which
    waits for no thread.
    """
    global _waits
    _unfinished.add(thread)
    if not _waits:
        _waits = True
        atexit.register(_join)


def _join() -> None:
    while _unfinished:  # others may still be added
        try:
            thread = _unfinished.pop()
        except KeyError:  # the last one has ended just now
            return
        thread.join()


def _forget() -> None:
    global _unfinished, _waits
    _unfinished, _waits = weakref.WeakSet(), False


os.register_at_fork(after_in_child=_forget)

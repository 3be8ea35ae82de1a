"""The owner thread: one CurlMulti for all exchanges of a process.

libcurl's multi handle is not guarded against other threads, so only this thread touches it; others hand over callables
through a queue and a pipe. One thread with many handles is also the fastest arrangement that was measured: more
threads only compete for the interpreter. Nothing of it is shared across a fork: a child starts its own.
"""

import heapq
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from itertools import count
from typing import Any, Protocol

from ctadata_providers.session.tasks import CancellableFuture

logger = logging.getLogger(__name__)
SWEEP_SECONDS = 0.5
# What libcurl's numbers (curl/multi.h) mean to poll(2), and the reverse; no pycurl is imported for them.
_POLL_REMOVE = 4
_INTERESTS = {0: 0, 1: select.POLLIN, 2: select.POLLOUT, 3: select.POLLIN | select.POLLOUT}
_EVENTS = select.POLLIN | select.POLLOUT
_ACTIONS = {0: 0, select.POLLIN: 1, select.POLLOUT: 2, select.POLLIN | select.POLLOUT: 3}


class Running(Protocol):
    """An exchange that the loop drives."""

    handle: Any

    def finished(self, code: int, text: str) -> None:
        """Take note that libcurl has ended with this code (0 is success)."""

    def stalled(self, now: float) -> bool:
        """Tell whether there was no progress for too long."""

    def stopped(self) -> None:
        """Take note that it was cancelled."""


class CurlLoop:
    """Runs exchanges in its own daemon thread, which starts with the first of them."""

    def __init__(self) -> None:
        self._inbox: deque[Callable[[], None]] = deque()
        self._running: dict[Any, Running] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._curl_deadline: float | None = None
        self._next_sweep = 0.0
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._asleep = False
        self._in_curl = False
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ident = 0

    def start(self, exchange: Running) -> None:
        """Begin an exchange; its handle belongs to the loop until it is told the end."""
        if threading.get_ident() == self._ident and not self._in_curl:
            self._add(exchange)
        else:
            self._hand_over(lambda: self._add(exchange))

    def cancel(self, exchange: Running) -> None:
        """Stop an exchange at once, if it still runs."""
        self._hand_over(lambda: self._stop(exchange))

    def call(self, function: Callable[[], None]) -> None:
        """Have something short, which raises nothing, done in the loop's thread."""
        self._hand_over(function)

    def go_on(self, exchange: Running) -> None:
        """Let an exchange that was paused go on, if it still runs; to be called in the loop's thread."""
        import pycurl

        if self._running.get(exchange.handle) is exchange:
            try:
                exchange.handle.pause(pycurl.PAUSE_CONT)
            except pycurl.error as error:  # what waited was given to a sink that has raised
                self._end(exchange.handle, *error.args)

    def sleep(self, seconds: float) -> CancellableFuture[None]:
        """Return a future that is done after some seconds."""
        future: CancellableFuture[None] = CancellableFuture(lambda: self._hand_over(give_up))

        def give_up() -> None:
            if not future.done():
                future.set_exception(CancelledError())

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        deadline = time.monotonic() + seconds
        self._hand_over(lambda: heapq.heappush(self._timers, (deadline, next(self._order), wake)))
        return future

    def _hand_over(self, work: Callable[[], None]) -> None:
        self._inbox.append(work)
        if threading.get_ident() == self._ident:
            return
        if self._thread is None:
            with self._start:
                if self._thread is None:
                    thread = threading.Thread(target=self._main, name="ctadata-curl", daemon=True)
                    self._thread = thread
                    thread.start()
        if self._asleep:  # a wake-up costs a system call and a change of threads
            # It is for the loop to say that it is awake: here a Ctrl-C may come before the wake-up.
            with suppress(BlockingIOError):  # then the pipe is full of wake-ups already
                os.write(self._wake_writer, b"x")

    def _main(self) -> None:
        self._ident = threading.get_ident()
        try:
            self._drive()
        finally:  # reached by a fault of ours alone: nobody may wait for ever
            self._thread, self._ident = None, 0
            for exchange in self._running.values():
                exchange.stopped()
            self._running.clear()

    def _drive(self) -> None:
        import pycurl

        # Not epoll: sockets come and go with each transfer, which there costs a system call each time.
        self._sockets = select.poll()
        self._sockets.register(self._wake_reader, select.POLLIN)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, 128)
        while True:
            self._work_inbox()
            self._poll(pycurl)
            self._collect()
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                heapq.heappop(self._timers)[2]()
            if self._running and now >= self._next_sweep:
                self._sweep(now)

    def _work_inbox(self) -> None:
        while self._inbox:
            self._inbox.popleft()()

    def _poll(self, pycurl: Any) -> None:
        self._asleep = True  # before the look into the inbox: who adds to it later wakes us
        ready = self._sockets.poll(self._patience())
        self._asleep = False
        act = self._multi.socket_action
        self._in_curl = True  # what it calls must not add a handle
        for fd, events in ready:
            if fd == self._wake_reader:
                os.read(fd, 4096)
            else:
                act(fd, _ACTIONS[events & _EVENTS] or pycurl.CSELECT_ERR)
        if self._curl_deadline is not None and time.monotonic() >= self._curl_deadline:
            self._curl_deadline = None
            act(pycurl.SOCKET_TIMEOUT, 0)
        self._in_curl = False

    def _patience(self) -> float | None:
        """Return the milliseconds for which nothing is to be done, None when only others can bring something."""
        if self._inbox:
            return 0
        deadlines = [d for d in (self._curl_deadline, self._timers[0][0] if self._timers else None) if d is not None]
        if self._running:
            deadlines.append(self._next_sweep)
        return max(0.0, (min(deadlines) - time.monotonic()) * 1000) if deadlines else None

    def _watch_socket(self, what: int, fd: int, multi: Any, data: Any) -> None:
        if what == _POLL_REMOVE:
            try:  # noqa: SIM105 (it would cost as much as all else here)
                self._sockets.unregister(fd)
            except KeyError:
                pass
        else:
            self._sockets.register(fd, _INTERESTS[what])

    def _set_timer(self, timeout_ms: int) -> None:
        self._curl_deadline = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000

    def _add(self, exchange: Running) -> None:
        if not self._running:
            self._next_sweep = time.monotonic() + SWEEP_SECONDS
        self._running[exchange.handle] = exchange
        self._multi.add_handle(exchange.handle)

    def _collect(self) -> None:
        while True:
            queued, succeeded, failed = self._multi.info_read()
            for handle in succeeded:
                self._end(handle, 0, "")
            for handle, code, text in failed:
                self._end(handle, code, text)
            if not queued:
                return

    def _end(self, handle: Any, code: int, text: str) -> None:
        self._multi.remove_handle(handle)
        self._running.pop(handle).finished(code, text)

    def _stop(self, exchange: Running) -> None:
        if self._running.get(exchange.handle) is exchange:  # the handle may serve another by now
            del self._running[exchange.handle]
            self._multi.remove_handle(exchange.handle)
            exchange.stopped()

    def _sweep(self, now: float) -> None:
        """End what makes no progress; libcurl's own low-speed limit also counts the wait for a first byte."""
        self._next_sweep = now + SWEEP_SECONDS
        import pycurl

        for handle, exchange in list(self._running.items()):
            if exchange.stalled(now):
                self._end(handle, pycurl.E_OPERATION_TIMEDOUT, "no progress")


_loop: CurlLoop | None = None
_loop_lock = threading.Lock()


def curl_loop() -> CurlLoop:
    """Return the loop of this process."""
    global _loop
    if _loop is None:
        with _loop_lock:
            if _loop is None:
                _loop = CurlLoop()
    return _loop


def in_curl_loop() -> bool:
    """Tell whether this is the thread of that loop, which must not wait for anything."""
    return _loop is not None and _loop._ident == threading.get_ident()


def _forget_loop() -> None:
    global _loop, _loop_lock
    _loop, _loop_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_loop)

import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError
from queue import SimpleQueue
from time import monotonic
from typing import Any

import pytest

from ctadata_providers.session.futures import Future
from ctadata_providers.session.limits import RateLimiter
from ctadata_providers.session.loop import CurlLoop, curl_loop
from ctadata_providers.session.tasks import CancellableFuture, _BlockingThreads, asked, in_thread, run, spawn, wait

PATIENCE = 10.0


def done(value: int) -> Future[int]:
    """Return a future that is done."""
    future: Future[int] = Future()
    future.set_result(value)
    return future


def endless() -> CancellableFuture[Any]:
    """Return a future that ends only when it is cancelled."""
    future: CancellableFuture[Any] = CancellableFuture(lambda: future.set_exception(CancelledError()))
    return future


def test_a_task_gives_its_result() -> None:
    async def add() -> int:
        return await wait(done(1)) + await wait(in_thread(lambda: 2))

    assert run(add()) == 3


def test_the_error_of_a_future_is_raised_where_it_is_awaited() -> None:
    async def recover() -> str:
        try:
            await wait(in_thread(lambda: 1 // 0))
        except ZeroDivisionError:
            return "recovered"
        return "no error"

    assert run(recover()) == "recovered"


def test_the_error_of_a_task_reaches_its_caller() -> None:
    async def fail() -> None:
        await wait(done(1))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(fail())


def test_many_futures_that_are_done_need_no_deep_stack() -> None:
    async def add() -> int:
        return sum([await wait(done(1)) for _ in range(5000)])

    assert run(add()) == 5000


def test_a_task_goes_on_in_the_thread_that_ended_its_future() -> None:
    async def where() -> str:
        await wait(started)
        return threading.current_thread().name

    started: Future[None] = Future()
    future = spawn(where())
    thread = threading.Thread(target=lambda: started.set_result(None), name="the-one")
    thread.start()
    thread.join()

    assert future.result(PATIENCE) == "the-one"


def test_a_cancelled_task_cleans_up_and_may_wait_for_that() -> None:
    events: list[str] = []

    async def work() -> None:
        try:
            await wait(endless())
        finally:
            events.append(await wait(in_thread(lambda: "cleaned")))

    future = spawn(work())

    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result(PATIENCE)
    assert events == ["cleaned"]
    assert not future.cancel()


def test_a_second_cancellation_does_not_tear_the_cleaning_up() -> None:
    cleaning: Future[str] = Future()

    async def clean_up() -> str:
        try:
            return await wait(endless())
        except CancelledError:
            return await wait(cleaning)

    future = spawn(clean_up())
    asked = [future.cancel(), future.cancel()]
    cleaning.set_result("clean")

    assert asked == [True, True]
    assert future.result(PATIENCE) == "clean"


def test_a_task_that_is_cancelled_while_a_thread_works_ends_after_it() -> None:
    started, go_on = threading.Event(), threading.Event()
    ended: list[str] = []

    def block() -> None:
        started.set()
        go_on.wait(PATIENCE)
        ended.append("thread")

    async def work() -> None:
        try:
            await wait(in_thread(block))
        finally:
            ended.append("task")

    future = spawn(work())
    started.wait(PATIENCE)
    future.cancel()

    assert not future.done()
    go_on.set()
    with pytest.raises(CancelledError):
        future.result(PATIENCE)
    assert ended == ["thread", "task"]


def test_a_task_may_answer_a_cancellation_with_a_result() -> None:
    async def work() -> str:
        try:
            await wait(endless())
        except CancelledError:
            return "half"
        return "whole"

    future = spawn(work())
    future.cancel()

    assert future.result(PATIENCE) == "half"


def test_an_interrupt_stops_the_task_lets_it_clean_up_and_goes_on() -> None:
    events: list[str] = []
    main = threading.get_ident()

    async def work() -> None:
        try:
            await wait(
                curl_loop().sleep(0.05)
            )  # until the main thread waits: CPython may lose a lock to an earlier one
            await wait(in_thread(lambda: signal.pthread_kill(main, signal.SIGINT)))
            await wait(endless())
        finally:
            events.append(await wait(in_thread(lambda: "cleaned")))

    with pytest.raises(KeyboardInterrupt):
        run(work())

    assert events == ["cleaned"]


def test_a_time_out_that_a_signal_raises_stops_the_task() -> None:
    def expire(number: int, frame: object) -> None:
        raise TimeoutError("the caller's own")

    main = threading.get_ident()
    events: list[str] = []

    async def work() -> None:
        try:
            await wait(curl_loop().sleep(0.05))  # until the main thread waits, as above
            await wait(in_thread(lambda: signal.pthread_kill(main, signal.SIGUSR1)))
            await wait(curl_loop().sleep(1.0))
            events.append("went on")
        finally:
            events.append("cleaned")

    before = signal.signal(signal.SIGUSR1, expire)
    try:
        with pytest.raises(TimeoutError, match="the caller's own"):
            run(work())
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert events == ["cleaned"]


@pytest.mark.parametrize("patience", [None, PATIENCE])
def test_a_signal_that_another_thread_takes_ends_the_wait_for_a_future(patience: float | None) -> None:
    future: Future[None] = Future()
    too_late = threading.Timer(2.0, future.set_result, [None])

    def press() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # so that it does not wake the main thread

    threading.Timer(0.05, press).start()
    too_late.start()
    with pytest.raises(KeyboardInterrupt):
        future.result(patience)
    too_late.cancel()

    assert not future.done()


def test_a_wait_for_a_future_ends_after_its_seconds() -> None:
    future: Future[None] = Future()
    begun = monotonic()

    assert not future.wait(0)
    assert not future.wait(0.3)
    assert 0.3 <= monotonic() - begun < PATIENCE


def test_the_loop_sleeps_without_blocking_and_can_be_woken() -> None:
    loop = curl_loop()
    started = monotonic()
    long = loop.sleep(60)
    loop.sleep(0.01).result(PATIENCE)
    long.cancel()
    with pytest.raises(CancelledError):
        long.result(PATIENCE)

    assert monotonic() - started < PATIENCE


def test_a_process_has_one_loop() -> None:
    assert curl_loop() is curl_loop()


# The ceiling on requests


def test_requests_are_spaced_evenly_after_a_burst() -> None:
    now = 100.0
    limiter = RateLimiter(10.0, clock=lambda: now)
    waits = [limiter.reserve() for _ in range(12)]

    assert waits[:2] == pytest.approx([0.0, 0.1])
    assert waits[-1] == pytest.approx(1.1)


def test_no_more_than_the_limit_passes_in_a_second_but_the_burst() -> None:
    now = 0.0
    limiter = RateLimiter(200.0, clock=lambda: now)
    sent = [limiter.reserve() for _ in range(1000)]

    assert sum(wait <= 1.0 for wait in sent) <= 200 * 1.1 + 1
    assert sent == sorted(sent)


def test_an_idle_time_is_not_saved_up() -> None:
    now = 0.0
    limiter = RateLimiter(10.0, clock=lambda: now)
    limiter.reserve()
    now = 1000.0
    waits = [limiter.reserve() for _ in range(5)]

    assert waits == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_without_a_limit_nothing_waits() -> None:
    limiter = RateLimiter(None)

    assert {limiter.reserve() for _ in range(100)} == {0.0}


def test_a_ctrl_c_between_the_work_and_the_wake_up_costs_no_later_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, write = CurlLoop(), os.write
    worked: SimpleQueue[int] = SimpleQueue()
    loop.call(lambda: worked.put(0))
    worked.get(timeout=PATIENCE)

    def interrupted(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        raise KeyboardInterrupt

    while not loop._asleep:
        time.sleep(0.001)
    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.call(lambda: worked.put(1))
    loop.call(lambda: worked.put(2))

    assert [worked.get(timeout=PATIENCE) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("end", [lambda future: future.set_result(1), lambda future: future.set_exception(OSError())])
def test_a_future_that_has_ended_holds_nothing_of_what_could_stop_it(end: Callable[[Any], None]) -> None:
    class Work:
        def cancel(self) -> None:
            raise AssertionError

    work = Work()
    future = CancellableFuture[int](work.cancel)
    known = weakref.ref(work)
    del work
    end(future)

    assert known() is None
    assert not future.cancel()


def test_where_no_more_threads_are_allowed_those_that_there_are_do_all(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, begin, real, left = _BlockingThreads(), threading.Event(), threading.Thread.start, [2]

    def start(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    work = [threads.submit(begin.wait) for _ in range(20)]
    begin.set()

    assert all(future.result(PATIENCE) for future in work)
    left[0] = 14
    held = threading.Event()
    waiting = [threads.submit(held.wait) for _ in range(3)]  # threads can be had again: one for each
    assert threads.submit(lambda: 1).result(PATIENCE) == 1
    held.set()
    assert all(future.result(PATIENCE) for future in waiting)


def test_what_was_refused_for_want_of_a_thread_is_not_done_later(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, done, real = _BlockingThreads(), SimpleQueue[str](), threading.Thread.start

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start"):
        threads.submit(lambda: done.put("refused"))
    monkeypatch.setattr(threading.Thread, "start", real)
    threads.submit(lambda: done.put("taken")).result(PATIENCE)

    assert (done.get(), done.empty()) == ("taken", True)


def test_an_answer_that_was_given_up_is_not_waited_for() -> None:
    go_on = threading.Event()
    answer = asked(lambda: go_on.wait(PATIENCE))

    assert answer.cancel()
    with pytest.raises(CancelledError):
        answer.result(PATIENCE)
    go_on.set()


def test_an_answer_or_an_error_comes_through() -> None:
    assert asked(lambda: 3).result(PATIENCE) == 3
    with pytest.raises(ZeroDivisionError):
        asked(lambda: 1 // 0).result(PATIENCE)

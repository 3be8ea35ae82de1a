"""Our futures awaited in asyncio; cancellation from both sides."""

import asyncio
import concurrent.futures
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pytest

from ctadata_providers.session import aio
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import CancellableFuture, in_thread, spawn, wait

PATIENCE = 10.0


def in_time(main: Any) -> Any:
    return asyncio.run(asyncio.wait_for(main, PATIENCE))


def later(act: Callable[[], object]) -> None:
    """Have something done in another thread."""
    threading.Thread(target=act).start()


def test_a_result_comes_from_another_thread() -> None:
    async def main() -> int:
        future: Future[int] = Future()
        later(lambda: future.set_result(5))
        return await future

    assert in_time(main()) == 5


def test_what_has_ended_is_there_at_once() -> None:
    future: Future[int] = Future()
    future.set_result(5)

    async def main() -> int:
        return await future

    coroutine = main()
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    assert stop.value.value == 5


def test_an_error_is_raised_where_it_is_awaited() -> None:
    async def main() -> None:
        await in_thread(lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        in_time(main())


def test_many_are_awaited_in_one_thread() -> None:
    futures: list[Future[int]] = [Future() for _ in range(500)]

    def end_all() -> None:
        for number, future in enumerate(futures):
            future.set_result(number)

    async def main() -> list[int]:
        before = threading.active_count()
        gathered = asyncio.gather(*futures)
        await asyncio.sleep(0)
        assert threading.active_count() == before
        later(end_all)
        return await gathered

    assert in_time(main()) == list(range(500))


def test_one_future_can_be_awaited_by_several() -> None:
    async def main() -> list[int]:
        future: Future[int] = Future()
        both = asyncio.gather(aio.result_of(future), aio.result_of(future))
        later(lambda: future.set_result(7))
        return await both

    assert in_time(main()) == [7, 7]


def test_a_cancelled_task_stops_the_work_and_waits_until_it_has_cleaned_up() -> None:
    acts: list[str] = []
    cleaned: Future[None] = Future()
    endless: CancellableFuture[None] = CancellableFuture(lambda: endless.set_exception(CancelledError()))

    async def work() -> None:
        try:
            await wait(endless)
        finally:
            acts.append("stopped")
            await wait(cleaned)
            acts.append("cleaned up")

    async def main() -> None:
        task = asyncio.ensure_future(aio.result_of(spawn(work())))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert acts == ["stopped"]
        later(lambda: cleaned.set_result(None))
        with pytest.raises(asyncio.CancelledError):
            await task
        acts.append("told")

    in_time(main())

    assert acts == ["stopped", "cleaned up", "told"]


def test_work_that_does_not_stop_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(aio, "STOP_PATIENCE", 0.05)
    asked: list[bool] = []
    stubborn: CancellableFuture[None] = CancellableFuture(lambda: asked.append(True))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(aio.result_of(stubborn), 0.01)

    in_time(main())
    stubborn.set_result(None)  # the loop that waited for it is closed by now

    assert asked == [True]
    assert caplog.records == []


def test_a_second_cancellation_does_not_wait() -> None:
    stubborn: CancellableFuture[None] = CancellableFuture(lambda: None)

    async def main() -> None:
        task = asyncio.ensure_future(aio.result_of(stubborn))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_time(main())


def test_cancelled_work_cancels_what_waits_for_it() -> None:
    pending: Future[None] = Future()
    running: CancellableFuture[None] = CancellableFuture(lambda: running.set_exception(CancelledError()))

    async def main() -> None:
        for future in (pending, running):
            task = asyncio.ensure_future(aio.result_of(future))
            await asyncio.sleep(0)
            later(future.cancel)
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert isinstance(caught.value.__cause__, concurrent.futures.CancelledError)
            assert task.cancelled()

    in_time(main())


def test_what_cannot_be_cancelled_goes_on() -> None:
    future: Future[int] = Future()
    future.set_running_or_notify_cancel()

    async def main() -> None:
        task = asyncio.ensure_future(aio.result_of(future))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_time(main())
    future.set_result(3)

    assert future.result() == 3


def test_groups_and_time_outs_of_asyncio_take_them() -> None:
    async def main() -> list[int]:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            tasks = [group.create_task(aio.result_of(in_thread(lambda number=number: number))) for number in range(5)]
        return [task.result() for task in tasks]

    assert in_time(main()) == list(range(5))


def test_a_signal_that_another_thread_takes_stops_the_work() -> None:
    endless: CancellableFuture[None] = CancellableFuture(lambda: endless.set_exception(CancelledError()))
    too_late = threading.Timer(2.0, endless.set_result, [None])

    def press() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # so that it does not wake the main thread

    async def main() -> None:
        threading.Timer(0.05, press).start()
        too_late.start()
        await endless

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    too_late.cancel()

    assert isinstance(endless.error, CancelledError)


def test_asyncio_is_loaded_only_where_it_is_used() -> None:
    code = "import sys, ctadata_providers.client; print('asyncio' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError

import pytest

from ctadata_providers.session.futures import STOP_PATIENCE, Future
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.tasks import CancellableFuture, Task, in_thread, wait
from ctadata_providers.transfer.parallel import Job, Pump, as_ended

PATIENCE = 10.0


async def ended_at_once(number: int) -> int:
    return number


async def ended_by(future: Future[int]) -> int:
    return await wait(future)


async def failed_at_once() -> int:
    raise ValueError


@pytest.mark.parametrize("limit", [1, 16, 256])
def test_tasks_that_end_at_once_do_not_pile_up_behind_one_that_frees_its_place(limit: int) -> None:
    gates: list[Future[int]] = [Future() for _ in range(limit)]

    def tasks() -> Iterator[tuple[int, Task[int]]]:
        for number, gate in enumerate(gates):
            yield number, ended_by(gate)
        for number in range(limit, 4 * limit):
            yield number, ended_at_once(number)
        for number, gate in enumerate(gates):  # the first frees a place for all that wait, one after the other
            gate.set_result(number)

    found = {key: future.result() for key, future in as_ended(tasks(), limit)}

    assert found == {number: number for number in range(4 * limit)}


def test_an_error_is_in_its_future_and_the_others_go_on() -> None:
    outcomes = dict(as_ended([("bad", failed_at_once()), ("good", ended_at_once(1))], 1))

    assert isinstance(outcomes["bad"].exception(), ValueError)
    assert outcomes["good"].result() == 1


def begun_badly() -> Future[int]:
    raise ValueError


@pytest.mark.parametrize("limit", [1, 16])
def test_what_cannot_begin_ends_with_its_error_and_the_others_go_on(limit: int) -> None:
    def jobs() -> Iterator[tuple[str, Task[int] | Callable[[], Future[int]]]]:
        yield "slow", ended_by(in_thread(lambda: time.sleep(0.05) or 1))
        yield "bad", begun_badly
        yield "good", ended_at_once(2)

    found: queue.Queue[dict[str, Future[int]]] = queue.Queue()
    threading.Thread(target=lambda: found.put(dict(as_ended(jobs(), limit))), daemon=True).start()
    outcomes = found.get(timeout=PATIENCE)

    assert isinstance(outcomes["bad"].exception(), ValueError)
    assert (outcomes["slow"].result(), outcomes["good"].result()) == (1, 2)


def endless() -> CancellableFuture[int]:
    """Return a future that ends only when it is cancelled."""
    future: CancellableFuture[int] = CancellableFuture(lambda: future.set_exception(CancelledError()))
    return future


def test_closing_cancels_what_runs_and_starts_nothing_more() -> None:
    begun: list[int] = []
    ended: list[int] = []
    second = threading.Event()
    gate: Future[int] = Future()

    async def task(number: int) -> int:
        begun.append(number)
        if number == 0:
            return await wait(gate)
        second.set()
        try:
            return await wait(endless())
        finally:
            ended.append(number)

    def tasks() -> Iterator[tuple[int, Task[int]]]:
        yield from ((number, task(number)) for number in range(4))
        gate.set_result(0)

    outcomes = as_ended(tasks(), 1)

    assert next(outcomes)[0] == 0
    assert second.wait(PATIENCE)
    outcomes.close()
    assert begun == [0, 1]
    assert ended == [1]


def test_tasks_run_in_no_thread_that_a_signal_can_tear() -> None:
    async def where() -> int:
        return threading.get_ident()

    outcomes = [future.result() for _, future in as_ended(((number, where()) for number in range(20)), 2)]

    assert threading.get_ident() not in outcomes


def test_what_another_job_needs_goes_first_and_what_needs_it_goes_after() -> None:
    order: list[str] = []
    running = threading.Event()
    gate: Future[int] = Future()

    async def task(name: str) -> str:
        if name == "first":
            running.set()
            await wait(gate)
        order.append(name)
        return name

    def jobs() -> Iterator[Job[str, str]]:
        yield Job("first", task("first"))
        assert running.wait(PATIENCE)
        yield Job("free", task("free"))
        yield Job("folder", task("folder"), urgent=True)
        yield Job("inner", task("inner"), after="folder", urgent=True)
        yield Job("in inner", task("in inner"), after="inner")
        yield Job("in folder", task("in folder"), after="folder")
        gate.set_result(0)

    found = dict(Pump[str, str](1, look_ahead=10).outcomes(jobs()))

    assert order == ["first", "folder", "inner", "free", "in folder", "in inner"]
    assert set(found) == set(order)


def test_what_needs_a_job_that_fails_is_not_begun() -> None:
    begun: list[str] = []
    gate: Future[int] = Future()

    async def task(name: str) -> str:
        begun.append(name)
        if name == "folder":
            await wait(gate)
            raise ValueError
        return name

    def jobs() -> Iterator[Job[str, str]]:
        yield Job("folder", task("folder"), urgent=True)
        yield Job("inner", task("inner"), after="folder", urgent=True)
        yield Job("in inner", task("in inner"), after="inner")
        gate.set_result(0)
        yield Job("other", task("other"))
        yield Job("late", task("late"), after="folder")
        yield Job("late in inner", task("late in inner"), after="inner")

    found = dict(Pump[str, str](4).outcomes(jobs()))

    assert sorted(begun) == ["folder", "other"]
    assert isinstance(found["folder"].exception(), ValueError)
    assert {name for name, future in found.items() if future.cancelled()} == {
        "inner",
        "in inner",
        "late",
        "late in inner",
    }


def test_a_job_that_fails_takes_a_long_chain_with_it() -> None:
    gate: Future[int] = Future()

    async def task(number: int) -> int:
        await wait(gate)
        raise ValueError

    def jobs() -> Iterator[Job[int, int]]:
        yield Job(0, task(0), urgent=True)
        yield from (Job(number, task(number), after=number - 1, urgent=True) for number in range(1, 2000))
        gate.set_result(0)

    found = dict(Pump[int, int](1, look_ahead=2000).outcomes(jobs()))

    assert isinstance(found.pop(0).exception(), ValueError)
    assert len(found) == 1999
    assert all(future.cancelled() for future in found.values())


def test_stopping_forgets_what_waits_for_another_job_and_tells_what_had_ended() -> None:
    async def task(name: str) -> str:
        return name if name == "ended" else str(await wait(endless()))

    async def end_after(future: Future[int]) -> str:
        running.set()
        await wait(future)
        return "ended"

    running = threading.Event()
    gate: Future[int] = Future()
    pump = Pump[str, str](4)

    def jobs() -> Iterator[Job[str, str]]:
        yield Job("folder", task("folder"), urgent=True)
        yield Job("in folder", task("in folder"), after="folder")
        yield Job("ended", end_after(gate))
        assert running.wait(PATIENCE)
        handed = threading.Event()
        curl_loop().call(lambda: gate.set_result(0))  # in the thread that drives the task: it ends before
        curl_loop().call(handed.set)
        assert handed.wait(PATIENCE)
        raise KeyError("the listing broke")

    with pytest.raises(KeyError):
        list(pump.outcomes(jobs()))

    assert [(key, future.result()) for key, future in pump.left] == [("ended", "ended")]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_neither_waits_for_its_parent_nor_stops_anything() -> None:
    gate: Future[int] = Future()
    outcomes = as_ended([(0, ended_at_once(0)), (1, ended_by(gate))], 2)
    next(outcomes)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        signal.alarm(int(PATIENCE))
        try:
            next(outcomes)
        except RuntimeError:
            os._exit(7)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    gate.set_result(1)

    assert os.waitstatus_to_exitcode(status) == 7
    assert time.monotonic() - began < STOP_PATIENCE
    assert [key for key, _ in outcomes] == [1]


def test_many_jobs_over_many_folders_end_each_once() -> None:
    async def task(number: int) -> int:
        return await wait(in_thread(lambda: number))

    def jobs() -> Iterator[Job[int, int]]:
        for folder in range(0, 1000, 10):
            yield Job(folder, task(folder), after=folder // 100 * 100 if folder % 100 else None, urgent=True)
            yield from (Job(number, task(number), after=folder) for number in range(folder + 1, folder + 10))

    found = sorted((key, future.result()) for key, future in Pump[int, int](7).outcomes(jobs()))

    assert found == [(number, number) for number in range(1000)]

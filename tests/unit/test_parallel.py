from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from ctadata_providers.session.tasks import Task, wait
from ctadata_providers.transfer.parallel import as_ended


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


def test_closing_cancels_what_runs_and_starts_nothing_more() -> None:
    begun: list[int] = []
    gate: Future[int] = Future()

    async def task(number: int) -> int:
        begun.append(number)
        return number if number == 0 else await wait(gate)

    outcomes = as_ended(((number, task(number)) for number in range(4)), 1)
    assert next(outcomes)[0] == 0
    gate.set_result(1)
    outcomes.close()

    assert begun in ([0], [0, 1])

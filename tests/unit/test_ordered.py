"""Tasks of which few run at once, and whose outcomes come in their order."""

import threading

from ctadata_providers import NotFoundError
from ctadata_providers.session.tasks import in_thread, wait
from ctadata_providers.transfer.trees.ordered import in_order


def test_outcomes_come_in_the_order_of_the_tasks_and_few_at_once() -> None:
    running: list[int] = []
    most = 0
    release = {number: threading.Event() for number in range(20)}

    async def task(number: int) -> int:
        nonlocal most
        running.append(number)
        most = max(most, len(running))
        if number + 1 in release:
            release[number + 1].set()  # each lets the next one end: the first ends last of its batch
        await wait(in_thread(lambda: release[number].wait(0.05)))
        running.remove(number)
        return number

    outcomes = [(key, future.result()) for key, future in in_order(((n, task(n)) for n in range(20)), 4)]

    assert outcomes == [(number, number) for number in range(20)]
    assert most <= 4


def test_an_error_of_a_task_is_in_its_future_and_the_others_go_on() -> None:
    async def task(number: int) -> int:
        if number == 1:
            raise NotFoundError("none")
        return number

    futures = [future for _, future in in_order(((n, task(n)) for n in range(3)), 2)]

    assert isinstance(futures[1].exception(), NotFoundError)
    assert [futures[0].result(), futures[2].result()] == [0, 2]

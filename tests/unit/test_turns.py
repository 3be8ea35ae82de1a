"""Transfers that are begun one by one: how many run, and what becomes of those that wait."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from ctadata_providers import CtaClient
from ctadata_providers.session.futures import Future
from ctadata_providers.testing import FakeCta
from ctadata_providers.transfer.context import Places
from ctadata_providers.transfer.turns import Turns


@pytest.fixture
def client(fake_cta: FakeCta) -> Iterator[CtaClient]:
    with CtaClient(**fake_cta.settings(), max_parallel=2) as opened:
        yield opened


class Works:
    """Transfers that end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[Future[int]] = []
        self.changed = threading.Condition()

    def start(self) -> Future[int]:
        with self.changed:
            self.begun.append(Future())
            self.changed.notify_all()
            return self.begun[-1]

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) >= count, timeout=20)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_turns_of_its_own() -> None:
    turns, places, works = Turns(), Places(), Works()
    running = turns.begin(works.start, limit=1)
    waiting = turns.begin(works.start, limit=1)
    works.wait_for(1)
    places.take()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            ended: Future[int] = Future()
            ended.set_result(7)
            os._exit(turns.begin(lambda: ended, limit=1).result() + places.used)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    for count in (1, 2):
        works.wait_for(count)
        works.begun[count - 1].set_result(count)

    assert os.waitstatus_to_exitcode(status) == 7
    assert (running.result(20), waiting.result(20)) == (1, 2)


def test_only_so_many_run_at_once_and_the_next_begins_when_one_ends() -> None:
    turns, works = Turns(), Works()
    outcomes = [turns.begin(works.start, limit=2) for _ in range(4)]
    works.wait_for(2)

    assert len(works.begun) == 2
    works.begun[1].set_result(7)
    works.wait_for(3)

    assert outcomes[1].result(timeout=20) == 7
    assert len(works.begun) == 3
    works.begun[0].set_exception(ValueError("no"))
    works.wait_for(4)

    assert isinstance(outcomes[0].exception(timeout=20), ValueError)


def test_one_that_waits_is_cancelled_at_once_and_never_begun() -> None:
    turns, works = Turns(), Works()
    first, second, third = (turns.begin(works.start, limit=1) for _ in range(3))
    works.wait_for(1)

    assert second.cancel()
    with pytest.raises(CancelledError):
        second.result(timeout=20)
    works.begun[0].set_result(1)
    works.wait_for(2)
    works.begun[1].set_result(2)

    assert (first.result(timeout=20), third.result(timeout=20)) == (1, 2)
    assert len(works.begun) == 2


def test_what_cannot_begin_is_its_outcome_and_thousands_of_them_need_no_stack() -> None:
    def fail() -> Future[int]:
        raise ValueError("no")

    turns = Turns()
    outcomes = [turns.begin(fail, limit=1) for _ in range(3000)]

    assert all(isinstance(outcome.exception(timeout=20), ValueError) for outcome in outcomes)

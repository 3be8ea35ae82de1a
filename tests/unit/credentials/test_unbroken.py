import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from ctadata_providers.credentials.oidc.unbroken import unbroken


@pytest.fixture
def caught() -> Iterator[list[int]]:
    """The signals that arrive at the handlers of the program."""
    numbers: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        numbers.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_what_an_act_returns_or_raises_is_what_comes_out() -> None:
    assert unbroken(lambda wanted: 7) == 7
    with pytest.raises(ValueError, match="mine"):
        unbroken(lambda wanted: int("mine"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_until_the_act_has_ended(number: signal.Signals, caught: list[int]) -> None:
    during: list[list[int]] = []

    def act(wanted: threading.Event) -> str:
        send(number)
        assert wanted.wait(10)
        during.append(list(caught))
        return "done"

    assert unbroken(act) == "done"
    assert during == [[]]
    assert caught == [number]


def test_a_signal_that_comes_again_is_delivered_at_once(caught: list[int]) -> None:
    during: list[list[int]] = []

    def act(wanted: threading.Event) -> None:
        send(signal.SIGINT)
        assert wanted.wait(10)
        send(signal.SIGINT)
        while not caught:
            pass
        during.append(list(caught))

    unbroken(act)

    assert during == [caught] == [[signal.SIGINT]]


def test_the_handlers_are_those_from_before_also_after_an_error(caught: list[int]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ZeroDivisionError):
        unbroken(lambda wanted: 1 / 0)

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_keyboard_interrupt_comes_after_the_act() -> None:
    ended = threading.Event()

    def act(wanted: threading.Event) -> None:
        send(signal.SIGINT)
        assert wanted.wait(10)
        ended.set()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            unbroken(act)
    finally:
        signal.signal(signal.SIGINT, before)

    assert ended.is_set()


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        wanted = unbroken(lambda wanted: (send(signal.SIGINT), wanted.is_set())[1])
    finally:
        signal.signal(signal.SIGINT, before)

    assert not wanted


def test_another_thread_than_the_main_one_sets_no_handler(caught: list[int]) -> None:
    results: list[object] = []
    handler = signal.getsignal(signal.SIGTERM)

    def work() -> None:
        results.append(unbroken(lambda wanted: signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert results == [handler]

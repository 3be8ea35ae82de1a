"""Who may send a credential of which nothing is known."""

import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from ctadata_providers.errors import TransientError
from ctadata_providers.session import gates
from ctadata_providers.session.futures import Future
from ctadata_providers.session.gates import MANY, PROBE_PATIENCE, REFUSED_PAUSE, Gate, Probe, gate_of, known_gate
from ctadata_providers.session.markers import Word
from ctadata_providers.session.tasks import BLOCKING_THREADS, following, in_thread, run, spawn
from tests.faults import children

PLACE = ("https", "door.example", 2880)


@pytest.fixture(autouse=True)
def of_this_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(gates, "_gates", {})


def probe_of(gate: Gate) -> Probe:
    turn = gate.enter()
    assert isinstance(turn, Probe)
    return turn


def consult(probe: Probe, *, trusting: bool = True) -> Word | None:
    return run(probe.consult(trusting=trusting))


def waiting_at(gate: Gate) -> Future[None]:
    turn = gate.enter()
    assert isinstance(turn, Future)
    return turn


def test_one_tries_and_the_others_wait_for_it() -> None:
    gate = Gate(PLACE, "token")
    probe = probe_of(gate)
    waiting = [waiting_at(gate) for _ in range(3)]
    before = [future.done() for future in waiting]
    probe.accept(time.time() + 60)

    assert before == [False] * 3
    assert [future.result(5) for future in waiting] == [None] * 3
    assert gate.accepted
    assert gate.open_until > time.time()


def test_one_who_gives_up_leaves_the_turn_to_the_next() -> None:
    gate = Gate(PLACE, "token")
    probe = probe_of(gate)
    waiting = waiting_at(gate)
    probe.end()
    waiting.result(5)
    following_probe = probe_of(gate)
    probe.end()  # the first one again: it has no turn any more

    assert isinstance(gate.enter(), Future)
    following_probe.end()


def test_who_stops_to_wait_leaves_the_others_waiting() -> None:
    gate = Gate(PLACE, "token")
    probe = probe_of(gate)
    first, second = waiting_at(gate), waiting_at(gate)
    first.cancel()

    assert isinstance(first.exception(), CancelledError)
    assert not second.done()
    probe.end()
    assert second.result(5) is None


def test_a_refusal_closes_an_open_gate_and_is_news_once() -> None:
    gate = Gate(PLACE, "token")
    gate.accept(time.time() + 60)

    assert [gate.refuse(), gate.refuse()] == [True, False]
    assert gate.open_until == 0.0
    assert 0 < gate.refused_until - time.monotonic() <= REFUSED_PAUSE


@pytest.mark.parametrize(
    ("replaces", "accepted", "final"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_the_refusal_of_a_new_token_that_was_never_accepted_is_final(
    replaces: bool, accepted: bool, final: bool
) -> None:
    gate = Gate(PLACE, "token")
    gate.replaces_refused, gate.accepted = replaces, accepted

    assert gate.final == final


def test_what_another_process_has_learnt_is_believed_for_a_while() -> None:
    ours, theirs = Gate(PLACE, "token"), Gate(PLACE, "token")
    theirs.marker().write("good")

    assert consult(probe_of(ours)) == "good"
    assert Gate(PLACE, "another").told(Gate(PLACE, "another").marker(), trusting=True) is None
    assert ours.told(ours.marker(), trusting=False) is None


def test_our_own_word_from_before_the_pause_does_not_stop_us() -> None:
    ours, theirs = Gate(PLACE, "token"), Gate(PLACE, "token")
    ours.tell_refused()

    assert ours.told(ours.marker(), trusting=True) is None
    assert theirs.told(theirs.marker(), trusting=True) == "refused"


def test_the_one_who_tries_keeps_other_processes_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = probe_of(Gate(PLACE, "token")), probe_of(Gate(PLACE, "token"))
    monkeypatch.setattr(gates, "PROBE_PATIENCE", 0.1)
    begun = time.monotonic()

    assert consult(ours) is None
    assert consult(theirs) is None  # not for ever
    assert time.monotonic() - begun >= 0.1
    ours.end()
    theirs.end()


def test_more_credentials_than_threads_wait_for_each_other_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "PROBE_PATIENCE", 30.0)
    probes = [probe_of(Gate(PLACE, number)) for number in range(2 * BLOCKING_THREADS)]
    turns = [spawn(probe.consult(trusting=True)) for probe in probes]
    seen = []
    while turns:
        one_ended = threading.Event()
        for turn in turns:
            turn.add_done_callback(lambda _, one_ended=one_ended: one_ended.set())
        assert one_ended.wait(5)
        first = next(number for number, turn in enumerate(turns) if turn.done())
        in_thread(lambda: None, admits=True).result(5)
        seen.append(turns.pop(first).result())
        probes.pop(first).end()

    assert seen == [None] * (2 * BLOCKING_THREADS)


def test_one_who_makes_way_lets_the_next_try_and_still_tells_the_answer() -> None:
    first, others = Gate(PLACE, "token"), Gate(PLACE, "token")
    slow = probe_of(first)
    consult(slow)
    waiting = waiting_at(first)
    slow.make_way()
    waiting.result(5)
    second = probe_of(first)

    begun = time.monotonic()
    assert consult(second) is None
    assert time.monotonic() - begun < PROBE_PATIENCE / 2
    second.end()
    slow.accept(time.time() + 60)
    children.wait_until(lambda: others.told(others.marker(), trusting=True) == "good")
    assert first.open_until > time.time()


def test_a_wait_for_another_process_is_given_up_at_once_and_leaves_no_lock() -> None:
    theirs, ours = probe_of(Gate(PLACE, "token")), probe_of(Gate(PLACE, "token"))
    consult(theirs)
    waiting = spawn(ours.consult(trusting=True))
    waiting.cancel()

    assert isinstance(waiting.exception(PROBE_PATIENCE / 2), CancelledError)
    ours.end()
    theirs.end()
    marker = Gate(PLACE, "another").marker()
    children.wait_until(marker.lock)
    marker.unlock()


def test_a_gate_is_the_same_for_all_sessions_and_old_ones_are_forgotten() -> None:
    gate = gate_of(PLACE, "token")
    gate.refuse()
    for number in range(2 * MANY):
        gate_of(PLACE, number)

    assert known_gate(PLACE, "token") is gate
    assert len(gates._gates) <= MANY + 1


@pytest.mark.parametrize("outcome", ["result", "error", "cancelled"])
def test_a_follower_ends_as_the_one_that_it_follows(outcome: str) -> None:
    shared: Future[int] = Future()
    own = following(shared)
    if outcome == "result":
        shared.set_result(7)
    elif outcome == "error":
        shared.set_exception(ValueError("x"))
    else:
        shared.cancel()
        shared.set_running_or_notify_cancel()

    kinds = {"result": type(None), "error": ValueError, "cancelled": CancelledError}
    assert type(own.exception(1)) is kinds[outcome]


def test_each_follower_of_a_failure_has_an_error_of_its_own() -> None:
    shared: Future[int] = Future()
    failed = TransientError("away", path="/x", remedy="wait", retry_after=3.0)
    followers = [following(shared) for _ in range(3)]
    shared.set_exception(failed)

    errors = []
    for follower in followers:
        with pytest.raises(TransientError) as caught:
            follower.result(1)
        errors.append(caught.value)

    assert len({id(error) for error in [failed, *errors]}) == 4
    assert failed.__traceback__ is None
    assert all(error.__cause__ is failed for error in errors)
    assert [(e.message, e.path, e.remedy, e.retry_after) for e in errors] == [("away", "/x", "wait", 3.0)] * 3

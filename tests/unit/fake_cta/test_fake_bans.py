"""Bans: after repeated 401, and above 250 requests a second."""

import threading
from collections.abc import Iterator

import pytest

from ctadata_providers.testing import FakeCta
from ctadata_providers.testing.bans import BAN_SECONDS, REQUESTS_PER_SECOND, Bans
from ctadata_providers.testing.exchange import Refusal
from tests.unit.fake_cta.conftest import Asker, asking


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def banning(clock: Clock) -> Iterator[Asker]:
    """Asks a FakeCta whose time stands still."""
    with FakeCta(clock=clock) as cta, asking(cta) as ask:
        cta.put("/x", b"")
        yield ask


def refuse(ask: Asker, times: int) -> None:
    for _ in range(times):
        assert ask("GET", "/x", token=None).status_code == 401


def test_three_401_within_twenty_seconds_ban_for_a_while(banning: Asker, clock: Clock) -> None:
    refuse(banning, 3)
    banned = [banning("GET", "/x"), banning("OPTIONS", "/", token=None)]
    clock.now += BAN_SECONDS
    after = banning("GET", "/x")

    assert [answer.status_code for answer in banned] == [429, 429]
    assert "Retry-After" not in banned[0].headers
    assert after.status_code == 302
    assert 10 <= BAN_SECONDS <= 20


def test_slow_401_do_not_ban(banning: Asker, clock: Clock) -> None:
    for _ in range(6):
        refuse(banning, 1)
        clock.now += 10.1

    assert banning("GET", "/x").status_code == 302


def test_an_expired_token_bans_as_anything_that_gets_401_does(banning: Asker) -> None:
    expired = banning.cta.make_token(lifetime=-1)
    statuses = [banning("GET", "/x", token=expired).status_code for _ in range(4)]

    assert statuses == [401, 401, 401, 429]


def test_403_does_not_ban(banning: Asker) -> None:
    weak = banning.cta.make_token(scope="storage.poll:/")
    statuses = {banning("GET", "/x", token=weak).status_code for _ in range(5)}

    assert statuses == {403}


def test_a_ban_is_of_an_address(clock: Clock) -> None:
    bans = Bans(clock=clock, retry_after=False)
    for _ in range(3):
        bans.note_401("10.0.0.1")
    bans.admit("10.0.0.2")

    with pytest.raises(Refusal):
        bans.admit("10.0.0.1")


def test_more_than_250_requests_a_second_are_refused_until_it_is_quieter(banning: Asker, clock: Clock) -> None:
    statuses = [banning("OPTIONS", "/", token=None).status_code for _ in range(REQUESTS_PER_SECOND + 2)]
    clock.now += 1.0
    after = banning("OPTIONS", "/", token=None).status_code

    assert statuses == [200] * REQUESTS_PER_SECOND + [429, 429]
    assert after == 200


def test_a_steady_pace_below_the_limit_is_never_refused_and_a_burst_on_top_is(clock: Clock) -> None:
    bans = Bans(clock=clock, retry_after=False)
    for _ in range(1000):
        clock.now += 1.0 / 240
        bans.admit("10.0.0.1")
    for _ in range(10):
        bans.admit("10.0.0.1")

    with pytest.raises(Refusal):
        bans.admit("10.0.0.1")


def test_pools_never_ban(banning: Asker) -> None:
    location = banning.redirected("GET", "/x")
    refuse(banning, 3)

    assert banning.at("GET", location).status_code == 200


def test_newer_doors_say_how_long_to_wait(clock: Clock) -> None:
    with FakeCta(clock=clock, retry_after=True) as cta, asking(cta) as ask:
        refuse(ask, 3)
        clock.now += 5
        answer = ask("GET", "/x")

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, f"{BAN_SECONDS - 5:.0f}")


def test_bans_are_lifted_by_hand_and_by_a_reset(fake_cta: FakeCta, ask: Asker) -> None:
    refuse(ask, 3)
    banned = ask("OPTIONS", "/").status_code
    fake_cta.lift_bans()
    lifted = ask("OPTIONS", "/").status_code
    refuse(ask, 3)
    fake_cta.reset()

    assert (banned, lifted, ask("OPTIONS", "/").status_code) == (429, 200, 200)


def test_a_door_need_not_ban() -> None:
    with FakeCta(bans=False) as cta, asking(cta) as ask:
        statuses = {ask("GET", "/x", token=None).status_code for _ in range(5)}

        def hurry() -> None:
            with asking(cta) as other:
                for _ in range(70):
                    statuses.add(other("OPTIONS", "/", token=None).status_code)

        threads = [threading.Thread(target=hurry) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cta.lift_bans()

    assert statuses == {401, 200}


def test_a_restart_lifts_bans() -> None:
    cta = FakeCta()
    with cta, asking(cta) as ask:
        refuse(ask, 3)
    with cta, asking(cta) as ask:
        status = ask("OPTIONS", "/", token=None).status_code

    assert status == 200

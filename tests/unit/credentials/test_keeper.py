"""A token file that is kept fresh: asked in time, whole at any time, through outages."""

import base64
import json
import logging
import stat
from pathlib import Path

import pytest

from ctadata_providers.credentials import Token, TokenProvider
from ctadata_providers.credentials.agent.keeper import PULSE, Keeper
from ctadata_providers.credentials.commands import CachedToken
from ctadata_providers.errors import CredentialError, CtaError, TransientError


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def jwt(number: int, *, begins: float, life: float) -> str:
    claims = json.dumps({"jti": number, "iat": begins, "exp": begins + life}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


class Plain:
    """A source that gives what it has."""

    def __init__(self, clock: Clock, *, life: float = 300.0) -> None:
        self.clock, self.life = clock, life
        self.made: list[str] = []
        self.fault: CtaError | None = None
        self.next()

    def next(self) -> Token:
        self.made.append(jwt(len(self.made), begins=self.clock(), life=self.life))
        return self()

    def __call__(self) -> Token:
        if self.fault:
            raise self.fault
        return Token.parse(self.made[-1], source="a test")


class Issuer(Plain):
    """A source that can renew; its outages concern renewal only."""

    def __call__(self) -> Token:
        return Token.parse(self.made[-1], source="a test")

    def ready(self) -> Token:
        return self()

    def renew(self, rejected: Token) -> Token:
        assert rejected.value == self.made[-1]
        if self.fault:
            raise self.fault
        return self.next()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "token"


def keeper_of(source: TokenProvider, target: Path, clock: Clock) -> Keeper:
    return Keeper(source, target, clock=clock, chance=lambda: 0.0)


def run(keeper: Keeper, clock: Clock, *, seconds: float) -> list[float]:
    """Let the time go by, as the agent does, and return the pauses."""
    end, pauses = clock.now + seconds, []
    while clock.now < end:
        pauses.append(keeper.step())
        clock.now += pauses[-1]
    return pauses


def test_the_file_holds_the_token_and_only_its_owner_reads_it(target: Path, clock: Clock) -> None:
    source = Plain(clock)
    keeper_of(source, target, clock).step()

    assert target.read_text() == source.made[0] + "\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_a_token_is_renewed_when_a_quarter_of_its_life_is_left(target: Path, clock: Clock) -> None:
    source, began = Issuer(clock), clock.now
    keeper = keeper_of(source, target, clock)
    run(keeper, clock, seconds=224)
    before = len(source.made)
    keeper.step()

    assert (before, len(source.made)) == (1, 2)
    assert clock.now - began == pytest.approx(225)
    assert target.read_text() == source.made[1] + "\n"


def test_in_an_hour_no_reader_meets_a_token_with_less_than_a_quarter_left(target: Path, clock: Clock) -> None:
    source = Issuer(clock)
    keeper, least = keeper_of(source, target, clock), 1e9
    for _ in range(3600):
        keeper.step()
        expires_at = Token.parse(target.read_text(), source="file").expires_at
        assert expires_at is not None
        least = min(least, expires_at - clock.now)
        clock.now += 1

    assert 75 <= least <= 76
    assert len(source.made) == 16


def test_a_token_that_has_already_lived_is_renewed_by_its_whole_life(target: Path, clock: Clock) -> None:
    source = Issuer(clock)
    clock.now += 230  # the agent starts when 70 of 300 s are left
    keeper_of(source, target, clock).step()

    assert len(source.made) == 2


def test_an_issuer_with_a_slow_clock_is_not_asked_all_the_time(target: Path, clock: Clock) -> None:
    theirs = Clock()
    source = Issuer(theirs)
    keeper = keeper_of(source, target, clock)
    for second in range(450):
        theirs.now = 1_000_000.0 + second
        clock.now = theirs.now + 240  # a new token of 300 s seems to have 60 s left, a fifth of its life
        keeper.step()

    assert len(source.made) == 1 + 450 // 45


def test_what_the_source_renews_by_itself_is_written_at_the_next_look(target: Path, clock: Clock) -> None:
    source = Plain(clock)
    keeper = keeper_of(source, target, clock)
    keeper.step()
    clock.now += 100
    source.next()
    pause = keeper.step()

    assert target.read_text() == source.made[1] + "\n"
    assert pause == PULSE


def test_a_source_that_cannot_be_told_to_renew_is_asked_more_often_at_the_end(target: Path, clock: Clock) -> None:
    source = Plain(clock)
    keeper = keeper_of(source, target, clock)
    keeper.step()
    pauses = []
    for left in (70, 20, 1):
        clock.now = 1_000_300.0 - left
        pauses.append(keeper.step())

    assert pauses == pytest.approx([7, 2, 1])


def test_a_program_that_gives_no_other_token_before_the_end_is_asked_at_the_end(target: Path, clock: Clock) -> None:
    source = Plain(clock)

    def ask(rejected: Token | None) -> Token:
        return source.next() if source().dead(clock()) else source()

    keeper, end, least = keeper_of(CachedToken(ask, clock=clock), target, clock), clock.now + 3600, 1e9
    while clock.now < end:
        pause = keeper.step()
        clock.now += pause
        least = min(least, (Token.parse(target.read_text(), source="file").expires_at or 0) - clock.now)

    assert least > -2.0
    assert len(source.made) == 12


def test_an_opaque_token_is_asked_for_at_every_pulse(target: Path, clock: Clock) -> None:
    source = Plain(clock)
    source.made = ["opaque"]
    keeper = keeper_of(source, target, clock)

    assert keeper.step() == PULSE
    assert keeper.progress.expires_at is None
    assert target.read_text() == "opaque\n"


def test_a_sleep_of_the_machine_costs_no_more_than_a_pulse(target: Path, clock: Clock) -> None:
    pauses = run(keeper_of(Issuer(clock, life=86_400), target, clock), clock, seconds=86_400)

    assert max(pauses) <= PULSE


def test_an_unchanged_token_is_not_written_again(target: Path, clock: Clock) -> None:
    keeper = keeper_of(Plain(clock), target, clock)
    keeper.step()
    inode = target.stat().st_ino
    keeper.step()

    assert target.stat().st_ino == inode


@pytest.mark.parametrize("harm", ["removed", "overwritten", "replaced by a link"])
def test_a_file_that_somebody_harms_is_mended_at_the_next_look(harm: str, target: Path, clock: Clock) -> None:
    source = Plain(clock)
    keeper = keeper_of(source, target, clock)
    keeper.step()
    elsewhere = target.with_name("elsewhere")
    elsewhere.write_text("not ours")
    target.unlink()
    if harm == "overwritten":
        target.write_text("something else")
    elif harm == "replaced by a link":
        target.symlink_to(elsewhere)
    keeper.step()

    assert target.read_text() == source.made[0] + "\n"
    assert not target.is_symlink()
    assert elsewhere.read_text() == "not ours"


def test_an_outage_leaves_the_old_token_and_ends_with_a_new_one(target: Path, clock: Clock) -> None:
    source = Issuer(clock)
    keeper = keeper_of(source, target, clock)
    run(keeper, clock, seconds=225)
    source.fault = TransientError("the issuer answers 500")
    failing_since = clock.now
    pauses = run(keeper, clock, seconds=600)
    during, old = keeper.progress, target.read_text()
    source.fault = None
    keeper.step()

    assert pauses[:6] == [1, 2, 4, 8, 16, 22]  # half of what is left, up to the end of the token
    assert sum(pauses[:-9]) == pytest.approx(75, abs=2)
    assert set(pauses[-9:]) == {60}
    assert old == source.made[0] + "\n"
    assert (during.error, during.failing_since) == ("the issuer answers 500", failing_since)
    assert target.read_text() == source.made[1] + "\n"
    assert keeper.progress.error is None
    assert keeper.progress.failing_since is None
    assert keeper.progress.expires_at == clock.now + 300


def test_a_provider_that_asks_for_patience_gets_it(target: Path, clock: Clock) -> None:
    source = Plain(clock)
    source.fault = TransientError("busy", retry_after=120)

    assert keeper_of(source, target, clock).step() == 120


def test_a_refused_login_is_asked_about_rarely(target: Path, clock: Clock) -> None:
    source = Plain(clock)
    source.fault = CredentialError("the login has ended", remedy="log in again")
    keeper = keeper_of(source, target, clock)
    pauses = [keeper.step() for _ in range(12)]

    assert pauses[-1] == 300
    assert keeper.progress.error == "the login has ended; log in again"


def test_many_agents_do_not_come_back_at_once(target: Path, clock: Clock) -> None:
    source = Plain(clock)
    source.fault = TransientError("away")
    pauses = {Keeper(source, target, clock=clock, chance=lambda n=n: n / 10).step() for n in range(10)}

    assert len(pauses) == 10
    assert 1 <= min(pauses) < max(pauses) < 1.1


def test_a_folder_that_is_gone_is_told_and_waited_for(tmp_path: Path, clock: Clock) -> None:
    source, folder = Plain(clock), tmp_path / "run"
    keeper = keeper_of(source, folder / "bt_u1000", clock)
    keeper.step()
    told = keeper.progress.error
    folder.mkdir()
    keeper.step()

    assert told is not None
    assert "No such file or directory" in told
    assert (folder / "bt_u1000").read_text() == source.made[0] + "\n"


def test_the_first_failure_can_be_met_by_who_starts_it(target: Path, clock: Clock) -> None:
    source = Plain(clock)
    source.fault = CredentialError("nobody has logged in")

    with pytest.raises(CredentialError, match="nobody has logged in"):
        keeper_of(source, target, clock).refresh()


def test_the_log_tells_the_story_and_no_secret(target: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="ctadata_providers")
    source = Issuer(clock)
    keeper = keeper_of(source, target, clock)
    run(keeper, clock, seconds=225)
    source.fault = TransientError("the issuer answers 500")
    run(keeper, clock, seconds=130)
    source.fault = None
    keeper.step()

    assert f"wrote a token of a test to {target}, which is valid for 300 s" in caplog.text
    assert f"no new token (the issuer answers 500); the one in {target} is valid for 75 s" in caplog.text
    assert f"the one in {target} ended" in caplog.text
    assert "tokens come again, after 136 s" in caplog.text
    assert not any(part in caplog.text for made in source.made for part in made.split(".")[1:])

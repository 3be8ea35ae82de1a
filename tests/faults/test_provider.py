"""A provider that is away, slow, broken, hostile, or whose clock is wrong."""

import logging
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ctadata_providers import Config, CredentialError, TransientError
from ctadata_providers.credentials.oidc import device, sessions
from ctadata_providers.credentials.oidc.freshness import FreshToken
from ctadata_providers.credentials.oidc.provider import Provider, refusal_of
from ctadata_providers.credentials.oidc.renewal import RobotSource, StoredSource
from ctadata_providers.credentials.oidc.store import Store
from ctadata_providers.testing import FakeCta
from ctadata_providers.testing.fault_kinds import FaultName, FaultOptions
from tests.faults.scripted import Door
from tests.faults.scripted_provider import answer_json, nothing_known, serve  # noqa: F401 (a fixture)

TOKEN_LIFE = 300.0
ADVISORY, MANDATORY, ENDED = 0.7, 0.92, 1.01
"""Parts of its life after which a token is renewed in the background, waited for, or has ended."""
TOKENS = "/**/token"
Keep = Callable[..., FreshToken]


class Clock:
    """Time that a test lets pass."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return time.time() + self.passed


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def centre() -> Iterator[FakeCta]:
    """A data centre with an issuer."""
    with FakeCta() as cta:
        yield cta


@pytest.fixture
def cta(centre: FakeCta) -> FakeCta:
    centre.reset()
    centre.issuer.configure(interval=0, token_lifetime=TOKEN_LIFE)
    return centre


def config_of(cta: FakeCta, client: Any = "public", **settings: Any) -> Config:
    return Config(**{**cta.oidc_settings(client), "timeout": 0.8, "connect_timeout": 2.0, **settings})


def settle() -> None:
    """Wait for what goes on in the background."""
    for thread in threading.enumerate():
        if thread.name == "ctadata-credential":
            thread.join()


@pytest.fixture
def login(cta: FakeCta, clock: Clock) -> Keep:
    """The token of a user who has just logged in, by the clock of the test; nothing of that is counted."""

    def keep(**settings: Any) -> FreshToken:
        config = config_of(cta, **settings)
        cta.issuer.approve_next()
        sessions.log_in(config, None, lambda grant: None, sleep=lambda seconds: None)
        cta.issuer.clear_requests()
        return FreshToken(StoredSource(config, clock=clock), clock=clock)

    return keep


AWAY: list[tuple[FaultName, FaultOptions]] = [
    ("stall", {}),
    ("server-error", {}),
    ("unavailable", {}),
    ("too-many-requests", {"retry_after": 7}),
    ("reset", {}),
    ("lost-answer", {}),
    ("truncate", {"after": 50}),
    ("redirect-to", {"to": "https://repairs.example"}),
    ("not-found", {}),
]


@pytest.mark.parametrize(("fault", "options"), AWAY, ids=[name for name, _ in AWAY])
def test_a_provider_that_is_away_costs_nothing_while_the_token_lives(
    fault: FaultName, options: FaultOptions, cta: FakeCta, login: Keep, clock: Clock
) -> None:
    cta.issuer.configure(rotation=False)  # else an answer that is lost takes the session with it: see below
    token = login()
    first = token()
    with cta.issuer.fault(fault, path=TOKENS, **options):
        clock.passed = ADVISORY * TOKEN_LIFE
        advisory = token()
        settle()
        clock.passed = MANDATORY * TOKEN_LIFE
        mandatory = token(), token(), token()
        clock.passed = ENDED * TOKEN_LIFE
        with pytest.raises(TransientError, match=r"cannot renew|HTTP \d|redirects") as ended:
            token()

    assert {held.value for held in (first, advisory, *mandatory)} == {first.value}
    assert "https://localhost" in str(ended.value)
    assert len(cta.issuer.grants("refresh_token")) <= 3


def test_a_provider_that_comes_back_gives_the_next_token(cta: FakeCta, login: Keep, clock: Clock) -> None:
    token = login()
    first = token()
    clock.passed = ENDED * TOKEN_LIFE
    with cta.issuer.fault("server-error", path=TOKENS), pytest.raises(TransientError):
        token()
    with pytest.raises(TransientError, match="asked again in 5 s") as pausing:
        token()
    clock.passed += 6

    assert pausing.value.retry_after == pytest.approx(5, abs=1)
    assert token().value != first.value
    assert len(cta.issuer.grants("refresh_token")) == 2


def test_a_frozen_provider_holds_up_nobody_for_longer_than_the_time_out(
    cta: FakeCta, login: Keep, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    token = login()
    token()
    clock.passed = MANDATORY * TOKEN_LIFE
    caplog.set_level(logging.WARNING)
    with cta.issuer.fault("stall", path=TOKENS) as stalled:
        begun = time.monotonic()
        threads = [threading.Thread(target=token) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - begun

    assert took < 4  # eight in a row would need 6.4 s
    assert stalled.hits == 1
    (told,) = caplog.messages
    assert "no answer in time" in told
    assert re.search(r"ends in 2\d s", told)


def test_a_frozen_discovery_is_a_passing_fault(cta: FakeCta) -> None:
    robot = sessions.robot(config_of(cta, "robot"))
    with (
        cta.issuer.fault("stall", path="/**/openid-configuration"),
        pytest.raises(TransientError, match="no answer in time"),
    ):
        robot()


def test_nobody_listening_is_a_passing_fault() -> None:
    with Door(tls=False) as door:
        url = door.url
    config = Config(issuer=f"{url}/realms/master", client_id="x", grant_type="client_credentials")
    with pytest.raises(TransientError, match=r"is away \(connection refused"):
        sessions.robot(config)()


def test_a_session_that_has_ended_says_so_and_is_not_asked_for_again(cta: FakeCta, login: Keep, clock: Clock) -> None:
    token = login()
    first = token()
    cta.issuer.end_sessions()
    clock.passed = MANDATORY * TOKEN_LIFE
    still_good = token()
    clock.passed = ENDED * TOKEN_LIFE
    for _ in range(3):
        with pytest.raises(CredentialError, match=r"cannot go on: .*invalid_grant.*; log in again: ctadata login"):
            token()
        with pytest.raises(CredentialError, match="log in again"):
            token.renew(first)

    assert still_good.value == first.value
    assert len(cta.issuer.grants("refresh_token")) == 1


def test_another_login_ends_the_refusal(cta: FakeCta, login: Keep) -> None:
    token = login()
    rejected = token()
    cta.issuer.end_sessions()
    with pytest.raises(CredentialError):
        token.renew(rejected)
    again = login()

    assert again().value == token.renew(rejected).value != rejected.value


def test_an_answer_that_was_lost_after_the_rotation_ends_the_session_with_one_clear_error(
    cta: FakeCta, login: Keep, clock: Clock
) -> None:
    token = login()
    first = token()
    with cta.issuer.fault("lost-answer", path=TOKENS, times=1), pytest.raises(TransientError):
        token.renew(first)
    clock.passed = 10.0
    with pytest.raises(CredentialError, match="log in again"):
        token.renew(first)

    assert len(cta.issuer.revoked_families) == 1


@pytest.mark.parametrize("fault", ["server-error", "reset", "redirect-to", "invalid-grant"])
def test_the_frames_of_an_error_hold_no_refresh_token(fault: Any, cta: FakeCta, login: Keep) -> None:
    # Reports of errors show the local variables of each frame.
    token = login()
    rejected = token()
    options: Any = {"to": "https://repairs.example"} if fault == "redirect-to" else {}
    with cta.issuer.fault(fault, path=TOKENS, **options), pytest.raises((TransientError, CredentialError)) as failed:
        token.renew(rejected)
    report = "".join(traceback.TracebackException.from_exception(failed.value, capture_locals=True).format())
    stored = Store(sessions.account_of(config_of(cta))).read()

    assert "rejected = Token(" in report
    assert stored is not None
    assert stored.refresh_token
    assert stored.refresh_token not in report


@pytest.mark.parametrize("ahead", [-3.0, 3.0, -90.0, 90.0])
def test_a_clock_that_is_wrong_loses_no_request(cta: FakeCta, login: Keep, clock: Clock, ahead: float) -> None:
    life = 10.0
    cta.issuer.configure(token_lifetime=life)
    cta.clock_ahead = ahead
    token = login()
    ended = 0
    for _ in range(120):
        clock.passed += 0.25
        cta.clock_ahead = ahead + clock.passed
        current = token()
        ended += (current.expires_at or 0) <= time.time() + cta.clock_ahead if abs(ahead) < 60 else 0
        ended += current.expired(clock())
        settle()

    assert ended == 0
    # A token lives for 6.5 s at least, and 7.5 s at most.
    assert 3 <= len(cta.issuer.grants("refresh_token")) <= 5
    assert cta.issuer.revoked_families == []


# The device flow


def polls(config: Config, *, ticks: Callable[[], None] = lambda: None) -> list[float]:
    """Log in, and return the seconds that were waited between two polls."""
    waited: list[float] = []
    provider = Provider(config, None)
    grant = device.begin(provider, "openid offline_access")

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        ticks()

    device.wait(provider, grant, clock=lambda: sum(waited), sleep=sleep)
    return waited


def test_without_an_interval_a_login_is_asked_about_every_five_seconds(cta: FakeCta) -> None:
    cta.issuer.configure(interval=None)
    cta.issuer.approve_next()

    assert polls(config_of(cta)) == [5.0]


def test_slow_down_adds_five_seconds_for_good(open_door: Callable[..., Door]) -> None:
    hostile = open_door(tls=False)
    config = serve(hostile, device_authorization_endpoint=f"{hostile.url}/device")
    answer_json(
        hostile,
        "POST",
        {"device_code": "d", "user_code": "A", "verification_uri": f"{hostile.url}/d", "expires_in": 60, "interval": 1},
        times=1,
    )
    for error in ("slow_down", "slow_down", "authorization_pending"):
        answer_json(hostile, "POST", {"error": error}, status=400, times=1)
    answer_json(hostile, "POST", {"access_token": "good"})

    assert polls(config) == [1.0, 6.0, 11.0, 11.0]


def test_a_login_goes_on_while_the_provider_is_away_and_asks_less_often(cta: FakeCta) -> None:
    cta.issuer.configure(interval=1)
    cta.issuer.approve_next()
    with cta.issuer.fault("unavailable", path=TOKENS, times=3):
        waited = polls(config_of(cta))

    assert waited == [1.0, 2.0, 4.0, 8.0]


def test_a_refused_login_is_one_clear_error_and_keeps_nothing(cta: FakeCta) -> None:
    config = config_of(cta)
    cta.issuer.deny_next()
    with pytest.raises(CredentialError, match=r"access_denied.*; log in again, and approve it") as refused:
        sessions.log_in(config, None, lambda grant: None, sleep=lambda seconds: None)

    assert type(refused.value) is CredentialError
    assert refusal_of(refused.value) == "access_denied"
    assert sessions.open_session(config) is None


def test_a_login_that_nobody_approves_ends_with_its_code(cta: FakeCta) -> None:
    cta.issuer.configure(interval=5, device_lifetime=12.0)
    with pytest.raises(CredentialError, match="nobody approved the login within 12 s"):
        polls(config_of(cta))


# Proxies


def test_a_proxy_that_is_away_is_a_passing_fault_and_its_password_is_not_told(
    open_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_door(tls=False) as gone:
        url = gone.url
    monkeypatch.setenv("HTTPS_PROXY", url.replace("//", "//alice:pass-word@"))
    with pytest.raises(TransientError, match="the proxy refused or is away") as told:
        Provider(serve(open_door()), None).robot_token()

    assert "pass-word" not in f"{told.value!r}{told.value.__cause__!r}"


# Robots


def test_a_robot_that_is_refused_does_not_hammer_the_provider(cta: FakeCta, clock: Clock) -> None:
    token = FreshToken(RobotSource(config_of(cta, "robot", client_secret="wrong"), clock=clock), clock=clock)
    said = set()
    for _ in range(20):
        with pytest.raises(CredentialError, match=r"unauthorized_client.*client_secret_file") as refused:
            token()
        said.add(str(refused.value))

    assert len(said) == 1
    assert len(cta.issuer.grants("client_credentials")) == 1


def test_a_robot_whose_provider_is_away_uses_its_token_to_the_end(cta: FakeCta, clock: Clock) -> None:
    token = FreshToken(RobotSource(config_of(cta, "robot"), clock=clock), clock=clock)
    first = token()
    with cta.issuer.fault("server-error", path=TOKENS):
        clock.passed = MANDATORY * TOKEN_LIFE
        second = token()
        clock.passed = ENDED * TOKEN_LIFE
        with pytest.raises(TransientError, match="HTTP 500"):
            token()
    clock.passed += 60

    assert first.value == second.value != token().value


def test_a_robot_whose_clock_was_set_back_asks_soon_again(cta: FakeCta, clock: Clock) -> None:
    token = FreshToken(RobotSource(config_of(cta, "robot"), clock=clock), clock=clock)
    clock.passed = 7200.0
    with cta.issuer.fault("server-error", path=TOKENS), pytest.raises(TransientError, match="HTTP 500"):
        token()
    clock.passed = 0.0

    assert token().value

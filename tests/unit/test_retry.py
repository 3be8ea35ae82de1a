from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctadata_providers import Config, CredentialError, IntegrityError, NotFoundError, TransientError
from ctadata_providers.errors import CtaError
from ctadata_providers.retry import RetryPolicy
from ctadata_providers.session.status import Response, error_for

NOW = 1_795_334_526.0


def answer(status: int, *, headers: dict[str, str] | None = None, reason: str = "", body: bytes = b"") -> Response:
    return Response(status, reason, headers or {}, "https://door.example/lst/a?authz=SECRETSECRET", body)


def error_of(status: int, retry_after: str | None = None) -> CtaError:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return error_for(answer(status, headers=headers), act="download", path="/lst/a", secret="", now=NOW)


def never(seconds: float) -> None:
    """Fail: nobody should wait here."""
    pytest.fail(f"waits for {seconds} s")


class Fails:
    """Fails some times, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_a_transient_fault_is_tried_again_until_it_succeeds() -> None:
    slept: list[float] = []
    attempt = Fails(TransientError("a"), TransientError("b"))

    assert RetryPolicy(retries=2).call(attempt, sleep=slept.append) == "done"
    assert attempt.calls == 3
    assert len(slept) == 2


def test_the_last_error_is_raised_when_the_attempts_are_used_up() -> None:
    slept: list[float] = []
    attempt = Fails(TransientError("first"), TransientError("second"), TransientError("third"))
    with pytest.raises(TransientError, match="second"):
        RetryPolicy(retries=1).call(attempt, sleep=slept.append)

    assert attempt.calls == 2
    assert len(slept) == 1


def test_without_retries_nothing_is_tried_again() -> None:
    attempt = Fails(TransientError("first"))
    with pytest.raises(TransientError):
        RetryPolicy(retries=0).call(attempt, sleep=never)

    assert attempt.calls == 1


@pytest.mark.parametrize(
    "error", [NotFoundError("x"), CredentialError("x"), IntegrityError("x"), OSError("x"), KeyError("x")]
)
def test_nothing_but_a_transient_fault_is_tried_again(error: Exception) -> None:
    attempt = Fails(error)
    with pytest.raises(type(error)):
        RetryPolicy(retries=5).call(attempt, sleep=never)

    assert attempt.calls == 1


@given(st.integers(0, 5000), st.integers(0, 5000))
@example(1100, 5000)
def test_the_backoff_grows_threefold_with_jitter_up_to_the_longest(attempt: int, retries: int) -> None:
    policy = RetryPolicy(retries=retries, first_delay=0.5, longest_delay=30.0)
    delay = policy.delay(attempt, TransientError("x"))
    full = min(30.0, 0.5 * 3 ** min(attempt, 10))

    assert (delay is None) == (attempt >= retries)
    assert delay is None or full / 2 <= delay <= full


def test_a_server_may_be_gone_for_twenty_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)
    waits = [RetryPolicy().delay(attempt, TransientError("x")) or 0.0 for attempt in range(Config().retries)]

    assert waits[0] < 0.5
    assert sum(waits) > 20


@given(st.floats(0, 300))
def test_a_servers_wish_to_wait_is_obeyed(seconds: float) -> None:
    delay = RetryPolicy().delay(0, TransientError("x", status=429, retry_after=seconds))

    assert delay is not None
    assert seconds <= delay <= seconds + 1


def test_a_server_that_wants_too_long_a_wait_ends_the_attempts() -> None:
    policy = RetryPolicy(longest_retry_after=300)

    assert policy.delay(0, TransientError("x", retry_after=300.5)) is None


@given(st.integers(0, 4))
def test_too_many_requests_without_retry_after_means_twenty_seconds(attempt: int) -> None:
    delay = RetryPolicy(retries=5).delay(attempt, TransientError("x", status=429))

    assert delay is not None
    assert delay >= 20.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 17 ", 17.0),
        (formatdate(NOW + 25, usegmt=True), 25.0),
        (formatdate(NOW - 25, usegmt=True), 0.0),
        ("soon", None),
        ("-3", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    error = error_of(503, value)

    assert isinstance(error, TransientError)
    assert error.retry_after == (None if seconds is None else pytest.approx(seconds, abs=1))


@given(st.text(st.characters(max_codepoint=255)))
@example("²")
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("9" * 5000)
def test_whatever_retry_after_says_it_is_no_fault_of_ours(value: str) -> None:
    error = error_of(429, value)

    assert isinstance(error, TransientError)
    assert error.retry_after is None or error.retry_after >= 0

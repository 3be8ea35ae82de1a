import copy
import pickle
from collections.abc import Iterable, Mapping
from typing import Any, cast

import pytest

from ctadata_providers import CredentialError, TransientError
from ctadata_providers.credentials.oidc import device
from ctadata_providers.credentials.oidc.device import DeviceGrant
from ctadata_providers.credentials.oidc.provider import Provider, TokenAnswer

ANSWER = {
    "device_code": "the-device-code",
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://id.example/device",
    "verification_uri_complete": "https://id.example/device?user_code=ABCD-EFGH",
    "expires_in": 600,
    "interval": 7,
}
TOKENS = TokenAnswer(access_token="a", refresh_token="r", obtained_at=0.0, expires_in=300.0, scope=None)


class Scripted:
    """A provider that begins a login with an answer, and answers polls one after the other."""

    issuer = "https://id.example"

    def __init__(self, begin: Mapping[str, Any], polls: Iterable[Exception | TokenAnswer] = ()) -> None:
        self._begin = begin
        self._polls = iter(polls)

    def begin_device(self, scope: str) -> Mapping[str, Any]:
        return self._begin

    def redeem(self, device_code: str) -> TokenAnswer:
        assert device_code == "the-device-code"
        poll = next(self._polls)
        if isinstance(poll, Exception):
            raise poll
        return poll


def begin(**changes: object) -> DeviceGrant:
    answer = {name: value for name, value in {**ANSWER, **changes}.items() if value is not None}
    return device.begin(cast(Provider, Scripted(answer)), "openid")


def test_a_login_tells_where_to_approve_it_and_hides_what_we_ask_with() -> None:
    grant = begin()

    assert (grant.user_code, grant.interval, grant.expires_in) == ("ABCD-EFGH", 7.0, 600.0)
    assert grant.verification_uri_complete == ANSWER["verification_uri_complete"]
    assert "the-device-code" not in repr(grant)
    for act in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="not pickled"):
            act(grant)


@pytest.mark.parametrize(
    ("told", "interval"),
    [(None, 5.0), ("soon", 5.0), (-3, 5.0), (True, 5.0), (0, 0.2), (0.01, 0.2), ("10", 10.0), (1e9, 60.0)],
)
def test_an_odd_interval_neither_hammers_nor_waits_for_ever(told: object, interval: float) -> None:
    assert begin(interval=told).interval == interval


def test_a_login_without_an_end_has_one_and_a_complete_address_may_be_missing() -> None:
    grant = begin(expires_in=None, verification_uri_complete=None)

    assert (grant.expires_in, grant.verification_uri_complete) == (600.0, None)


def test_the_name_of_the_address_before_the_standard_is_understood() -> None:
    assert begin(verification_uri=None, verification_url="https://id.example/d").verification_uri.endswith("/d")


def test_polls_wait_before_the_first_and_stop_at_the_end_of_the_code() -> None:
    passed = [0.0]
    pending = (TransientError("away", retry_after=90.0) for _ in range(100))
    with pytest.raises(CredentialError, match="nobody approved the login within 600 s"):
        device.wait(
            cast(Provider, Scripted(ANSWER, pending)),
            begin(),
            clock=lambda: sum(passed),
            sleep=passed.append,
        )

    assert passed[1:] == [7.0] + [90.0] * 6


def test_the_tokens_come_with_the_poll_after_the_approval() -> None:
    passed: list[float] = []
    answers = [TransientError("away"), TOKENS]

    assert device.wait(cast(Provider, Scripted(ANSWER, answers)), begin(), sleep=passed.append) is TOKENS
    assert passed == [7.0, 14.0]

"""Logins over the device flow (RFC 8628), with approval from the test and on the page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.oidc import Oidc


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Slow:
    """A client of an issuer whose time passes only when the test says so."""

    oidc: Oidc
    clock: Clock


@pytest.fixture
def slow() -> Iterator[Slow]:
    clock = Clock()
    with FakeCta(clock=clock) as cta, Oidc(cta) as oidc:
        yield Slow(oidc, clock)


def test_a_login_waits_until_it_is_approved_and_its_token_opens_the_door(oidc: Oidc) -> None:
    begun = oidc.begin()
    before = oidc.poll(begun)
    oidc.cta.issuer.approve(begun["user_code"])
    after = oidc.poll(begun)

    assert before.error == (400, "authorization_pending")
    assert after.status == 200
    assert oidc.status_at_door(after.json["access_token"]) == 200
    assert oidc.poll(begun).error == (400, "invalid_grant")


def test_it_is_told_what_keycloak_tells(fake_cta: FakeCta) -> None:
    with Oidc(fake_cta) as oidc:
        begun = oidc.begin()

    assert begun.keys() == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert (begun["interval"], begun["expires_in"]) == (5, 600)
    assert re.fullmatch("[A-Z]{4}-[A-Z]{4}", begun["user_code"])
    assert begun["verification_uri_complete"] == f"{begun['verification_uri']}?user_code={begun['user_code']}"
    assert begun["verification_uri"] == fake_cta.issuer.verification_uri == f"{fake_cta.issuer.url}/device"


def test_the_interval_can_be_missing_and_is_then_five_seconds(slow: Slow) -> None:
    slow.oidc.cta.issuer.configure(interval=None)
    begun = slow.oidc.begin()
    errors = []
    for slow.clock.now in (0.0, 4.0):
        errors.append(slow.oidc.poll(begun).json["error"])

    assert "interval" not in begun
    assert errors == ["authorization_pending", "slow_down"]


def test_who_polls_too_fast_has_to_wait_five_seconds_longer_from_then_on(slow: Slow) -> None:
    begun = slow.oidc.begin()
    errors = []
    for slow.clock.now in (0.0, 5.0, 6.0, 12.0, 27.0):
        errors.append(slow.oidc.poll(begun).json["error"])

    assert errors == [
        "authorization_pending",
        "authorization_pending",
        "slow_down",
        "slow_down",
        "authorization_pending",
    ]


def test_a_login_that_nobody_approves_in_time_is_over(slow: Slow) -> None:
    slow.oidc.cta.issuer.configure(device_lifetime=30)
    begun = slow.oidc.begin()
    slow.clock.now = 30.0

    assert begun["expires_in"] == 30
    assert slow.oidc.cta.issuer.waiting == []
    with pytest.raises(ConfigError):
        slow.oidc.cta.issuer.approve(begun["user_code"])
    assert slow.oidc.poll(begun).error == (400, "expired_token")


def test_a_denied_login_is_access_denied(oidc: Oidc) -> None:
    begun = oidc.begin()
    oidc.cta.issuer.deny(begun["user_code"])

    assert oidc.poll(begun).error == (400, "access_denied")


def test_the_next_logins_can_be_decided_before_they_begin(oidc: Oidc) -> None:
    oidc.cta.issuer.approve_next("bob")
    oidc.cta.issuer.deny_next()
    first, second, third = (oidc.begin() for _ in range(3))
    answers = [oidc.poll(begun) for begun in (first, second, third)]

    assert [answer.status for answer in answers] == [200, 400, 400]
    assert [answer.json.get("error") for answer in answers] == [None, "access_denied", "authorization_pending"]
    assert oidc.cta.issuer.waiting == [third["user_code"]]


def test_nobody_without_a_name_can_approve_a_login(oidc: Oidc) -> None:
    begun = oidc.begin()
    for approve in (lambda: oidc.cta.issuer.approve(begun["user_code"], ""), lambda: oidc.cta.issuer.approve_next("")):
        with pytest.raises(ConfigError, match="name"):
            approve()

    assert oidc.poll(begun).error == (400, "authorization_pending")


def test_the_oldest_login_that_waits_is_the_next(oidc: Oidc) -> None:
    begun = [oidc.begin() for _ in range(2)]
    oidc.cta.issuer.approve_next()

    assert [oidc.poll(one).status for one in begun] == [200, 400]


def test_every_login_can_be_approved_at_once(oidc: Oidc) -> None:
    oidc.cta.issuer.configure(approve="alice")

    assert oidc.poll(oidc.begin()).status == 200


def test_a_device_code_is_good_for_its_client_only(oidc: Oidc) -> None:
    begun = oidc.begin()
    oidc.cta.issuer.approve_next()
    with Oidc(oidc.cta, "confidential") as other:
        stolen = other.poll(begun)

    assert stolen.error == (400, "invalid_grant")
    assert oidc.poll(begun).status == 200


def test_a_person_approves_on_the_page_as_who_they_are(oidc: Oidc) -> None:
    begun = oidc.begin()
    page = oidc.get(f"/device?user_code={begun['user_code']}")
    code = begun["user_code"].replace("-", "").lower()
    approved = oidc.post("/device", {"user_code": code, "username": "carol", "action": "approve"})
    token = oidc.poll(begun).json["access_token"]
    user = oidc.get("/protocol/openid-connect/userinfo", {"Authorization": f"Bearer {token}"}).json()

    assert (page.status_code, approved.status_code) == (200, 200)
    assert f'value="{begun["user_code"]}"' in page.text
    assert user["preferred_username"] == "carol"


def test_the_page_denies_too_and_knows_no_other_codes(oidc: Oidc) -> None:
    begun = oidc.begin()
    unknown = oidc.post("/device", {"user_code": "AAAA-AAAA", "username": "carol", "action": "approve"})
    nobody = oidc.post("/device", {"user_code": begun["user_code"], "action": "approve"})
    nothing = oidc.post("/device", {"user_code": begun["user_code"], "username": "carol"})
    denied = oidc.post("/device", {"user_code": begun["user_code"], "action": "deny"})

    assert [answer.status_code for answer in (unknown, nobody, nothing, denied)] == [400, 400, 400, 200]
    assert oidc.poll(begun).error == (400, "access_denied")


def test_what_stands_in_the_address_of_the_page_is_not_run(oidc: Oidc) -> None:
    page = oidc.get("/device?user_code=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")

    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text

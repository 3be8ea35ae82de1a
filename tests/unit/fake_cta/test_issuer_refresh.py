"""Refresh tokens: rotation, families that end, lives, scopes."""

import threading

import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.oidc import Oidc


def test_a_refresh_gives_another_pair_of_tokens(oidc: Oidc) -> None:
    old = oidc.cta.issuer.tokens()
    new = oidc.refresh(old["refresh_token"])

    assert new.status == 200
    assert new.json["access_token"] != old["access_token"]
    assert new.json["refresh_token"] != old["refresh_token"]
    assert oidc.status_at_door(new.json["access_token"]) == 200


def test_a_refresh_token_that_is_used_twice_ends_its_family_and_no_other(oidc: Oidc) -> None:
    old, other = oidc.cta.issuer.tokens(), oidc.cta.issuer.tokens()
    new = oidc.refresh(old["refresh_token"]).json
    again = oidc.refresh(old["refresh_token"])
    young = oidc.refresh(new["refresh_token"])

    assert again.error == young.error == (400, "invalid_grant")
    assert len(oidc.cta.issuer.revoked_families) == 1
    assert oidc.refresh(other["refresh_token"]).status == 200


def test_of_many_refreshes_at_once_one_wins_and_the_family_ends(oidc: Oidc) -> None:
    token = oidc.cta.issuer.tokens()["refresh_token"]
    statuses: list[int] = []

    def refresh() -> None:
        with Oidc(oidc.cta) as client:
            statuses.append(client.refresh(token).status)

    threads = [threading.Thread(target=refresh) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200, 400, 400, 400]
    assert len(oidc.cta.issuer.revoked_families) == 1


def test_without_rotation_the_old_refresh_token_stays(oidc: Oidc) -> None:
    oidc.cta.issuer.configure(rotation=False)
    token = oidc.cta.issuer.tokens()["refresh_token"]
    answers = [oidc.refresh(token) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200]
    assert "refresh_token" not in answers[0].json
    assert oidc.cta.issuer.revoked_families == []


def test_offline_access_outlives_the_session_which_ends(oidc: Oidc) -> None:
    offline, online = oidc.cta.issuer.tokens(), oidc.cta.issuer.tokens(scope="openid")
    oidc.cta.clock_ahead = 1801

    assert (offline["refresh_expires_in"], online["refresh_expires_in"]) == (0, 1800)
    assert oidc.refresh(online["refresh_token"]).error == (400, "invalid_grant")
    assert oidc.refresh(offline["refresh_token"]).status == 200


def test_each_refresh_makes_an_online_session_last_longer(oidc: Oidc) -> None:
    token = oidc.cta.issuer.tokens(scope="openid")["refresh_token"]
    statuses = []
    for oidc.cta.clock_ahead in (1500, 3000, 4500):
        answer = oidc.refresh(token)
        token = answer.json["refresh_token"]
        statuses.append(answer.status)

    assert statuses == [200] * 3


def test_sessions_can_be_ended_by_the_administrator(oidc: Oidc) -> None:
    token = oidc.cta.issuer.tokens()["refresh_token"]
    oidc.cta.issuer.end_sessions()

    assert oidc.refresh(token).error == (400, "invalid_grant")
    assert oidc.cta.issuer.revoked_families == []


@pytest.mark.parametrize("hint", [{}, {"token_type_hint": "refresh_token"}])
def test_revocation_ends_the_family_and_is_content_with_anything(oidc: Oidc, hint: dict[str, str]) -> None:
    tokens = oidc.cta.issuer.tokens()
    new = oidc.refresh(tokens["refresh_token"]).json
    revoked = oidc.ask("revoke", token=new["refresh_token"], **hint)

    assert (revoked.status, revoked.json) == (200, {})
    assert oidc.refresh(new["refresh_token"]).error == (400, "invalid_grant")
    assert oidc.ask("revoke", token="unknown").status == 200
    assert oidc.ask("revoke").error == (400, "invalid_request")


def test_another_client_can_neither_use_nor_revoke_a_refresh_token(oidc: Oidc) -> None:
    token = oidc.cta.issuer.tokens()["refresh_token"]
    with Oidc(oidc.cta, "confidential") as other:
        stolen, revoked = other.refresh(token), other.ask("revoke", token=token)

    assert stolen.error == (400, "invalid_grant")
    assert revoked.error == (400, "invalid_token")
    assert oidc.refresh(token).status == 200


def test_a_refresh_may_narrow_the_scope_for_its_access_token_but_not_widen_it(oidc: Oidc) -> None:
    tokens = oidc.cta.issuer.tokens(scope="offline_access storage.read:/ storage.create:/lst")
    narrow = oidc.refresh(tokens["refresh_token"], scope="storage.read:/").json
    wide = oidc.refresh(narrow["refresh_token"], scope="storage.read:/ storage.modify:/")
    whole = oidc.refresh(narrow["refresh_token"]).json

    assert narrow["scope"] == "storage.read:/"
    assert oidc.status_at_door(narrow["access_token"], "MKCOL", "/lst") == 403
    assert wide.error == (400, "invalid_scope")
    assert whole["scope"] == tokens["scope"]
    assert oidc.status_at_door(whole["access_token"], "MKCOL", "/lst") == 201


def test_the_scope_of_the_login_may_be_told_again(oidc: Oidc) -> None:
    tokens = oidc.cta.issuer.tokens(scope="openid offline_access")
    new = oidc.refresh(tokens["refresh_token"], scope="openid offline_access").json

    assert new["scope"] == tokens["scope"]
    assert "storage.read:/" in new["scope"].split()


def test_a_token_that_is_none_is_an_invalid_grant(oidc: Oidc) -> None:
    tokens = oidc.cta.issuer.tokens()

    assert oidc.refresh("x").error == (400, "invalid_grant")
    assert oidc.refresh(tokens["access_token"]).error == (400, "invalid_grant")
    assert oidc.ask("token", grant_type="refresh_token").error == (400, "invalid_grant")


def test_a_refresh_ends_at_a_reset(fake_cta: FakeCta) -> None:
    token = fake_cta.issuer.tokens()["refresh_token"]
    fake_cta.issuer.configure(token_lifetime=1)
    fake_cta.issuer.add_client("mine")
    fake_cta.reset()
    with Oidc(fake_cta) as oidc:
        answer = oidc.refresh(token)
        after = fake_cta.issuer.tokens()

    assert answer.error == (400, "invalid_grant")
    assert after["expires_in"] == 300
    with pytest.raises(ValueError, match="mine"):
        fake_cta.issuer.client("mine")

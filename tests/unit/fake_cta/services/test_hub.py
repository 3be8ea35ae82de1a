import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.services.clients import Clock, Crowd, Service, asking, struck

JSON = {"Content-Type": "application/json"}
BOTH = {f"access:services!service={name}" for name in ("downloadservice", "certificateservice")}


def test_the_hub_tells_name_scopes_admin_and_groups(service: Service) -> None:
    told = service.hub("GET", "api/user").json()

    assert (told["name"], told["kind"], told["admin"], told["groups"]) == ("alice", "user", False, ["cta"])
    assert set(told["scopes"]) > BOTH


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "token"])
def test_the_hub_itself_takes_a_token_by_any_name(service: Service, cta: FakeCta, scheme: str) -> None:
    answer = service.hub("GET", "api/user", {"Authorization": f"{scheme} {cta.hub_token}"})

    assert answer.status_code == 200


def test_an_administrator_is_told_as_one(service: Service, cta: FakeCta) -> None:
    token = cta.make_hub_token("root", admin=True)

    assert service.of(token).hub("GET", "api/user").json()["admin"] is True


def test_the_hub_refuses_a_bad_token_with_403(service: Service) -> None:
    answer = service.of("bad").hub("GET", "api/user")

    assert (answer.status_code, answer.json()) == (403, {"status": 403, "message": "Missing or invalid credentials."})


def test_a_token_in_the_address_wins_over_the_header_and_is_a_fingerprint_in_the_log(
    service: Service, cta: FakeCta
) -> None:
    good = cta.make_hub_token("bob")

    assert service.of("bad")("GET", f"list?token={good}").status_code == 200
    assert service("GET", "list?token=bad").status_code == 302
    assert all(good not in repr(request) and cta.hub_token not in repr(request) for request in cta.requests)


@pytest.mark.parametrize("scheme", ["bearer", "token", "BEARER"])
def test_the_services_take_bearer_in_its_exact_case_only(service: Service, cta: FakeCta, scheme: str) -> None:
    assert service("GET", "list", {"Authorization": f"{scheme} {cta.hub_token}"}).status_code == 302


@pytest.mark.parametrize("token", ["bad", None])
def test_a_refused_token_is_401_for_exactly_json_and_302_for_all_else(service: Service, token: str | None) -> None:
    asker = service.of(token)
    told = asker("GET", "list", JSON)
    sent_away = [
        asker("GET", "list", headers)
        for headers in ({}, {"Content-Type": "application/json; charset=utf-8"}, {"Accept": "application/json"})
    ]

    assert (told.status_code, told.text.strip()) == (401, '{"message":"Invalid or missing Bearer token"}')
    for answer in sent_away:
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/hub/api/oauth2/authorize?client_id=service-downloadservice")
        assert "service-downloadservice-oauth-state=" in answer.headers["Set-Cookie"]


def test_the_redirect_followed_ends_in_a_login_page_with_200(service: Service, cta: FakeCta) -> None:
    answer = service.session.get(cta.service_url + "fetch/lst/x", verify=str(cta.ca_file), timeout=10)

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "Sign in" in answer.text
    assert [hop.status_code for hop in answer.history] == [302, 302]


def test_uploads_of_certificates_answer_302_whatever_is_sent(service: Service) -> None:
    asker = service.of("bad")
    answers = [asker.certificates("POST", path, JSON, data=b"{}") for path in ("certificate", "main-certificate")]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert "client_id=service-certificateservice" in answers[0].headers["Location"]


def test_a_token_without_the_scope_is_403_with_a_text(service: Service, cta: FakeCta) -> None:
    asker = service.of(cta.make_hub_token("bob", scope=False))
    answers = [asker("GET", "list", JSON), asker.certificates("POST", "certificate", JSON, data=b"{}")]

    for answer in answers:
        assert answer.status_code == 403
        assert answer.text.startswith("Access denied, token scopes are insufficient.")


def test_a_revoked_token_lives_on_for_a_minute_where_it_was_seen() -> None:
    clock = Clock()
    with FakeCta(services=True, clock=clock) as cta, asking(cta) as service:
        cta.put("/lst/x", b"1")
        seen, unseen = service.of(cta.make_hub_token()), service.of(cta.make_hub_token())
        before = seen("GET", "list").status_code
        cta.revoke_hub_token(seen.token or "")
        cta.revoke_hub_token(unseen.token or "")
        clock.now += 59
        soon = [seen("GET", "list").status_code, unseen("GET", "list").status_code]
        clock.now += 2
        late = seen("GET", "list").status_code

    assert (before, soon, late) == (200, [200, 302], 302)


def test_an_expired_token_is_refused(service: Service, cta: FakeCta) -> None:
    token = cta.make_hub_token(lifetime=100)
    cta.clock_ahead = 101

    assert service.of(token)("GET", "list").status_code == 302
    assert service.of(token).hub("GET", "api/user").status_code == 403


def test_a_frozen_hub_is_500_after_20_seconds_for_who_was_not_seen(crowd: Crowd) -> None:
    clock = Clock()
    with FakeCta(services=True, clock=clock) as cta, asking(cta) as service:
        known = service("GET", "list").status_code
        other = service.of(cta.make_hub_token("bob")).token
        frozen = cta.faults.add("stall", server="hub")
        waiting = crowd.ask(cta, "GET", "list", token=other)
        struck(frozen, 1)
        clock.now += 19
        still = (service("GET", "list").status_code, waiting.done())
        clock.now += 2
        answer = waiting.result(10)

    assert (known, still) == (200, (200, False))
    assert answer.status_code == 500


@pytest.mark.parametrize("fault", ["server-error", "unavailable", "reset"])
def test_a_hub_in_trouble_is_500_at_the_services(service: Service, cta: FakeCta, fault: str) -> None:
    cta.faults.add(fault, server="hub")

    assert service("GET", "list").status_code == 500


def test_a_dead_service_is_503_html_and_back_after_half_a_minute() -> None:
    clock = Clock()
    with FakeCta(services=True, clock=clock) as cta, asking(cta) as service:
        cta.faults.add("crash", server="downloadservice", times=1)
        first = service("GET", "health")
        clock.now += 29
        second = service("GET", "health")
        others = [service.certificates("GET", "health").status_code, service.hub("GET", "api/user").status_code]
        clock.now += 2
        third = service("GET", "health")

    assert [answer.status_code for answer in (first, second, third)] == [503, 503, 200]
    assert "<title>503" in first.text
    assert others == [200, 200]


def test_some_of_the_first_simultaneous_requests_after_a_restart_are_500(crowd: Crowd) -> None:
    clock = Clock()
    with FakeCta(services=True, clock=clock) as cta, asking(cta) as service:
        cta.faults.add("crash", server="downloadservice", times=1)
        assert service("GET", "health").status_code == 503
        clock.now += 31
        silent = cta.faults.add("stall", server="storage")
        waiting = crowd.ask(cta, "GET", "list")
        struck(silent, 1)
        beside = [service("GET", "health").status_code for _ in range(2)]
        cta.faults.clear()
        first = waiting.result(10).status_code
        later = [service("GET", "health").status_code for _ in range(2)]

    assert (beside, first, later) == ([500, 200], 200, [200, 200])

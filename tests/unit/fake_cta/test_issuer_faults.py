"""What goes wrong at the issuer, what of it is told, and when it is there."""

import math
import multiprocessing
import socket
import subprocess
import sys
import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.oidc import DEVICE_GRANT, Oidc

OPEN_FILES = Path("/proc/self/fd")


def test_an_outage_is_a_broken_connection_until_it_ends(oidc: Oidc) -> None:
    token = oidc.cta.issuer.tokens()["refresh_token"]
    with oidc.cta.issuer.fault("reset") as outage:
        for _ in range(2):
            with pytest.raises(requests.ConnectionError):
                oidc.refresh(token)

    assert outage.hits == 2
    assert oidc.refresh(token).status == 200


def test_a_frozen_provider_does_nothing_and_says_nothing(oidc: Oidc) -> None:
    token = oidc.cta.issuer.tokens()["refresh_token"]
    with oidc.cta.issuer.fault("stall", path="/**/token"), pytest.raises(requests.Timeout):
        oidc.session.post(
            f"{oidc.cta.issuer.url}/protocol/openid-connect/token",
            data={"client_id": "ctadata-public", "grant_type": "refresh_token", "refresh_token": token},
            timeout=0.2,
        )

    assert oidc.refresh(token).status == 200
    assert oidc.cta.issuer.revoked_families == []


def test_a_lost_answer_has_used_up_the_refresh_token(oidc: Oidc) -> None:
    token = oidc.cta.issuer.tokens()["refresh_token"]
    with oidc.cta.issuer.fault("lost-answer", times=1), pytest.raises(requests.ConnectionError):
        oidc.refresh(token)

    assert oidc.refresh(token).error == (400, "invalid_grant")
    assert len(oidc.cta.issuer.revoked_families) == 1


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        ("server-error", {}, 500),
        ("server-error", {"status": 502}, 502),
        ("unavailable", {"retry_after": 3}, 503),
        ("too-many-requests", {}, 429),
    ],
)
def test_a_provider_that_fails_answers_with_a_page_and_does_nothing(
    oidc: Oidc, name: str, options: dict[str, float], status: int
) -> None:
    token = oidc.cta.issuer.tokens()["refresh_token"]
    form = {"client_id": "ctadata-public", "grant_type": "refresh_token", "refresh_token": token}
    with oidc.cta.issuer.fault(name, path="/**/token", **options):  # type: ignore[arg-type] # the names are parameters
        failed = oidc.post("/protocol/openid-connect/token", form)
        elsewhere = oidc.get("/.well-known/openid-configuration")

    assert failed.status_code == status
    assert failed.headers["Content-Type"].startswith("text/html")
    assert failed.headers.get("Retry-After") == ("3" if options.get("retry_after") else None)
    assert elsewhere.status_code == 200
    assert oidc.refresh(token).status == 200


def test_a_good_refresh_token_can_be_taken_for_a_dead_one(oidc: Oidc) -> None:
    token = oidc.cta.issuer.tokens()["refresh_token"]
    with oidc.cta.issuer.fault("invalid-grant", times=1):
        errors = [oidc.refresh(token).json.get("error") for _ in range(2)]

    assert errors == ["invalid_grant", None]


def test_a_poll_can_be_told_to_slow_down(oidc: Oidc) -> None:
    oidc.cta.issuer.configure(approve="alice")
    begun = oidc.begin()
    with oidc.cta.issuer.fault("slow-down", times=1):
        answer = oidc.poll(begun)

    assert answer.error == (400, "slow_down")


def test_the_provider_can_send_its_clients_elsewhere(oidc: Oidc) -> None:
    with oidc.cta.issuer.fault("redirect-to", to="https://other.invalid") as fault:
        answer = oidc.get("/.well-known/openid-configuration")

    assert answer.status_code == 302
    assert answer.headers["Location"] == "https://other.invalid/realms/master/.well-known/openid-configuration"
    assert fault.hits == 1


@pytest.mark.parametrize(
    ("name", "options"), [("truncate", {"after": 20}), ("corrupt", {}), ("longer-body", {"by": 9})]
)
def test_an_answer_can_be_spoilt(oidc: Oidc, name: str, options: dict[str, int]) -> None:
    with oidc.cta.issuer.fault(name, **options):  # type: ignore[arg-type] # the names are parameters
        try:
            body = oidc.get("/.well-known/openid-configuration").content
        except requests.RequestException:
            body = b""

    assert not body.endswith(b"}") or not body.startswith(b"{")


def test_faults_of_the_door_are_not_those_of_the_issuer(oidc: Oidc) -> None:
    with pytest.raises(ConfigError, match="no fault of 'issuer'"):
        oidc.cta.issuer.faults.add("nearline")
    with pytest.raises(ConfigError, match=r"no fault of 'door' or 'pool'"):
        oidc.cta.faults.add("invalid-grant")
    with pytest.raises(ConfigError, match="no fault of 'issuer'"):
        oidc.cta.faults.add("reset", server="issuer")
    with oidc.cta.fault("server-error"):
        assert oidc.get("/.well-known/openid-configuration").status_code == 200


def test_the_log_tells_what_was_asked_and_answered_without_a_secret(fake_cta: FakeCta) -> None:
    fake_cta.issuer.configure(approve="alice")
    with Oidc(fake_cta, "confidential") as oidc:
        begun = oidc.begin()
        tokens = oidc.poll(begun).json
        oidc.refresh(tokens["refresh_token"])
        oidc.refresh(tokens["refresh_token"])
        oidc.post("/protocol/openid-connect/token?client_secret=in-the-address", {"x": "y"})
    asked = fake_cta.issuer.requests
    text = repr(asked)

    assert [r.path.rpartition("/")[2] for r in asked] == ["device", *["token"] * 4]
    assert [r.error for r in asked] == ["", "", "", "invalid_grant", "invalid_client"]
    assert {r.server for r in asked} == {"issuer"}
    assert asked[1].form["grant_type"] == DEVICE_GRANT
    assert asked[2].form["refresh_token"] == asked[3].form["refresh_token"]
    assert asked[4].query.startswith("client_secret=sha256:")
    for secret in (begun["device_code"], tokens["refresh_token"], tokens["access_token"], oidc.client.secret):
        assert secret not in text
    assert "in-the-address" not in text


def test_grants_are_counted_by_kind(oidc: Oidc) -> None:
    oidc.cta.issuer.configure(approve="alice")
    oidc.refresh(oidc.poll(oidc.begin()).json["refresh_token"])
    oidc.refresh("x")
    counts = [len(oidc.cta.issuer.grants(kind)) for kind in ("device_code", "refresh_token", "client_credentials")]
    oidc.cta.issuer.clear_requests()

    assert counts == [1, 2, 0]
    assert oidc.cta.issuer.requests == []
    assert oidc.cta.requests == []


def test_a_form_is_in_the_log_although_nobody_answered(oidc: Oidc) -> None:
    with oidc.cta.issuer.fault("reset"), pytest.raises(requests.ConnectionError):
        oidc.refresh("x")

    assert [(r.status, r.error) for r in oidc.cta.issuer.grants("refresh_token")] == [(0, "")]


def test_a_clock_that_is_wrong_shows_in_tokens_and_answers(oidc: Oidc) -> None:
    oidc.cta.clock_ahead = 3600
    door = oidc.session.request("OPTIONS", oidc.cta.door_url, timeout=10)
    listing = oidc.session.request(
        "PROPFIND", oidc.cta.door_url, headers={"Authorization": f"Bearer {oidc.cta.make_token()}"}, timeout=10
    )
    issuer = oidc.get("/.well-known/openid-configuration")
    statuses = [oidc.status_at_door(token) for token in (oidc.cta.issuer.tokens()["access_token"], oidc.cta.token)]

    for answer in (door, listing, issuer):
        assert parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time() == pytest.approx(3600, abs=5)
    assert listing.status_code == 207
    assert statuses == [200, 200]


def test_a_reset_sets_the_clocks_right(fake_cta: FakeCta) -> None:
    fake_cta.clock_ahead = -30
    fake_cta.reset()

    assert fake_cta.clock_ahead == 0


def test_what_it_cannot_be_told_is_an_error_that_lists_what_can(fake_cta: FakeCta) -> None:
    with pytest.raises(ConfigError, match="lifetime") as unknown:
        fake_cta.issuer.configure(lifetime=5)

    assert "token_lifetime" in str(unknown.value)


@pytest.mark.parametrize(
    ("manner", "value"),
    [
        ("token_lifetime", 0),
        ("token_lifetime", math.inf),
        ("token_lifetime", math.nan),
        ("device_lifetime", "600"),
        ("session_lifetime", None),
        ("interval", -1),
        ("interval", math.inf),
        ("interval", "5"),
        ("scope", None),
        ("approve", ""),
        ("approve", True),
        ("metadata", None),
    ],
)
def test_a_manner_that_means_nothing_is_an_error_and_changes_nothing(
    fake_cta: FakeCta, manner: str, value: object
) -> None:
    with pytest.raises(ConfigError, match=manner):
        fake_cta.issuer.configure(**{manner: value})
    with Oidc(fake_cta) as oidc:
        begun = oidc.begin()

    assert begun["interval"] == 5
    assert fake_cta.issuer.tokens()["expires_in"] == 300


def test_it_is_there_only_when_it_is_looked_at_and_gone_at_the_end() -> None:
    with FakeCta() as cta:
        sockets = len(list(OPEN_FILES.iterdir()))
        url = cta.issuer.url
        assert len(list(OPEN_FILES.iterdir())) > sockets
        assert cta.issuer is cta.issuer
        with Oidc(cta) as oidc:
            token = cta.issuer.tokens()["access_token"]
            assert oidc.status_at_door(token) == 200
    with pytest.raises(ConfigError, match="not running"):
        _ = cta.issuer
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("localhost", urlsplit(url).port or 0), timeout=5)
    with cta, Oidc(cta) as oidc:
        assert oidc.status_at_door(token) == 401


def test_many_threads_that_look_at_once_see_the_same_one() -> None:
    seen = set()
    with FakeCta() as cta:
        threads = [threading.Thread(target=lambda: seen.add(cta.issuer.url)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(seen) == 1


def test_it_works_without_tls() -> None:
    with FakeCta(tls=False) as cta, Oidc(cta) as oidc:
        cta.issuer.configure(approve="alice")
        answer = oidc.poll(oidc.begin())
        url = cta.issuer.url

    assert answer.status == 200
    assert url.startswith("http://localhost:")


def test_a_fork_can_ask_it_but_not_start_one() -> None:
    def look(cta: FakeCta, results: "multiprocessing.SimpleQueue[str]") -> None:
        try:
            results.put(cta.issuer.url)
        except ConfigError as error:
            results.put(str(error))

    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    with FakeCta() as cta:
        for start_before in (False, True):
            expected = cta.issuer.url if start_before else ""
            process = context.Process(target=look, args=(cta, results))
            process.start()
            process.join(20)
            said = results.get()

            assert said == expected or (not start_before and "fork" in said)


def test_who_does_not_use_it_does_not_pay_for_it() -> None:
    program = (
        "import sys; from ctadata_providers.testing import FakeCta\n"
        "with FakeCta() as cta: cta.token; cta.settings(); cta.reset()\n"
        "print([name for name in sys.modules if name.startswith('ctadata_providers.testing.oidc')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"

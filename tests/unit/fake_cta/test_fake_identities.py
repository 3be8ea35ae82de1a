"""Logins other than by a plain token: certificates, proxies, passwords; homes, prefixes, cached logins."""

import base64
import ssl
from pathlib import Path

import pytest
import requests

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing import FakeCta
from ctadata_providers.testing.pki import new_authority, new_pki
from tests.unit.fake_cta.conftest import Asker, asking


def with_certificate(cta: FakeCta, path: str, pem: Path, headers: dict[str, str] | None = None) -> requests.Response:
    """Ask for a file with a client certificate."""
    with asking(cta) as ask:
        ask.session.cert = str(pem)
        return ask("GET", path, headers, token=None)


@pytest.mark.parametrize("kind", ["certificate", "proxy"])
def test_a_certificate_or_proxy_may_do_everything_without_a_token(fake_cta: FakeCta, kind: str) -> None:
    fake_cta.put("/x", b"hello")
    pem = fake_cta.make_certificate("bob") if kind == "certificate" else fake_cta.proxy_file
    answer = with_certificate(fake_cta, "/x", pem)

    assert answer.status_code == 302
    assert "authorization" not in fake_cta.requests[-1].headers


def test_a_proxy_file_holds_proxy_key_and_certificate_in_this_order_and_is_private(fake_cta: FakeCta) -> None:
    text = fake_cta.proxy_file.read_text()
    begins = [line for line in text.splitlines() if line.startswith("-----BEGIN")]

    assert begins == ["-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----"]
    assert fake_cta.proxy_file.stat().st_mode & 0o777 == 0o600
    assert fake_cta.make_proxy() != fake_cta.proxy_file


def test_an_expired_proxy_fails_in_the_handshake(fake_cta: FakeCta) -> None:
    pem = fake_cta.make_proxy(lifetime=-1)

    with pytest.raises((requests.ConnectionError, ssl.SSLError)):
        with_certificate(fake_cta, "/", pem)
    assert fake_cta.requests == []


def test_a_certificate_of_another_authority_fails_in_the_handshake(fake_cta: FakeCta, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pem"
    foreign.write_bytes(new_pki(new_authority()).issue_certificate("alice", 3600))
    with pytest.raises((requests.ConnectionError, ssl.SSLError)):
        with_certificate(fake_cta, "/", foreign)


def test_a_refused_token_is_401_in_spite_of_a_good_certificate(fake_cta: FakeCta) -> None:
    headers = {"Authorization": f"Bearer {fake_cta.make_token(lifetime=-1)}"}
    answer = with_certificate(fake_cta, "/", fake_cta.proxy_file, headers)

    assert (answer.status_code, answer.reason) == (401, "Login failed: token has expired")


def test_a_weak_token_limits_what_a_certificate_may_do(fake_cta: FakeCta) -> None:
    fake_cta.put("/x", b"")
    headers = {"Authorization": f"Bearer {fake_cta.make_token(scope='storage.poll:/')}"}

    assert with_certificate(fake_cta, "/x", fake_cta.proxy_file, headers).status_code == 403


def test_there_are_no_certificates_without_tls() -> None:
    with FakeCta(tls=False) as cta, pytest.raises(ConfigError):
        _ = cta.proxy_file


def test_a_proxy_is_made_anew_by_a_restart() -> None:
    cta = FakeCta()
    files = set()
    for _ in range(2):
        with cta:
            files.add(cta.proxy_file)
            assert cta.proxy_file.exists()

    assert len(files) == 2
    assert not any(file.exists() for file in files)


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def test_users_log_in_with_a_password() -> None:
    with FakeCta(users={"alice": "s:cret"}) as cta, asking(cta) as ask:
        cta.put("/x", b"")
        statuses = [
            ask("GET", "/x", headers, token=None).status_code
            for headers in (basic("alice:s:cret"), basic("alice:wrong"), {"Authorization": "Basic %%%"})
        ]
        cta.lift_bans()
        reason = ask("GET", "/x", basic("bob:"), token=None).reason
        logged = repr(cta.requests)

    assert statuses == [302, 401, 401]
    assert reason == "Login failed: unknown user or wrong password"
    assert base64.b64encode(b"alice:s:cret").decode() not in logged


def test_a_password_over_plain_http_is_refused() -> None:
    with FakeCta(tls=False, users={"alice": "secret"}) as cta, asking(cta) as ask:
        answer = ask("GET", "/", basic("alice:secret"), token=None)

    assert (answer.status_code, answer.reason) == (401, "Login failed: not allowed to send password unencrypted")


def test_another_scheme_is_401(ask: Asker) -> None:
    assert ask("GET", "/", {"Authorization": "Digest x"}, token=None).status_code == 401


def test_who_may_not_list_the_root_is_led_home(fake_cta: FakeCta, ask: Asker) -> None:
    token = fake_cta.make_token(scope="openid", subject="bob")
    answer = ask("GET", "/", token=token)
    listing = ask("PROPFIND", "/", token=token)

    assert (answer.status_code, answer.headers["Location"]) == (302, f"{fake_cta.door_url}/users/bob/")
    assert listing.status_code == 403


def test_paths_of_scopes_lie_below_the_prefix_of_the_issuer() -> None:
    with FakeCta(issuer_prefix="/lst") as cta, asking(cta) as ask:
        cta.put("/lst/mine/x", b"")
        cta.put("/mine/x", b"")
        token = cta.make_token(scope="storage.read:/mine")
        statuses = [ask("GET", path, token=token).status_code for path in ("/lst/mine/x", "/mine/x")]

    assert statuses == [302, 403]


def test_cached_logins_outlive_their_token_and_failed_ones_stay_failed() -> None:
    now = [0.0]
    with FakeCta(login_cache=600, bans=False, clock=lambda: now[0]) as cta, asking(cta) as ask:
        cta.put("/x", b"")
        token = cta.make_token(lifetime=60)
        statuses = [ask("GET", "/x", token=token).status_code]
        cta.clock_ahead = 61
        statuses.append(ask("GET", "/x", token=token).status_code)
        now[0] = 601.0
        statuses += [ask("GET", "/x", token=token).status_code for _ in range(2)]

    assert statuses == [302, 302, 401, 401]

"""What a certificateservice must not be believed, and what it must not be given."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, CredentialError, CtaError, StorageError, TransientError, UnsupportedError
from ctadata_providers.certificates import check_proxy, proxies, status, upload_personal, upload_shared
from tests.faults import acts
from tests.faults.cells import assert_nothing_secret
from tests.faults.scripted import Door, Exchange
from tests.faults.test_secrets import with_our_variables
from tests.unit.credentials.made import make_authority, make_proxy, make_user, write

BASE = "/services/certificateservice"
STORED = {"message": "Certificate stored", "validity": "Mon, 30 Nov 2099 05:52:51 GMT"}
TOKEN = "hub-token-0123456789"
Settings = Callable[..., Config]


@pytest.fixture
def door() -> Iterator[Door]:
    with ExitStack() as stack:
        yield stack.enter_context(Door())


@pytest.fixture
def settings(ca: Path) -> Settings:
    def make(door: Door, **given: Any) -> Config:
        urls = {"service_url": f"{door.url}/services/downloadservice/", "certificate_service_url": f"{door.url}{BASE}/"}
        return Config(**{"hub_token": TOKEN, "ca_path": ca, "retries": 1, **urls, **given})

    return make


@pytest.fixture
def proxy(tmp_path: Path) -> Path:
    user = make_user(make_authority())
    made = make_proxy(user)
    return write(tmp_path / "proxy.pem", made.pem, made.key_pem, user.pem)


def answering(answer: object, bodies: list[bytes] | None = None) -> Callable[[Exchange], None]:
    def act(exchange: Exchange) -> None:
        sent = b"".join(exchange.chunks())
        if bodies is not None:
            bodies.append(sent)
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        exchange.answer(200, body=body)

    return act


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        ("<!doctype html><title>JupyterHub</title>", StorageError, "does not answer as the certificateservice"),
        ([], StorageError, "does not answer as the certificateservice"),
        ({"message": "Certificate stored"}, CredentialError, "has not stored"),
        ({**STORED, "validity": None}, CredentialError, "has not stored"),
        ({**STORED, "validity": 12}, CredentialError, "has not stored"),
        ({**STORED, "validity": ["certificate validity too long", 400]}, CredentialError, "too long; make a shorter"),
        ({**STORED, "validity": ["certificate expired", 400]}, CredentialError, "expired; make a new one"),
        ({**STORED, "validity": ["cabundle not configured", 500]}, StorageError, "cabundle not configured; tell"),
    ],
)
def test_a_success_that_is_none_is_an_error(
    answer: object, error: type[CtaError], told: str, door: Door, settings: Settings, proxy: Path
) -> None:
    door.fault("POST", answering(answer))

    with pytest.raises(error, match=told):
        upload_personal(proxy, config=settings(door))
    assert len(door.asked) == 1


@pytest.mark.parametrize("answer", [{}, {"certificateUploaded": False}, {"message": "stored", "validity": ["no", 400]}])
def test_a_shared_certificate_is_uploaded_when_the_service_says_so(
    answer: object, door: Door, settings: Settings, proxy: Path
) -> None:
    door.fault("POST", answering(answer))

    with pytest.raises(CredentialError, match="has not stored"):
        upload_shared(proxy, config=settings(door))


@pytest.mark.parametrize(
    ("validity", "expires_at"),
    [
        ("Mon, 30 Nov 2099 05:52:51 GMT", 4099701171.0),
        ("2099-11-30T06:52:51+01:00", 4099701171.0),
        ("2099-11-30T05:52:51", 4099701171.0),
        ("soon", None),
    ],
)
def test_an_end_is_understood_or_taken_from_the_proxy(
    validity: str, expires_at: float | None, door: Door, settings: Settings, proxy: Path
) -> None:
    door.fault("POST", answering({**STORED, "validity": validity}))
    given = upload_personal(proxy, config=settings(door))

    assert given.validity == validity
    assert given.expires_at == (expires_at or check_proxy(proxy).expires_at)


def test_the_proxy_is_sent_and_nothing_else_of_its_file(
    door: Door, settings: Settings, proxy: Path, tmp_path: Path
) -> None:
    bodies: list[bytes] = []
    door.fault("POST", answering(STORED, bodies))
    other = b"-----BEGIN PASSWORDS-----\nd29uZGVybGFuZA==\n-----END PASSWORDS-----\n"
    path = write(tmp_path / "more.pem", b"# my passphrase is wonderland\n", other, proxy.read_bytes())
    upload_personal(path, "lst", user="bob", config=settings(door))
    sent = json.loads(bodies[0])

    assert sent["certificate"].count("-----BEGIN ") == 3
    assert "wonderland" not in sent["certificate"]
    assert "PASSWORDS" not in sent["certificate"]
    assert (sent["certificate_key"], sent["user"]) == ("lst", "bob")
    assert check_proxy(write(tmp_path / "sent.pem", sent["certificate"].encode())).identity == "/O=TestGrid/CN=Alice"
    assert [asked.headers["content-type"] for asked in door.asked] == ["application/json"]


def test_what_is_put_in_place_of_a_proxy_that_was_looked_at_is_not_sent(
    door: Door, settings: Settings, proxy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user(make_authority())

    def looked_at(path: Path, **how: Any) -> Any:
        info = check_proxy(path, **how)
        write(proxy, user.pem, user.key_pem)
        return info

    monkeypatch.setattr(proxies, "check_proxy", looked_at)

    with pytest.raises(CredentialError, match="changed while it was looked at"):
        upload_personal(proxy, config=settings(door))
    assert door.asked == []


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_with_a_key_in_hand(code: int, door: Door, settings: Settings, proxy: Path) -> None:
    with Door() as other:
        door.fault("POST", acts.status(code, f"Location: {other.url}/"))
        with pytest.raises(UnsupportedError, match=str(code)):
            upload_personal(proxy, config=settings(door))

        assert other.asked == []


def test_a_key_is_not_sent_unencrypted(settings: Settings, proxy: Path, door: Door) -> None:
    config = settings(door, certificate_service_url="http://certificates.example/services/certificateservice/")

    with pytest.raises(CredentialError, match="not sent unencrypted"):
        upload_personal(proxy, config=config)


def test_a_silent_service_is_waited_for_no_longer_than_the_timeout(door: Door, settings: Settings, proxy: Path) -> None:
    door.fault("POST", acts.stall_after(None))
    door.fault("GET", acts.stall_after(None))
    config = settings(door, timeout=0.2, retries=0)

    with pytest.raises(TransientError, match="in time"):
        upload_personal(proxy, config=config)
    found = status(config)
    assert not any(service.well for service in found.services)
    assert {key.state for key in found.keys} == {"unknown"}


def test_a_page_without_end_is_no_health(door: Door, settings: Settings) -> None:
    door.fault("GET", lambda exchange: exchange.answer(200, body=b"x" * 2_000_000))
    found = status(settings(door))

    assert all(len(service.said) < 200 for service in found.services)


@pytest.mark.parametrize("body", [b"\n<!DOCTYPE html><title>Welcome</title>", b"<html><body>Log in</body></html>"])
def test_a_site_that_answers_everything_with_a_page_is_no_service(body: bytes, door: Door, settings: Settings) -> None:
    door.fault("GET", lambda exchange: exchange.answer(200, body=body))
    found = status(settings(door))

    assert not any(service.well for service in found.services)
    assert all("CTADS_URL" in service.said for service in found.services)
    assert {key.state for key in found.keys} == {"unknown"}
    assert not found.well


@pytest.mark.parametrize(
    ("body", "state"), [(b"[]\n", "works"), (b" [{}]", "works"), (b"{}", "unknown"), (b"", "unknown")]
)
def test_only_a_listing_tells_that_a_certificate_works(body: bytes, state: str, door: Door, settings: Settings) -> None:
    door.fault("GET", lambda exchange: exchange.answer(200, body=body))

    assert status(settings(door), keys=["lst"]).keys[0].state == state


@pytest.mark.parametrize("fault", ["500", "reset", "not stored"])
@pytest.mark.parametrize("shared", [False, True], ids=["personal", "shared"])
def test_a_trace_that_shows_our_variables_shows_neither_the_key_nor_the_token(
    fault: str, shared: bool, door: Door, settings: Settings, proxy: Path
) -> None:
    answers = {"500": acts.status(500), "reset": acts.reset_after(None), "not stored": answering({})}
    door.fault("POST", answers[fault])
    key = proxy.read_text().partition("PRIVATE KEY-----")[2].split()[0]

    with pytest.raises(CtaError) as caught:
        _ = (upload_shared if shared else upload_personal)(proxy, config=settings(door, retries=0))
    assert_nothing_secret(with_our_variables(caught.value), key, TOKEN)

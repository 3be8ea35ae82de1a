"""What a provider says is hostile until checked: no secret leaves or is shown, nothing waits for ever."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from ctadata_providers import Config, ConfigError, CredentialError, CtaError, TransientError
from ctadata_providers.credentials.oidc import device
from ctadata_providers.credentials.oidc.provider import Provider
from tests.faults.scripted import Door, Exchange
from tests.faults.scripted_provider import answer_json, nothing_known, serve  # noqa: F401 (a fixture)

SECRET = "a-refresh-token-nobody-may-see"


@pytest.fixture
def hostile(open_door: Callable[..., Door]) -> Door:
    """A provider that says what a test wants."""
    return open_door(tls=False)


def asked_for(config: Config) -> Exception:
    """Return what comes of asking for the next token with a refresh token."""
    with pytest.raises(CtaError) as caught:
        Provider(config, config.client_secret).refresh(SECRET)
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"

    link: BaseException | None = caught.value
    while link is not None:  # an exception of requests would hold the form
        assert getattr(link, "request", None) is None
        link = link.__context__
    assert SECRET not in shown
    assert "s3cret-of-mine" not in shown
    return caught.value


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://somebody.else/realms/x"},
        {"issuer": None},
        {"issuer": 7},
        {"token_endpoint": None},
        {"token_endpoint": "http://id.example/token"},
        {"token_endpoint": "https://user:word@id.example/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": ["https://id.example/"]},
        {"revocation_endpoint": "http://id.example/revoke"},
        {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
    ],
)
def test_metadata_that_cannot_be_trusted_is_refused_before_a_secret_is_sent(
    hostile: Door, metadata: dict[str, Any]
) -> None:
    config = serve(hostile, **metadata)

    assert isinstance(asked_for(config), ConfigError)
    assert hostile.requests("POST") == []


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{", b'"text"', b"[" * 100_000])
def test_metadata_that_is_no_object_is_told(hostile: Door, body: bytes) -> None:
    answer_json(hostile, "GET", body)
    config = Config(issuer=f"{hostile.url}/realms/x", client_id="me")

    assert isinstance(asked_for(config), TransientError)


def test_an_issuer_that_is_not_there_is_a_wrong_setting(hostile: Door) -> None:
    answer_json(hostile, "GET", {}, status=404)
    config = Config(issuer=f"{hostile.url}/realms/x", client_id="me")

    assert "no OpenID provider at" in str(asked_for(config))


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "a b"},
        {"access_token": "a\r\nX: 1"},
        {"access_token": "x" * 70_000},
        {"access_token": "good", "token_type": "mac"},
        {"access_token": "good", "token_type": 1},
        {"access_token": "good", "refresh_token": "a\nb"},
        {"access_token": "good", "refresh_token": {"a": 1}},
    ],
)
def test_what_is_no_bearer_token_is_refused(hostile: Door, answer: dict[str, Any]) -> None:
    config = serve(hostile)
    answer_json(hostile, "POST", answer)

    assert "gave something that is no bearer token" in str(asked_for(config))


@pytest.mark.parametrize("expires_in", [None, "soon", -5, 0, True, [], 1e300, "300"])
def test_an_odd_life_is_no_life(hostile: Door, expires_in: object) -> None:
    config = serve(hostile)
    answer_json(hostile, "POST", {"access_token": "good", "expires_in": expires_in})
    answer = Provider(config, config.client_secret).refresh(SECRET)

    assert answer.expires_in == (300.0 if expires_in == "300" else None)
    assert answer.refresh_token == SECRET
    assert SECRET not in repr(answer)


def test_an_error_of_nothing_beside_the_tokens_is_none(hostile: Door) -> None:
    config = serve(hostile)
    answer_json(hostile, "POST", {"access_token": "a", "refresh_token": "r", "error": None, "error_description": None})

    assert Provider(config, None).refresh("old").refresh_token == "r"


def test_a_redirect_is_not_followed_with_secrets(hostile: Door, open_door: Callable[..., Door]) -> None:
    other = open_door(tls=False)
    config = serve(hostile, tokens=lambda exchange: exchange.answer(307, f"Location: {other.url}/token"))

    assert "redirects, which is not followed" in str(asked_for(config))
    assert other.asked == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"error": "invalid_client", "error_description": f"secret s3cret-of-mine of {SECRET}"}, "invalid_client"),
        ({"error": "invalid_grant", "error_description": f"\x1b[31m{SECRET[:25]}\n"}, "invalid_grant"),
        ({"error": SECRET}, "says"),
        ({"error": {"a": 1}, "error_description": ["x"]}, "says"),
    ],
)
def test_what_a_provider_says_is_shown_without_secrets_and_control_characters(
    hostile: Door, error: dict[str, Any], said: str
) -> None:
    config = serve(hostile)
    answer_json(hostile, "POST", error, status=400)
    refusal = asked_for(config)

    assert said in str(refusal)
    assert str(refusal).isprintable()
    assert SECRET[:20] not in str(refusal)


def test_an_answer_without_end_is_given_up(hostile: Door) -> None:
    def drip(exchange: Exchange) -> None:
        exchange.head(200, "Content-Type: application/json")
        while not exchange.door.stopping.wait(0.05):
            exchange.send(b" ")

    begun = time.monotonic()
    error = asked_for(serve(hostile, tokens=drip, timeout=0.3))

    assert isinstance(error, TransientError)
    assert time.monotonic() - begun < 5


def test_an_answer_that_is_too_long_is_given_up(hostile: Door) -> None:
    answer_json(hostile, "POST", b"{" + b" " * 3_000_000 + b"}")

    assert isinstance(asked_for(serve(hostile)), TransientError)


@pytest.mark.parametrize(
    "answer",
    [
        {"user_code": "A\x1b[31m", "verification_uri": "https://id.example/d"},
        {"user_code": "x" * 100, "verification_uri": "https://id.example/d"},
        {"user_code": "ABCD", "verification_uri": "http://id.example/d"},
        {"user_code": "ABCD", "verification_uri": "javascript:alert(1)"},
        {"user_code": "ABCD", "verification_uri": "https://id.example/\u202egood"},
        {"user_code": "ABCD", "verification_uri": "https://id.example/d", "verification_uri_complete": "ssh://x"},
        {"user_code": "ABCD"},
        {"verification_uri": "https://id.example/d"},
    ],
)
def test_a_login_that_cannot_be_shown_safely_is_refused(hostile: Door, answer: dict[str, Any]) -> None:
    config = serve(hostile, device_authorization_endpoint=f"{hostile.url}/device")
    answer_json(hostile, "POST", {"device_code": "d", "expires_in": 60, **answer})
    with pytest.raises(CredentialError, match="cannot be shown"):
        device.begin(Provider(config, None), "openid")


def test_a_provider_without_a_device_flow_says_what_else_there_is(hostile: Door) -> None:
    with pytest.raises(CredentialError, match=r"offers no login by a code.*oidc-agent"):
        device.begin(Provider(serve(hostile), None), "openid")

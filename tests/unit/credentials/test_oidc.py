import base64
import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from ctadata_providers import Config, ConfigError, CredentialError, TransientError
from ctadata_providers.credentials.oidc import provider as oidc
from ctadata_providers.credentials.oidc.provider import Provider, is_safe_url, refusal_of, seconds, shown
from ctadata_providers.testing import FakeCta
from tests.unit.credentials.logins import small_bundle  # noqa: F401 (a fixture)

FAR = 1.9e9
SECRET = "s3cret+/=&% of mine".replace(" ", "_")


@pytest.fixture(scope="module")
def centre() -> Iterator[FakeCta]:
    with FakeCta() as cta:
        yield cta


@pytest.fixture
def cta(centre: FakeCta, monkeypatch: pytest.MonkeyPatch) -> FakeCta:
    centre.reset()
    monkeypatch.setattr(oidc, "_known", {})
    return centre


def provider_of(cta: FakeCta, client: Any = "public", **settings: Any) -> Provider:
    config = Config(**{**cta.oidc_settings(client), **settings})
    return Provider(config, config.client_secret)


# Asking


def test_a_refresh_gives_the_next_tokens_and_their_life_by_our_clock(cta: FakeCta) -> None:
    given = cta.issuer.tokens()
    provider = Provider(Config(**cta.oidc_settings()), None, clock=lambda: FAR)
    answer = provider.refresh(given["refresh_token"])

    assert answer.access_token != given["access_token"]
    assert answer.refresh_token not in (None, given["refresh_token"])
    assert (answer.obtained_at, answer.expires_in) == (FAR, 300.0)
    assert "storage.read:/" in (answer.scope or "")


def test_neither_provider_nor_answer_is_pickled(cta: FakeCta) -> None:
    provider = provider_of(cta, "robot")
    for secret in (provider, provider.robot_token()):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(secret)


def test_a_provider_without_rotation_leaves_the_refresh_token(cta: FakeCta) -> None:
    cta.issuer.configure(rotation=False)
    given = cta.issuer.tokens()

    assert provider_of(cta).refresh(given["refresh_token"]).refresh_token == given["refresh_token"]


def test_a_dead_refresh_token_is_a_refusal_with_the_code_of_the_provider(cta: FakeCta) -> None:
    with pytest.raises(CredentialError, match=r"cannot renew the token: https://.* says invalid_grant") as refused:
        provider_of(cta).refresh("dead")

    assert refusal_of(refused.value) == "invalid_grant"
    assert type(refused.value) is CredentialError
    assert refusal_of(copy.copy(CredentialError("x"))) == ""


def test_the_endpoints_are_asked_for_once(cta: FakeCta) -> None:
    for _ in range(3):
        provider_of(cta, "robot").robot_token()
    asked = [request.path for request in cta.issuer.requests]

    assert sum("openid-configuration" in path for path in asked) == 1


def test_an_answer_that_is_no_json_is_not_told_as_a_broken_connection(cta: FakeCta) -> None:
    with (
        cta.issuer.fault("corrupt", after=0),
        pytest.raises(TransientError, match="answered with something that is no JSON object; check issuer"),
    ):
        provider_of(cta).refresh("any")


def test_a_revoked_session_gives_no_more_tokens(cta: FakeCta) -> None:
    given = cta.issuer.tokens()
    provider = provider_of(cta)

    assert provider.revoke(given["refresh_token"]) is True
    with pytest.raises(CredentialError, match="invalid_grant"):
        provider.refresh(given["refresh_token"])


def test_a_provider_that_cannot_revoke_is_told_apart(cta: FakeCta) -> None:
    cta.issuer.configure(metadata={"revocation_endpoint": None})

    assert provider_of(cta).revoke("any") is False


def test_scope_and_audience_of_a_robot_are_asked_for(cta: FakeCta) -> None:
    answer = provider_of(cta, "robot", scope="storage.read:/lst", audience="https://door.example").robot_token()
    (asked,) = cta.issuer.grants("client_credentials")

    assert asked.form["scope"] == "storage.read:/lst"
    assert asked.form["audience"] == "https://door.example"
    assert answer.scope == "storage.read:/lst"


def test_every_request_tells_who_we_are_and_takes_no_packed_answer(cta: FakeCta) -> None:
    provider_of(cta, "robot").robot_token()

    assert {request.headers["user-agent"] for request in cta.issuer.requests} == {"ctadata-providers"}
    assert {request.headers["accept-encoding"] for request in cta.issuer.requests} == {"identity"}


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environment_does_not_change_whom_we_trust(
    cta: FakeCta, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "/does/not/exist")

    assert provider_of(cta, "robot").robot_token().access_token


def test_a_netrc_does_not_change_who_we_are(cta: FakeCta, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine localhost login mallory password other\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))

    assert provider_of(cta, "robot").robot_token().access_token


def test_another_authority_is_not_trusted(cta: FakeCta) -> None:
    config = Config(**{**cta.oidc_settings("robot"), "ca_path": None})
    with pytest.raises(OSError, match="its certificate could not be verified: check ca_path"):
        Provider(config, config.client_secret).robot_token()


# Proving who we are


Sent = Callable[..., tuple[str | None, dict[str, list[str]]]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, cta: FakeCta) -> Sent:
    """Ask for a robot's token; return the pair in the Authorization header and the form, as they are sent."""
    import requests

    seen: list[requests.PreparedRequest] = []
    send = requests.Session.send

    def note(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        seen.append(request)
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", note)

    def ask(secret: str | None, methods: list[str] | None) -> tuple[str | None, dict[str, list[str]]]:
        cta.issuer.configure(metadata={"token_endpoint_auth_methods_supported": methods})
        cta.issuer.add_client("me", secret=secret or "", robot=True)
        config = Config(**{**cta.oidc_settings("robot"), "client_id": "me", "client_secret": None})
        Provider(config, secret).robot_token()
        header = seen[-1].headers.get("Authorization")
        pair = base64.b64decode(header.removeprefix("Basic ")).decode() if header else None
        assert "?" not in str(seen[-1].url)
        return pair, parse_qs(str(seen[-1].body))

    return ask


def test_the_secret_goes_into_the_header(sent: Sent) -> None:
    pair, form = sent("plain", ["client_secret_post", "client_secret_basic"])

    assert pair == "me:plain"
    assert form == {"grant_type": ["client_credentials"]}


def test_the_header_is_what_is_meant_where_nothing_is_said(sent: Sent) -> None:
    assert sent("plain", None)[0] == "me:plain"


def test_the_secret_goes_into_the_form_where_the_provider_wants_it_there(sent: Sent) -> None:
    pair, form = sent(SECRET, ["client_secret_post"])

    assert pair is None
    assert (form["client_id"], form["client_secret"]) == (["me"], [SECRET])


def test_a_secret_with_odd_characters_goes_into_the_form_where_that_may_be(sent: Sent) -> None:
    pair, form = sent(SECRET, ["client_secret_basic", "client_secret_post"])

    assert (pair, form["client_secret"]) == (None, [SECRET])


def test_a_secret_with_odd_characters_is_encoded_in_the_header(sent: Sent) -> None:
    assert sent(SECRET, ["client_secret_basic"])[0] == "me:s3cret%2B%2F%3D%26%25_of_mine"


def test_a_wrong_secret_is_told_with_what_to_check(cta: FakeCta) -> None:
    with pytest.raises(CredentialError, match=r"says (unauthorized|invalid)_client.*client_secret_file") as refused:
        Provider(Config(**cta.oidc_settings("robot")), "wrong-secret").robot_token()

    assert "wrong-secret" not in str(refused.value)


# Checks


@pytest.mark.parametrize(
    ("settings", "missing"),
    [({}, "issuer"), ({"client_id": "me"}, "issuer"), ({"issuer": "https://id.example"}, "client_id")],
)
def test_settings_without_issuer_or_client_are_told(settings: dict[str, Any], missing: str) -> None:
    with pytest.raises(ConfigError, match=f"setting {missing} is missing.*CTA_{missing.upper()}"):
        Provider(Config(**settings), None)


@pytest.mark.parametrize("value", [0, -1, True, None, "", "1e3", "-5", "9" * 400, 1e11, float("nan"), float("inf"), []])
def test_what_is_no_number_of_seconds_is_none(value: object) -> None:
    assert seconds(value) is None


def test_seconds_may_be_a_text_as_some_providers_send_it() -> None:
    assert (seconds("300"), seconds(0.5), seconds(7)) == (300.0, 0.5, 7.0)


@pytest.mark.parametrize("url", ["", 7, "https://", "https:///x", "https://a b", "https://[", "https://u@h/", "//h/x"])
def test_what_is_no_safe_address_is_refused(url: object) -> None:
    assert not is_safe_url(url)


def test_what_a_provider_says_is_cut_and_cleaned() -> None:
    assert shown("a\x1b[31m b\n") == "a [31m b "
    assert shown("it is short", ["short"]) == "it is ..."
    assert len(shown("a b " * 200)) == 200
    assert shown("") == "nothing"

"""From a connection to settings and a client."""

import dataclasses
import json
import pickle
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from airflow_provider_cta.hooks.cta import CtaHook

from ctadata_providers import Config, ConfigError, CredentialError
from ctadata_providers.credentials.oidc import sessions
from ctadata_providers.credentials.resolve import resolve

TOKEN = "canary.Zm9vYmFyYmF6cXV4.signature"
EXTRA = {
    "base_path": "/cta",
    "ca_path": "/etc/grid-security/certificates",
    "trusted_hosts": ["a.example.org", "*.b.example.org"],
    "copy_hosts": ["c.example.org"],
    "allow_http_pools": False,
    "max_parallel": 8,
    "retries": 0,
    "checksum": "require",
}
NULLS = dict.fromkeys(["profile", "door_url", "token_file", "proxy_file", "proxy_pem", "cert_file", "key_file"])
TEXTS = {
    **EXTRA,
    "trusted_hosts": "a.example.org,*.b.example.org",
    "copy_hosts": "c.example.org",
    "allow_http_pools": "false",
}
STANDARD = {"host": "door.example.org", "port": 8443, "password": TOKEN}
EMPTY = Config.from_mapping({}).with_settings(profile="cta_default")
EXPECTED = EMPTY.with_settings(
    door_url="https://door.example.org:8443",
    base_path="/cta",
    token=TOKEN,
    ca_path=Path("/etc/grid-security/certificates"),
    trusted_hosts=("a.example.org", "*.b.example.org"),
    copy_hosts=("c.example.org",),
    allow_http_pools=False,
    max_parallel=8,
    retries=0,
    checksum="require",
)


def as_uri(extra: dict[str, Any]) -> str:
    return f"cta://:{quote(TOKEN, safe='')}@door.example.org:8443/https?{urlencode(extra)}"


def round_trip(uri: str) -> str:
    """What core Airflow makes of a URI when it stores it and hands it on, e.g. to the Test button."""
    from airflow.models.connection import Connection

    return str(Connection(conn_id="cta_default", uri=uri).get_uri())


FORMS: dict[str, dict[str, Any]] = {
    "json": {**STANDARD, "extra": EXTRA},
    "json with texts": {**STANDARD, "port": "8443", "schema": "https", "extra": json.dumps(TEXTS)},
    "form": {
        **STANDARD,
        "schema": "",
        "login": "",
        "description": "",
        "extra": {**NULLS, **EXTRA, "ambient_credentials": False},
    },
    "host with scheme": {**STANDARD, "host": "https://door.example.org/", "extra": EXTRA},
    "door_url": {"password": TOKEN, "port": 2880, "extra": {**EXTRA, "door_url": EXPECTED.door_url}},
    "uri": {"uri": as_uri(TEXTS)},
    "uri with json": {"uri": as_uri({"__extra__": json.dumps({**NULLS, **EXTRA})})},
    "uri with lists and nulls": {
        "uri": as_uri({**TEXTS, "trusted_hosts": json.dumps(EXTRA["trusted_hosts"]), "profile": "null", "home": ""})
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_connection_gives_the_same_settings(form: str, store_connection: Any) -> None:
    store_connection("cta_default", **FORMS[form])

    assert CtaHook().config() == EXPECTED


@pytest.mark.parametrize("form", [form for form in FORMS if "uri" in FORMS[form]])
def test_core_airflow_and_the_task_sdk_read_a_uri_alike(form: str, store_connection: Any) -> None:
    store_connection("cta_default", uri=round_trip(FORMS[form]["uri"]))

    assert CtaHook().config() == EXPECTED


def test_an_empty_connection_is_the_door_of_prod_without_credential(store_connection: Any) -> None:
    store_connection("cta_default")
    config = CtaHook().config()

    assert config == EMPTY
    assert config.door_url == "https://dcache.cta.cscs.ch:2880"
    assert (config.token, config.ambient_credentials) == (None, False)


def test_a_profile_gives_the_door(store_connection: Any) -> None:
    store_connection("cta_default", extra={"profile": "dev"})

    assert CtaHook().config().door_url == "https://dcache-dev.ctaodc.ch:2880"


@pytest.fixture
def ambient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARER_TOKEN", "ambient-token")
    monkeypatch.setenv("CTA_DOOR_URL", "https://ambient.example.org")


@pytest.mark.usefixtures("ambient")
@pytest.mark.parametrize("flag", [None, False, "false", "", "0"])
def test_a_connection_is_complete_without_the_environment(flag: Any, store_connection: Any) -> None:
    store_connection("cta_default", extra={"ambient_credentials": flag})

    assert CtaHook().config() == EMPTY


@pytest.mark.usefixtures("ambient")
@pytest.mark.parametrize("flag", [True, "true", "True", "1"])
def test_ambient_credentials_let_the_environment_in(flag: Any, store_connection: Any, as_logged: Any) -> None:
    store_connection("cta_default", extra={"ambient_credentials": flag, "retries": "2"})
    config = CtaHook().config()

    assert (config.token, config.door_url, config.retries) == ("ambient-token", "https://ambient.example.org", 2)
    assert as_logged("send ambient-token") == "send ***"


UNUSABLE: dict[str, dict[str, Any]] = {
    "login": {"login": TOKEN},
    "extra is not JSON": {"password": TOKEN, "extra": f'{{"token": "{TOKEN}"'},
    "extra is a list": {"extra": f'["{TOKEN}"]'},
    "unknown setting": {"password": TOKEN, "extra": {"verify": False}},
    "token twice": {"password": TOKEN, "extra": {"token": TOKEN}},
    "door twice": {"host": "door.example.org", "password": TOKEN, "extra": {"door_url": "https://other.example.org"}},
    "token with newline inside": {"password": f"{TOKEN}\n{TOKEN}"},
    "scheme": {"host": "door.example.org", "schema": "ftp", "password": TOKEN},
    "ambient_credentials": {"password": TOKEN, "extra": {"ambient_credentials": "perhaps"}},
    "proxy_pem": {"extra": {"proxy_pem": TOKEN}},
}


@pytest.mark.parametrize("fields", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_connection_is_a_config_error_without_its_secret(
    fields: dict[str, Any], store_connection: Any
) -> None:
    store_connection("cta_default", **fields)

    with pytest.raises(ConfigError) as raised:
        CtaHook().config()
    assert TOKEN not in f"{raised.value!s} {raised.value!r} {raised.value.path}"


def test_no_token_in_representations_and_pickles(store_connection: Any) -> None:
    store_connection("cta_default", password=TOKEN)
    hook = CtaHook()
    client = hook.client()

    assert TOKEN not in f"{hook!r} {vars(hook)} {hook.config()!r} {client!r}"
    assert TOKEN.encode() not in pickle.dumps(hook.config())


def test_a_token_is_masked_as_it_is_sent(store_connection: Any, as_logged: Any) -> None:
    store_connection("cta_default", password="  token-typed-with-blanks \n")
    CtaHook().config()

    assert as_logged("Authorization: Bearer token-typed-with-blanks") == "Authorization: Bearer ***"


def test_each_new_token_of_a_token_file_is_masked(
    fake_cta: Any, store_connection: Any, tmp_path: Path, as_logged: Any
) -> None:
    token_file = tmp_path / "token"
    settings = {"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file), "token_file": str(token_file)}
    store_connection("cta_default", extra=settings)
    tokens = [fake_cta.make_token(lifetime=lifetime) for lifetime in (1000.0, 2000.0)]
    with CtaHook().client() as client:
        for token in tokens:
            token_file.write_text(token)
            client.exists("/")

    assert as_logged(" ".join(tokens)) == "*** ***"


@pytest.fixture
def robot(fake_cta: Any) -> dict[str, Any]:
    """Return the extra of a connection whose client credentials the issuer of a data centre takes."""
    fake_cta.issuer.configure(token_lifetime=100.0)
    return dict(fake_cta.oidc_settings("robot"))


def test_a_robot_gets_its_tokens_itself_and_secret_and_tokens_are_masked(
    fake_cta: Any, robot: dict[str, Any], store_connection: Any, as_logged: Any
) -> None:
    store_connection("cta_default", extra={**robot, "client_secret": f" {robot['client_secret']}\n"})
    with CtaHook().client() as client:
        client.exists("/")
        config = client.config
    sent = fake_cta.issuer.grants("client_credentials")
    token = resolve(config).token()

    assert len(sent) == 1
    assert token is not None
    assert as_logged(f"{token.value} {robot['client_secret']}") == "*** ***"
    assert robot["client_secret"] not in f"{config!r} {vars(CtaHook())}"
    assert str(robot["client_secret"]).encode() not in pickle.dumps(config)
    assert "as the client ctadata-robot" in CtaHook().test_connection()[1]


def test_a_wrong_client_secret_is_a_credential_error_that_does_not_show_it(
    robot: dict[str, Any], store_connection: Any
) -> None:
    store_connection("cta_default", extra={**robot, "client_secret": "open-sesame-open-sesame"})
    good, message = CtaHook().test_connection()

    assert not good
    assert message.startswith(CredentialError.__name__)
    assert "sesame" not in message


@pytest.mark.parametrize("ambient_credentials", [False, True])
def test_a_login_on_the_worker_is_used_with_ambient_credentials_only(
    ambient_credentials: bool, fake_cta: Any, store_connection: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    settings = fake_cta.oidc_settings()
    fake_cta.issuer.approve_next()
    sessions.log_in(Config(**settings), None, lambda grant: None, sleep=lambda seconds: None)
    store_connection("cta_default", extra={**settings, "ambient_credentials": ambient_credentials})
    good, message = CtaHook().test_connection()

    assert good == ambient_credentials, message
    assert ("with what the worker has" in message) == ambient_credentials


def test_a_command_gives_the_token(fake_cta: Any, store_connection: Any, as_logged: Any, tmp_path: Path) -> None:
    (tmp_path / "a token").write_text(fake_cta.token)
    extra = {"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file)}
    store_connection("cta_default", extra={**extra, "token_command": f"cat '{tmp_path}/a token'"})
    good, message = CtaHook().test_connection()

    assert good, message
    assert "with the token command" in message
    assert as_logged(fake_cta.token) == "***"


def test_for_address_takes_the_connection_that_the_address_names() -> None:
    assert CtaHook.for_address("cta://other@lst/DL3/", "cta_default").cta_conn_id == "other"
    assert CtaHook.for_address("cta://lst/DL3/", "cta_default").cta_conn_id == "cta_default"
    assert CtaHook.for_address("lst/DL3", "cta_default").cta_conn_id == "cta_default"


def test_a_client_takes_addresses_that_name_its_connection_only(cta_default: Any) -> None:
    cta_default.put("/lst/a.fits", b"a")
    with CtaHook().get_conn() as client:
        assert client.exists("cta://cta_default@lst/a.fits")
        with pytest.raises(ConfigError, match="other"):
            client.exists("cta://other@lst/a.fits")


def test_a_hook_is_made_without_its_connection() -> None:
    assert CtaHook("there_is_none").cta_conn_id == "there_is_none"


def test_rare_settings_only_have_no_field_in_the_form() -> None:
    from airflow_provider_cta import get_provider_info

    (declared,) = get_provider_info()["connection-types"]
    fields = {field.name for field in dataclasses.fields(Config)} - {"token", "on_token", "on_event", "backend"}

    assert fields - set(declared["conn-fields"]) == {"home", "connect_timeout", "timeout", "max_requests_per_second"}


def test_connection_test_tells_what_was_reached(cta_default: Any) -> None:
    cta_default.put("/lst/a.fits", b"a")
    good, message = CtaHook().test_connection()

    assert good
    assert cta_default.door_url in message
    assert "cta://lst/" in message
    assert "bearer token" in message
    assert cta_default.token not in message


def test_connection_test_tells_each_step(cta_default: Any, store_connection: Any) -> None:
    token = cta_default.make_token(lifetime=7300.0, scope="storage.read:/")
    settings = {"door_url": cta_default.door_url, "ca_path": str(cta_default.ca_file)}
    store_connection("cta_default", password=token, extra=settings)
    good, message = CtaHook().test_connection()
    headline, *steps = message.splitlines()

    assert good
    assert headline == f"Listed / at {cta_default.door_url} with a bearer token."
    assert [step.partition(": ")[0] for step in steps] == ["TLS", "Credential", "Scopes", "Listing", "Latency"]
    assert "Credential: token is good for 2 h." in steps or "Credential: token is good for 122 min." in steps
    assert "Scopes: storage.read:/." in steps
    assert token not in message


def test_connection_test_of_a_server_that_is_not_trusted_tells_the_other_steps_too(
    cta_default: Any, store_connection: Any
) -> None:
    store_connection("cta_default", password=cta_default.token, extra={"door_url": cta_default.door_url})
    good, message = CtaHook().test_connection()
    headline, *steps = message.splitlines()

    assert not good
    assert headline.startswith("StorageError: localhost:")
    assert "is not trusted" in headline
    assert steps[0].startswith("TLS FAILED: ")
    assert steps[1].startswith("Credential: token is good for ")
    assert steps[3].startswith("Listing FAILED: ")


def test_connection_test_waits_no_longer_than_somebody_before_a_form(
    cta_default: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CTA__TEST_TIMEOUT", "0.3")
    cta_default.faults.add("stall", method="PROPFIND")
    begin = time.monotonic()
    good, message = CtaHook().test_connection()

    assert not good
    assert message.startswith("TransientError")
    assert time.monotonic() - begin < 20


def test_connection_test_of_a_refused_token_tells_so(cta_default: Any, store_connection: Any) -> None:
    expired = cta_default.make_token(lifetime=-3600.0)
    settings = {"door_url": cta_default.door_url, "ca_path": str(cta_default.ca_file)}
    store_connection("cta_default", password=expired, extra=settings)
    good, message = CtaHook().test_connection()

    assert not good
    assert message.startswith(CredentialError.__name__)
    assert expired not in message


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"host": "localhost", "port": 1}, "TransientError"),
        ({"extra": "{"}, "ConfigError"),
    ],
    ids=["refused connection", "bad extra"],
)
def test_connection_test_never_raises(fields: dict[str, Any], expected: str, store_connection: Any) -> None:
    store_connection("cta_default", **fields)
    good, message = CtaHook().test_connection()

    assert not good
    assert message.startswith(expected)


def test_connection_test_of_an_unknown_connection_tells_so() -> None:
    good, message = CtaHook("there_is_none").test_connection()

    assert not good
    assert "there_is_none" in message


def test_airflow_makes_the_hook_of_a_connection_and_tests_it(cta_default: Any) -> None:
    from airflow.sdk import BaseHook

    cta_default.put("/lst/a.fits", b"a")
    connection = BaseHook.get_connection("cta_default")

    assert isinstance(connection.get_hook(), CtaHook)  # type: ignore[no-untyped-call]  # Airflow's
    assert connection.test_connection()[0]


def test_what_a_connection_leaves_open_the_installation_says(
    store_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_connection("cta_default", password="a-canary-token", extra={"max_parallel": 3})
    for name, value in {"MAX_PARALLEL": "7", "LIMIT_RATE": "10000", "CONNECT_TIMEOUT": "5", "TIMEOUT": "11"}.items():
        monkeypatch.setenv(f"AIRFLOW__CTA__{name}", value)
    config = CtaHook().config()

    assert (config.max_parallel, config.connect_timeout, config.timeout) == (3, 5.0, 11.0)
    assert config.limit_rate == 10_000
    monkeypatch.setenv("AIRFLOW__CTA__MAX_PARALLEL", "many")
    assert CtaHook().config().max_parallel == 3
    store_connection("cta_default", password="a-canary-token")
    with pytest.raises(ConfigError, match="max_parallel"):
        CtaHook().config()

"""A connection of the form, the command line, a URI or JSON: as core Airflow stores it, and hands it on."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from airflow_provider_cta import get_provider_info
from airflow_provider_cta.hooks.cta import CtaHook

from ctadata_providers import Config

pytestmark = pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")
"""Airflow's own command line warns of itself."""

TOKEN = "canary.Zm9v+mFy/mF6:XV4@x.signature"
EXTRA: dict[str, Any] = {
    "base_path": "/cta data/ü",
    "trusted_hosts": ["a.example.org", "*.b.example.org"],
    "allow_http_pools": True,
    "max_parallel": 8,
    "retries": 0,
    "limit_rate": "500k",
    "checksum": "require",
    "scope": "openid storage.read:/",
}
EXPECTED = Config.from_mapping({**EXTRA, "door_url": "https://door.example.org:8443", "token": TOKEN}).with_settings(
    profile="cta_default"
)
FIELDS = {"host": "door.example.org", "port": 8443, "schema": "https", "password": TOKEN}


def untouched_form() -> dict[str, Any]:
    """Return the extra that the form stores when nothing is filled in: all fields, with nulls and defaults."""
    (declared,) = get_provider_info()["connection-types"]
    return {name: field.get("value") for name, field in declared["conn-fields"].items()}


def as_texts(extra: dict[str, Any]) -> dict[str, str]:
    """Return what a user writes into a URI, where all values are texts."""
    texts = {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in extra.items()}
    return {name: text.lower() if text in ("True", "False") else text for name, text in texts.items()}


def in_ui(**fields: Any) -> Any:
    """Return what the form's request stores."""
    from airflow.api_fastapi.core_api.datamodels.connections import ConnectionBody
    from airflow.models.connection import Connection

    sent = {"connection_id": "cta_default", "conn_type": "cta", **fields}
    return Connection(**ConnectionBody.model_validate(sent).model_dump(by_alias=True))


class Added:
    """A session of the metadata database that has no database."""

    def __init__(self) -> None:
        self.connections: list[Any] = []

    def scalar(self, query: object) -> None:
        """Tell that there is no such connection yet."""

    def add(self, connection: Any) -> None:
        self.connections.append(connection)


@pytest.fixture
def by_cli(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return what `airflow connections add` stores."""
    from airflow.cli.commands import connection_command

    added = Added()

    @contextmanager
    def session() -> Iterator[Added]:
        yield added

    monkeypatch.setattr(connection_command, "create_session", session)

    def add(*options: str) -> Any:
        from airflow.cli.cli_parser import get_parser

        parsed = get_parser().parse_args(["connections", "add", "cta_default", *options])
        connection_command.connections_add.__wrapped__.__wrapped__(parsed)
        return added.connections[-1]

    return add


def uri(extra: dict[str, str]) -> str:
    return f"cta://:{quote(TOKEN, safe='')}@door.example.org:8443/https?{urlencode(extra, quote_via=quote)}"


def stored(way: str, by_cli: Callable[..., Any]) -> Any:
    """Return the connection as core Airflow stores it."""
    text = json.dumps(EXTRA)
    if way == "form":
        filled = {**untouched_form(), **EXTRA}
        return in_ui(**FIELDS, login="", description="", extra=json.dumps(filled))
    if way == "command line":
        options = ["--conn-host", "door.example.org", "--conn-port", "8443", "--conn-password", TOKEN]
        return by_cli("--conn-type", "cta", *options, "--conn-extra", text)
    if way == "command line, URI":
        return by_cli("--conn-uri", uri(as_texts(EXTRA)))
    if way == "command line, JSON":
        return by_cli("--conn-json", json.dumps({"conn_type": "cta", **FIELDS, "extra": EXTRA}))
    return by_cli("--conn-json", json.dumps({"conn_type": "cta", **FIELDS, "port": "8443", "extra": as_texts(EXTRA)}))


WAYS = ("form", "command line", "command line, URI", "command line, JSON", "command line, JSON with texts")


@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_gives_a_task_the_same_settings(
    way: str, by_cli: Callable[..., Any], store_connection: Any
) -> None:
    from airflow.api_fastapi.execution_api.datamodels.connection import ConnectionResponse

    connection = stored(way, by_cli)
    handed = ConnectionResponse.model_validate(connection, from_attributes=True).model_dump(by_alias=True)
    store_connection("cta_default", **{name: value for name, value in handed.items() if name != "conn_id"})

    assert CtaHook().config() == EXPECTED


@pytest.mark.parametrize("way", WAYS)
def test_each_way_in_gives_the_test_button_the_same_settings(
    way: str, by_cli: Callable[..., Any], store_connection: Any
) -> None:
    store_connection("cta_default", uri=stored(way, by_cli).get_uri())

    assert CtaHook().config() == EXPECTED


@pytest.mark.parametrize("through", ["fields", "uri"])
def test_a_form_that_is_stored_untouched_is_the_door_of_prod(through: str, store_connection: Any) -> None:
    connection = in_ui(port=2880, extra=json.dumps(untouched_form()))
    if through == "uri":
        store_connection("cta_default", uri=connection.get_uri())
    else:
        store_connection("cta_default", port=connection.port, extra=connection.extra)

    assert CtaHook().config() == Config.from_mapping({}).with_settings(profile="cta_default")


def filled_in(name: str, schema: dict[str, Any]) -> Any:
    """Return a value that a field of the form takes."""
    kind = next(kind for kind in schema["type"] if kind != "null")
    values = {"boolean": True, "integer": schema.get("minimum", 0) + 2, "array": ["a.example.org", "b.example.org"]}
    if kind in values:
        return values[kind]
    if name == "profile":
        return "dev"
    if name == "issuer" or name.endswith("_url"):
        return "https://host.example.org/x/" if name != "door_url" else "https://host.example.org:1"
    return schema["enum"][-1] if "enum" in schema else "/5" if name.endswith(("_path", "_file")) else "5"


BESIDE = {"grant_type": {"client_secret": "s"}, "key_file": {"cert_file": "/c"}, "cert_file": {"key_file": "/k"}}
"""What a field does not stand without."""


@pytest.mark.parametrize("name", sorted(set(untouched_form()) - {"proxy_pem", "ambient_credentials"}))
def test_each_field_of_the_form_is_the_same_setting_as_a_text(name: str, store_connection: Any) -> None:
    (declared,) = get_provider_info()["connection-types"]
    value = filled_in(name, declared["conn-fields"][name]["schema"])
    configs = []
    for filled in ({name: value}, as_texts({name: value})):
        extra = {**untouched_form(), **BESIDE.get(name, {}), **filled}
        store_connection("cta_default", extra=extra)
        configs.append(CtaHook().config())
        store_connection("cta_default", uri=in_ui(extra=json.dumps(extra)).get_uri())
        configs.append(CtaHook().config())

    assert configs == [configs[0]] * 4
    assert configs[0].given_by(name) == "explicit"


@pytest.mark.parametrize(
    ("fields", "door_url"),
    [
        ({"uri": "cta://[::1]:2880/"}, "https://[::1]:2880"),
        ({"host": "::1", "port": 2880}, "https://[::1]:2880"),
        ({"host": "[2001:db8::7]", "schema": "http", "port": 80}, "http://[2001:db8::7]:80"),
        ({"host": "2001:db8::7"}, "https://[2001:db8::7]"),
        ({"host": "door.example.org:2880"}, "https://door.example.org:2880"),
    ],
)
def test_the_door_may_be_an_address_of_ipv6(fields: Any, door_url: str, store_connection: Any) -> None:
    store_connection("cta_default", **fields)

    assert CtaHook().config().door_url == door_url

"""From a connection of type `cta` to a client."""

import asyncio
import json
import os
from collections.abc import Callable
from functools import cache, partial
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import amask_secret, mask_secret

from airflow_provider_cta import settings as installation
from ctadata_providers import Config, ConfigError, CtaClient, uri

_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

if TYPE_CHECKING:
    from pydantic import JsonValue

SHORTEST_LINE = 16
"""Characters from which on a line of a proxy is masked: shorter ones would mask half of a log."""
_STEPS = {
    "tls": "TLS",
    "credential": "Credential",
    "scopes": "Scopes",
    "listing": "Listing",
    "latency": "Latency",
}
_MARKS = {"good": "", "bad": " FAILED", "skipped": ""}


class CtaHook(BaseHook):
    """Give clients for the data centre that a connection describes.

    The connection is complete: the environment of the worker and the logins on it are consulted only if its extra says
    `ambient_credentials: true`. Every token is masked in the logs.

    Args:
        cta_conn_id: The connection; it is looked up at each `client()`, not here.
    """

    conn_name_attr = "cta_conn_id"
    default_conn_name = "cta_default"
    conn_type = "cta"
    hook_name = "CTA data"

    def __init__(self, cta_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.cta_conn_id = cta_conn_id

    @classmethod
    def for_address(cls, address: str, cta_conn_id: str) -> Self:
        """Return the hook of the connection that `cta://name@...` names, of `cta_conn_id` for an address without.

        Raises:
            ConfigError: When the address cannot be used.
        """
        return cls(uri.parse(address).name or cta_conn_id)

    def client(self) -> CtaClient:
        """Return a new client; close it, or use it in a `with` statement.

        Raises:
            ConfigError: When the connection cannot be used.
            AirflowNotFoundException: When there is no such connection.
        """
        return CtaClient(self.config())

    def get_conn(self) -> CtaClient:
        """Return a new client: Airflow's name for `client`."""
        return self.client()

    def config(self) -> Config:
        """Return the settings that the connection describes, the same for its JSON, URI and form.

        Raises:
            ConfigError: When the connection cannot be used.
            AirflowNotFoundException: When there is no such connection.
        """
        config, secrets = _configured(self.get_connection(self.cta_conn_id), self.cta_conn_id, mask_secret)
        mask_secret(secrets)
        return config

    async def aclient(self) -> CtaClient:
        """Return a new client, in asyncio; its `begin_download`, `begin_upload` and `begin_copy` can be awaited.

        Raises:
            ConfigError: When the connection cannot be used.
            AirflowNotFoundException: When there is no such connection.
        """
        return CtaClient(await self.aconfig())

    async def aconfig(self) -> Config:
        """Return what `config` does, in asyncio: nothing that waits is done in the thread of the loop.

        Raises:
            ConfigError: When the connection cannot be used.
            AirflowNotFoundException: When there is no such connection.
        """
        connection = await self.aget_connection(self.cta_conn_id)
        mask = partial(_mask_from_anywhere, asyncio.get_running_loop())
        config, secrets = await asyncio.to_thread(_configured, connection, self.cta_conn_id, mask)
        await amask_secret(secrets)
        return config

    def test_connection(self) -> tuple[bool, str]:
        """Look at TLS, credential, scopes, a listing and latency, one after the other and once; never raises.

        Returns:
            Whether all that is good; then what was reached, or what is wrong; then each step, a line each.
        """
        try:
            config = self.config()
            # Somebody sits before a form and waits.
            most = installation.number("test_timeout")
            patience = {name: min(getattr(config, name), most) for name in ("connect_timeout", "timeout")}
            with CtaClient(config.with_settings(**patience)) as client:
                steps = list(client.check())
        except Exception as error:  # noqa: BLE001 (Airflow shows the message to the user and expects no exception)
            return False, f"{type(error).__name__}: {error}"
        bad = next((step for step in steps if step.state == "bad"), None)
        if bad is None:
            where = config.service_url if config.backend == "downloadservice" else config.door_url
            headline = f"Listed {config.base_path} at {where} {_credential(config)}."
        else:
            headline = f"{type(bad.error).__name__ if bad.error else bad.name}: {bad.told}"
        lines = (f"{_STEPS[step.name]}{_MARKS[step.state]}: {step.told}." for step in steps)
        return bad is None, "\n".join((headline, *lines))


def _configured(
    connection: Connection, conn_id: str, on_token: Callable[[str], object]
) -> "tuple[Config, list[JsonValue]]":
    """Return the settings of a connection, and what of them nobody is to see in a log.

    Raises:
        ConfigError: When the connection cannot be used.
    """
    settings = {**installation.given(), **_settings(connection)}
    secrets: list[JsonValue] = [*settings.pop("proxy_pem", "").split()]
    ambient = _flag("ambient_credentials", settings.pop("ambient_credentials", False))
    settings["on_token"] = on_token
    config = Config.from_env(**settings) if ambient else Config.from_mapping(settings)
    # Airflow masks the fields as they were typed, Config has stripped them.
    known = (config.token, config.client_secret, config.hub_token)
    secrets = [line for line in secrets if len(str(line)) > SHORTEST_LINE] + [secret for secret in known if secret]
    # The name before "@" in an address is the connection, which the client checks against `profile`.
    return config.with_settings(profile=conn_id), secrets


def _mask_from_anywhere(loop: asyncio.AbstractEventLoop, secret: str) -> None:
    """Mask a secret that another thread has got: what Airflow has for that must not wait in its loop's thread."""
    masking = amask_secret(secret)
    try:
        asyncio.run_coroutine_threadsafe(masking, loop)
    except RuntimeError:  # that loop is closed, and its thread free
        masking.close()
        mask_secret(secret)


def _settings(connection: Connection) -> dict[str, Any]:
    """Return the settings of a connection by their names in `Config`, `ambient_credentials` and `proxy_pem`."""
    where = f"connection {connection.conn_id!r}"
    if connection.login:
        raise ConfigError(f"{where} has a login", remedy="leave it empty and store the bearer token as the password")
    settings = _extra(connection, where)
    standard = {
        "door_url": _door_url(connection),
        "token": connection.password,
        "proxy_file": _proxy(settings.get("proxy_pem")),
    }
    for name, value in standard.items():
        if value and name in settings:
            raise ConfigError(f"{where} gives {name} twice, in its extra and in another field", remedy="give it once")
    return {**settings, **{name: value for name, value in standard.items() if value}}


def _extra(connection: Connection, where: str) -> dict[str, Any]:
    """Return what the extra of a connection gives, without nulls and empty texts.

    Not `extra_dejson`: that answers `{}` to broken JSON, which would silently be the default door without a credential.
    """
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        # "from None": the JSON error holds the whole extra.
        raise ConfigError(f"the extra of {where} is not JSON", remedy='write it as {"name": value, ...}') from None
    if not isinstance(extra, dict):
        raise ConfigError(f"the extra of {where} is not an object", remedy='write it as {"name": value, ...}')
    decoded = {name: _decoded(value) for name, value in extra.items()}
    return {name: value for name, value in decoded.items() if value not in (None, "", [])}


def _decoded(value: Any) -> Any:
    """Return a value with `null` and lists decoded from the text that they are in a connection URI.

    Core Airflow decodes them, the task SDK leaves the text.
    """
    if isinstance(value, str) and (value == "null" or value.startswith("[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _door_url(connection: Connection) -> str | None:
    if not connection.host:
        return None
    host: str = connection.host
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{f'[{host}]' if _is_ipv6(host) else host}"
    return f"{host.rstrip('/')}:{connection.port}" if connection.port else host


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _proxy(pem: Any) -> Path | None:
    """Return a path to the text of a proxy, None without one."""
    if pem is None:
        return None
    if not isinstance(pem, str) or "-----BEGIN" not in pem:
        raise ConfigError("proxy_pem is not the text of a PEM file", remedy="paste the whole proxy, line by line")
    return _memory_file(pem)


@cache
def _memory_file(text: str) -> Path:
    """Keep a text in a nameless file in memory and return a path that opens it in this process.

    The file lives as long as the process, so a path never comes to mean another text: libcurl reuses a TLS connection
    when the path of the client certificate is the same.

    Raises:
        ConfigError: Where there are no such files (they are Linux's memfd).
    """
    if not hasattr(os, "memfd_create"):
        raise ConfigError("proxy_pem can be used on Linux only", remedy="give proxy_file")
    descriptor = os.memfd_create("proxy_pem")
    with os.fdopen(descriptor, "w", encoding="utf-8", closefd=False) as file:
        file.write(text)
    return Path(f"/proc/self/fd/{descriptor}")


def _flag(name: str, value: object) -> bool:
    text = str(value).strip().lower()
    if text not in _FLAGS:
        raise ConfigError(f"setting {name}: {value!r} cannot be used", remedy="give true or false")
    return _FLAGS[text]


def _credential(config: Config) -> str:
    """Say which kind of credential is used, without its value."""
    kinds = {
        "with a bearer token": config.token,
        "with the token file": config.token_file,
        "with the token command": config.token_command,
        "with the oidc-agent account": config.oidc_account,
        f"as the client {config.client_id}": config.grant_type == "client_credentials" or None,
        "with the proxy": config.proxy_file,
        "with the client certificate": config.cert_file,
        "with what the worker has": config.ambient_credentials or None,
    }
    return next((kind for kind, value in kinds.items() if value is not None), "without a credential")

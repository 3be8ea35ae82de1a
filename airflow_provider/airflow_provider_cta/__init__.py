"""Airflow provider for the data of the Cherenkov Telescope Array.

Airflow imports this module in every process, so it imports neither Airflow nor a transfer library.
"""

from typing import Any

from airflow_provider_cta.settings import DECLARED
from ctadata_providers import __version__

__all__ = ["__version__", "get_provider_info"]

_INTEGRATION = "CTA data"
_OBJECT_STORAGE = "Object storage"


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow should know of this provider (entry point `apache_airflow_provider`).

    Its shape is `airflow/provider_info.schema.json`; the connection form is made from it alone, the hook is not
    imported for that (Airflow 3.2 and later).
    """
    return {
        "package-name": "airflow-provider-cta",
        "name": _INTEGRATION,
        "description": "Data of the Cherenkov Telescope Array under ``cta://`` addresses.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://www.ctao.org/",
                "tags": ["protocol"],
            },
            {
                "integration-name": _OBJECT_STORAGE,
                "external-doc-url": "https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/objectstorage.html",
                "tags": ["protocol"],
            },
        ],
        "hooks": [_modules("airflow_provider_cta.hooks.cta")],
        "operators": [_modules("airflow_provider_cta.operators.cta")],
        "transfers": [
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": _OBJECT_STORAGE,
                "python-module": "airflow_provider_cta.transfers.cta_to_object_storage",
            },
            {
                "source-integration-name": _OBJECT_STORAGE,
                "target-integration-name": _INTEGRATION,
                "python-module": "airflow_provider_cta.transfers.object_storage_to_cta",
            },
        ],
        "filesystems": ["airflow_provider_cta.fs.cta"],
        "asset-uris": [
            {
                "schemes": ["cta"],
                "handler": "airflow_provider_cta.assets.sanitize_uri",
                "factory": "airflow_provider_cta.assets.create_asset",
                "to_openlineage_converter": "airflow_provider_cta.assets.convert_asset_to_openlineage",
            }
        ],
        "sensors": [_modules("airflow_provider_cta.sensors.cta")],
        "extra-links": ["airflow_provider_cta.links.cta.CtaDoorLink"],
        "triggers": [_modules("airflow_provider_cta.triggers.cta", "airflow_provider_cta.triggers.copying")],
        "task-decorators": [
            {"name": "cta_sensor", "class-name": "airflow_provider_cta.decorators.sensor.cta_sensor_task"}
        ],
        "connection-types": [
            {
                "connection-type": "cta",
                "hook-class-name": "airflow_provider_cta.hooks.cta.CtaHook",
                "hook-name": _INTEGRATION,
                "ui-field-behaviour": _STANDARD_FIELDS,
                "conn-fields": _EXTRA_FIELDS,
            }
        ],
        "config": {"cta": {"description": "Data of the Cherenkov Telescope Array.", "options": DECLARED}},
    }


def _modules(*names: str) -> dict[str, Any]:
    return {"integration-name": _INTEGRATION, "python-modules": list(names)}


def _field(label: str, description: str, **schema: Any) -> dict[str, Any]:
    """Return a field of the connection form; the form stores null for an empty one, so each type allows null."""
    schema["type"] = [schema.get("type", "string"), "null"]
    return {"label": label, "description": description, "schema": schema}


_STANDARD_FIELDS = {
    "hidden-fields": ["login"],
    "relabeling": {
        "host": "Door host",
        "port": "Door port",
        "schema": "http or https",
        "password": "Bearer token",
    },
    "placeholders": {
        "host": "dcache.cta.cscs.ch (empty: the door of the profile)",
        # The Test button of Airflow 3.3 answers 400 for a stored connection without a port.
        "port": "2880",
        "schema": "https",
        "password": "empty when another credential is given below",
    },
}

_EXTRA_FIELDS = {
    "profile": _field("Profile", "prod (default), dev, or a profile of the worker's config.toml."),
    "door_url": _field("Door URL", "https://host:port in place of host and port."),
    "base_path": _field("Base path", "Prefix of all paths at the door."),
    "service_url": _field(
        "Downloadservice URL", "https://host/services/downloadservice/, in place of a door; needs a hub token."
    ),
    "certificate_service_url": _field("Certificateservice URL", "Default: beside the downloadservice."),
    "hub_url": _field("Hub URL", "JupyterHub of the services; default https://host/hub/."),
    "hub_token": _field("Hub token", "JupyterHub API token, for the services only.", format="password"),
    "token_file": _field("Token file", "File on the worker with a bearer token; read again when it changes."),
    "token_command": _field(
        "Token command", "Program with its arguments, run on the worker without a shell, that prints a bearer token."
    ),
    "oidc_account": _field("oidc-agent account", "Account of an oidc-agent that runs on the worker, or its issuer."),
    "issuer": _field("OIDC issuer", "https://host/realms/name; default that of the profile."),
    "client_id": _field("Client id", "Name of the client at the issuer; default that of the profile."),
    "client_secret": _field("Client secret", "For the grant client_credentials.", format="password"),
    "client_secret_file": _field(
        "Client secret file", "In place of the client secret: a file on the worker, open to nobody else."
    ),
    "grant_type": _field(
        "Grant",
        "client_credentials for a robot; refresh_token (default) goes on with the session of a 'ctadata login' on the "
        "worker and needs ambient credentials.",
        enum=["refresh_token", "client_credentials"],
    ),
    "scope": _field("Scope", "What to ask the issuer for, separated by blanks."),
    "audience": _field("Audience", "Whom the tokens shall be for; default what the issuer chooses."),
    "refresh": _field(
        "Refresh", "auto (default), or never: use tokens that another process keeps fresh.", enum=["auto", "never"]
    ),
    "proxy_file": _field("Proxy file", "RFC 3820 proxy on the worker: certificate, key and chain in one PEM."),
    "proxy_pem": _field(
        "Proxy (PEM)",
        "The text of a proxy, in place of a proxy file. It never touches the worker's disk (Linux only).",
        format="multiline",
    ),
    "cert_file": _field("Certificate file", "Client certificate on the worker, PEM."),
    "key_file": _field("Key file", "Private key of the certificate, without passphrase."),
    "ca_path": _field("CA path", "Trusted CAs beside the system's: a hashed folder or a PEM file on the worker."),
    "trusted_hosts": _field(
        "Trusted hosts",
        "Hosts (*.domain too) to which a redirect may carry the token, one per line.",
        type="array",
        items={"type": "string"},
    ),
    "copy_hosts": _field(
        "Copy hosts",
        "Hosts (*.domain too) that may be the other side of a copy from server to server, one per line.",
        type="array",
        items={"type": "string"},
    ),
    "allow_http_pools": _field(
        "Allow http pools",
        "Follow redirects to plain http, without credential; a checksum is then required.",
        type="boolean",
    ),
    "max_parallel": _field(
        "Transfers at once", "Default 16, with the downloadservice 4.", type="integer", minimum=1, maximum=256
    ),
    "streams": _field(
        "Streams", "Connections for one large download; as many as help.", type="integer", minimum=1, maximum=64
    ),
    "limit_rate": _field("Limit rate", "Most bytes a second of a task, such as 500k or 10M.", type="string"),
    "retries": _field("Retries", "Of a transient fault; default 5.", type="integer", minimum=0, maximum=100),
    "checksum": _field("Checksum", "auto (default), require or off.", type="string", enum=["auto", "require", "off"]),
    "ambient_credentials": _field(
        "Ambient credentials",
        "Also use what the worker has: its environment (BEARER_TOKEN, CTA_DOOR_URL, ...), token files, logins and "
        "proxies. Without it the connection is complete.",
        type="boolean",
        default=False,
    ),
}

"""Whether the CTA services are meant, and which hub a token that lies about belongs to."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ctadata_providers.config.levels import ENVIRONMENT, Level

_HUB_VARIABLES = ("JUPYTERHUB_PUBLIC_HUB_URL", "JUPYTERHUB_PUBLIC_URL", "JUPYTERHUB_HOST", "JUPYTERHUB_API_URL")
"""Where JupyterHub tells its servers its own address: the first two since 5.0, the last may be an inner one."""
_DEFAULT_PORTS = {"https": 443, "http": 80}


def services_chosen(levels: Sequence[tuple[Level, Mapping[str, Any]]], environ: Mapping[str, str] | None) -> bool:
    """Tell whether settings lead to the downloadservice rather than to a door, where `backend` does not say it.

    Args:
        levels: The settings by level, first wins; of a door and a service given at one level the door wins, but in a
            profile, which may well know both.
        environ: The environment, if a hub's token there counts; else None.
    """
    for level, settings in levels:
        service = level != "built-in" and bool(settings.get("service_url"))
        door = bool(settings.get("door_url"))
        if service and (level == "profile" or not door):
            return True
        if door and level != "built-in":
            return False
        if door:
            return environ is not None and _on_the_hub(str(settings.get("service_url") or ""), environ)
    return False


def _on_the_hub(service_url: str, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(ENVIRONMENT["hub_token"][0], "").strip()) and is_of_ambient_hub(service_url, environ)


def is_of_ambient_hub(url: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a URL is of the hub that has put its token into the environment."""
    return origin_of(url) is not None and origin_of(url) in {
        origin_of(environ.get(name, "")) for name in _HUB_VARIABLES
    }


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of a URL, None when it has none."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname and port else None

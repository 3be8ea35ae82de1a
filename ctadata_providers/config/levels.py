"""From where settings come, and which level gives them."""

import logging
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ctadata_providers.config.folders import config_folder
from ctadata_providers.errors import ConfigError

logger = logging.getLogger(__name__)

Level = Literal["explicit", "profile", "environment", "built-in", "address"]
"""Who gave a setting: the caller, the user's config.toml, an environment variable, a built-in profile; or an
address, which gives none but limits `ambient_credentials` (see `addressed`)."""

DEFAULT_PROFILE = "prod"
BUILT_IN_PROFILES: Mapping[str, Mapping[str, str]] = {
    "prod": {
        "door_url": "https://dcache.cta.cscs.ch:2880",
        "service_url": "https://platform.cta.cscs.ch/services/downloadservice/",
        "issuer": "https://keycloak.cta.cscs.ch/realms/master",
        "client_id": "dcache-cta-cscs-ch-users",
    },
    "dev": {
        "door_url": "https://dcache-dev.ctaodc.ch:2880",
        "issuer": "https://keycloak.cta.cscs.ch/realms/master",
        "client_id": "dcache-dev",
    },
}

ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "backend": ("CTA_BACKEND",),
    "door_url": ("CTA_DOOR_URL",),
    "base_path": ("CTA_BASE_PATH",),
    "service_url": ("CTADS_URL",),
    "certificate_service_url": ("CTACS_URL",),
    "hub_url": ("CTA_HUB_URL",),
    "hub_token": ("JUPYTERHUB_API_TOKEN",),
    "token": ("BEARER_TOKEN",),
    "token_file": ("BEARER_TOKEN_FILE",),
    "token_command": ("CTA_TOKEN_COMMAND",),
    "oidc_account": ("CTA_OIDC_ACCOUNT",),
    "issuer": ("CTA_ISSUER",),
    "client_id": ("CTA_CLIENT_ID",),
    "client_secret": ("CTA_CLIENT_SECRET",),
    "client_secret_file": ("CTA_CLIENT_SECRET_FILE",),
    "grant_type": ("CTA_GRANT_TYPE",),
    "scope": ("CTA_SCOPE",),
    "audience": ("CTA_AUDIENCE",),
    "refresh": ("CTA_REFRESH",),
    "proxy_file": ("X509_USER_PROXY",),
    "cert_file": ("X509_USER_CERT",),
    "key_file": ("X509_USER_KEY",),
    "ca_path": ("CTA_CA_PATH", "X509_CERT_DIR"),
    "trusted_hosts": ("CTA_TRUSTED_HOSTS",),
    "copy_hosts": ("CTA_COPY_HOSTS",),
    "allow_http_pools": ("CTA_ALLOW_HTTP_POOLS",),
    "home": ("CTA_HOME",),
    "max_parallel": ("CTA_MAX_PARALLEL",),
    "streams": ("CTA_STREAMS",),
    "retries": ("CTA_RETRIES",),
    "connect_timeout": ("CTA_CONNECT_TIMEOUT",),
    "timeout": ("CTA_TIMEOUT",),
    "max_requests_per_second": ("CTA_MAX_REQUESTS_PER_SECOND",),
    "limit_rate": ("CTA_LIMIT_RATE",),
    "checksum": ("CTA_CHECKSUM",),
}
"""Which environment variables give a setting; the first that is set and not empty wins."""

CREDENTIAL_SETTINGS = frozenset(
    {
        "token",
        "token_file",
        "token_command",
        "oidc_account",
        "client_secret",
        "client_secret_file",
        "grant_type",
        "proxy_file",
        "cert_file",
        "key_file",
    }
)
"""Settings that choose what proves who we are."""
SECRET_SETTINGS = frozenset({"token", "client_secret", "hub_token"})
"""Settings whose value nobody else may see."""
CHOOSING = CREDENTIAL_SETTINGS | {"issuer"}
"""Who gives one of these at a level rules out the credential settings of all lower levels."""
IDENTITY = ("issuer", "client_id")
"""Who we are at the issuer of a built-in profile."""


def known(settings: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the settings, all of which must have one of the names.

    Raises:
        ConfigError: For an unknown setting.
    """
    names = set(names)
    for name in settings:
        if name not in names:
            raise ConfigError(f"unknown setting {name!r}", remedy=f"known are {', '.join(sorted(names))}")
    return dict(settings)


def merge(levels: Sequence[tuple[Level, Mapping[str, Any]]]) -> tuple[dict[str, Any], dict[str, Level]]:
    """Merge levels, first wins; the credential settings come from one level only.

    Returns:
        The settings, and for each who gave it.
    """
    merged: dict[str, Any] = {}
    given_by: dict[str, Level] = {}
    chosen = False
    for level, settings in levels:
        ignored = set(CREDENTIAL_SETTINGS) if chosen else set()
        if level == "built-in" and not belongs(merged, settings):
            ignored.update(IDENTITY)
        for name in settings.keys() - merged.keys() - ignored:
            merged[name], given_by[name] = settings[name], level
        chosen = chosen or (level != "built-in" and not CHOOSING.isdisjoint(settings))
    return merged, given_by


def belongs(settings: Mapping[str, Any], of: Mapping[str, Any]) -> bool:
    """Tell whether settings leave door and issuer as they are in others.

    The client of a built-in profile is known to that profile's issuer alone, and its tokens are for its door alone.
    """
    return all(
        name not in settings or _same(settings[name], of[name]) for name in ("door_url", "issuer") if of.get(name)
    )


def _same(url: object, other: object) -> bool:
    return str(url).strip().rstrip("/").lower() == str(other).rstrip("/").lower()


def from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that environment variables give; an empty or blank one gives nothing."""
    found = {}
    for name, variables in ENVIRONMENT.items():
        value = next((environ[v] for v in variables if environ.get(v, "").strip()), None)
        if value is not None:
            found[name] = value
    return found


def config_file(environ: Mapping[str, str]) -> Path:
    """Return where the profiles are kept: `$XDG_CONFIG_HOME/ctadata-providers/config.toml`."""
    return config_folder(environ) / "config.toml"


def profile_names(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of all profiles, the built-in ones and those of the user's config.toml, if it can be read."""
    try:
        own = tomllib.loads(config_file(environ).read_text(encoding="utf-8")).get("profiles", {})
    except (OSError, ValueError):
        own = {}
    return tuple(dict.fromkeys((*BUILT_IN_PROFILES, *(own if isinstance(own, dict) else ()))))


def own_profile(name: str, environ: Mapping[str, str], names: Iterable[str]) -> dict[str, Any]:
    """Return what the user's config.toml says of a profile; nothing of a built-in one that it does not mention.

    In a home that may not be entered there is nothing either, for a profile that is built in.

    Args:
        name: Of the profile.
        environ: The environment, which tells where the file is.
        names: Of all settings.

    Raises:
        ConfigError: When the file is broken, there is no such profile, or others can read a secret in it.
    """
    path = config_file(environ)
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):  # a home such as /dev/null holds nothing
        told = {}
    except OSError as error:
        if name in BUILT_IN_PROFILES and _is_out_of_reach(path):
            logger.warning("cannot look into %s: no settings are taken from there", path.parent)
            return {}
        remedy = "make it readable, or set XDG_CONFIG_HOME to a folder that is"
        raise ConfigError(f"cannot read {path}: {error.strerror}", path=path, remedy=remedy) from error
    except ValueError as error:
        raise ConfigError(f"cannot read the profiles in {path}: {error}", path=path, remedy="mend the file") from error
    profiles = told.pop("profiles", {})
    if told:
        remedy = "settings stand below [profiles.NAME], those of the usual profile below [profiles.prod]"
        raise ConfigError(f"{next(iter(told))!r} in {path} means nothing", path=path, remedy=remedy)
    own = profiles.get(name, {}) if isinstance(profiles, dict) else None
    if not isinstance(own, dict):
        raise ConfigError(f"[profiles.{name}] in {path} is not a table", path=path, remedy="mend the file")
    if name not in profiles and name not in BUILT_IN_PROFILES:
        others = ", ".join(sorted({*BUILT_IN_PROFILES, *profiles}))
        raise ConfigError(f"unknown profile {name!r}", remedy=f"known are {others}; add [profiles.{name}] to {path}")
    if not SECRET_SETTINGS.isdisjoint(own) and path.stat().st_mode & 0o077:
        remedy = f"chmod 600 {path}, or name a file with token_file or client_secret_file"
        raise ConfigError(f"{path} holds a secret and is open to other users", path=path, remedy=remedy)
    return known(own, names)


def _is_out_of_reach(path: Path) -> bool:
    """Tell whether a file lies in a home that may not be entered: another user's, or one on AFS without a token."""
    try:
        os.lstat(path)
    except PermissionError:
        return True
    except OSError:
        pass
    return False

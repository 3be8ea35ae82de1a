"""The settings for an address: of the profile that it names.

An address may come from anybody, in a list of files or a message. That it names a profile is not the user's word that a
credential of this environment is for the door of that profile, as `--profile` and `CTA_PROFILE` are.
"""

import os
from collections.abc import Mapping
from typing import Any

from ctadata_providers.config.levels import CHOOSING, ENVIRONMENT
from ctadata_providers.config.services import origin_of
from ctadata_providers.config.settings import Config
from ctadata_providers.errors import ConfigError

_OF_THE_CHOSEN = {variable for name in (*CHOOSING, "client_id") for variable in ENVIRONMENT[name]}
"""Variables that are for the profile that is chosen. A hub's token is not among them: it knows its own hub."""


def config_for(name: str | None, **explicit: Any) -> Config:
    """Return the settings for an address.

    Args:
        name: The profile that it names, None for none.
        **explicit: As `Config.from_env` takes them; their `profile`, else that of `CTA_PROFILE`, else the default one
            is chosen.

    Raises:
        ConfigError: For an unknown setting or profile, or a value that cannot be used.
    """
    if name in (None, explicit.get("profile")):
        return Config.from_env(**explicit)
    try:
        chosen = Config.from_env(**explicit)
    except ConfigError:  # nobody asks for that one
        chosen = None
    return config_of_another(name or "", chosen, **explicit)


def config_of_another(name: str, chosen: Config | None, **explicit: Any) -> Config:
    """Return the settings of a profile that nothing but an address names.

    Unless it has the door of the one that is chosen, neither a credential of the environment nor one that lies about
    for any door is taken: what the profile itself has, its login, and what is given explicitly stay.

    Args:
        name: The profile.
        chosen: The settings of the one that is chosen, None when there are none.
        **explicit: As `Config.from_env` takes them.

    Raises:
        ConfigError: For an unknown setting or profile, or a value that cannot be used.
    """
    explicit["profile"] = name
    environ = {variable: value for variable, value in os.environ.items() if variable not in _OF_THE_CHOSEN}
    own = Config.from_env(environ, **explicit)
    if chosen is not None and _door(own) == _door(chosen):
        return Config.from_env(**explicit)
    return own.with_levels({**own.levels, "ambient_credentials": "address"})


def is_of_another(config: Config) -> bool:
    """Tell whether settings are of a profile that nothing but an address names, with another door than is chosen."""
    return config.given_by("ambient_credentials") == "address"


def _door(config: Config) -> tuple[object, ...]:
    url = config.service_url if config.backend == "downloadservice" else config.door_url
    return config.backend, origin_of(url or "")


def given_in(environ: Mapping[str, str]) -> list[str]:
    """Return the variables that are set and tell of a credential for the profile that is chosen."""
    names = ("token", "token_file", "token_command", "oidc_account", "proxy_file", "cert_file")
    return [variable for name in names for variable in ENVIRONMENT[name] if environ.get(variable, "").strip()]

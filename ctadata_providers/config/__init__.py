"""One frozen settings object, the same names in every engine.

Order, first wins: explicit values, the profile if it was named explicitly, the environment, the profile named by
`CTA_PROFILE` (else `prod`), the built-in default. The credential settings are one group: the first level that gives any
of them, or an issuer, gives them all, so that a token file chosen in a workflow is never overruled by a `BEARER_TOKEN`
that happens to be in the environment. The issuer of a built-in profile chooses nothing: it is there for `login`.
"""

from ctadata_providers.config.addressed import config_for, config_of_another, given_in, is_of_another
from ctadata_providers.config.levels import (
    BUILT_IN_PROFILES,
    CREDENTIAL_SETTINGS,
    DEFAULT_PROFILE,
    ENVIRONMENT,
    Level,
    config_file,
    profile_names,
)
from ctadata_providers.config.parsers import BackendName, ChecksumMode, GrantType, RefreshMode
from ctadata_providers.config.services import is_of_ambient_hub
from ctadata_providers.config.settings import UNPICKLED, Config

__all__ = [
    "BUILT_IN_PROFILES",
    "CREDENTIAL_SETTINGS",
    "DEFAULT_PROFILE",
    "ENVIRONMENT",
    "UNPICKLED",
    "BackendName",
    "ChecksumMode",
    "Config",
    "GrantType",
    "Level",
    "RefreshMode",
    "config_file",
    "config_for",
    "config_of_another",
    "given_in",
    "is_of_ambient_hub",
    "is_of_another",
    "profile_names",
]

"""How file systems are made: fsspec keeps each by its options, and no secret may be among what it keeps."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fsspec.config import apply_config
from fsspec.spec import AbstractFileSystem

from ctadata_providers.config import Config
from ctadata_providers.config.levels import SECRET_SETTINGS

SECRET = frozenset({*SECRET_SETTINGS, "on_token", "on_event"})
"""Options that stay in the process: never part of a pickle."""
PRIVATE = SECRET | {"client"}
"""Options that are never part of a token or of JSON; a client pickles without secrets."""
SETTINGS = frozenset(spec.name for spec in fields(Config))
OPTIONS = frozenset(
    {
        *("use_listings_cache", "listings_expiry_time", "max_paths", "block_size", "cache_type", "cache_options"),
        *("asynchronous", "loop", "skip_instance_cache"),
    }
)
"""fsspec's own options."""


class Instances(type(AbstractFileSystem)):  # type: ignore[misc]  # fsspec has no types
    """fsspec's cache of file systems, for those that hold no secret; the others are made anew each time."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a file system of some options; None means not given."""
        given = apply_config(cls, kwargs)
        if args:
            args, given = args[1:], {**given, "config": args[0]}
        private = {name: given[name] for name in PRIVATE if given.get(name) is not None}
        told = {name: value for name, value in without_secrets(given).items() if value is not None and name != "client"}
        if not private and not _holds_secret(told.get("config")):
            return super().__call__(*args, **told)
        # None, so that fsspec does not take it from its configuration again.
        options = {**told, **dict.fromkeys(private), "skip_instance_cache": True}
        made = super().__call__(*args, **options)
        made.storage_options = {name: value for name, value in told.items() if name != "skip_instance_cache"}
        made.keep_private(private)
        return made


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options that can be pickled: a `Config` keeps its secrets to itself, a mapping would not.

    Raises:
        ConfigError: When the mapping is none of settings.
    """
    told = {name: value for name, value in options.items() if name not in SECRET}
    if isinstance(told.get("config"), Mapping):
        told["config"] = Config.from_mapping(told["config"])
    return told


def _holds_secret(config: object) -> bool:
    return isinstance(config, Config) and any(getattr(config, name, None) is not None for name in PRIVATE)

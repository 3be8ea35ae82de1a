"""Where the files of a user lie (XDG Base Directory Specification 0.8)."""

import os
from collections.abc import Mapping
from pathlib import Path

PACKAGE = "ctadata-providers"


def home_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's home; `/` for a user without one (in a container, a number without an account)."""
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 (Path.home raises without a home)
    return home if home.is_absolute() else Path("/")


def config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the settings are: `$XDG_CONFIG_HOME/ctadata-providers`."""
    return Path(environ.get("XDG_CONFIG_HOME") or home_folder(environ) / ".config") / PACKAGE


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return what is to outlive a process: `$XDG_STATE_HOME/ctadata-providers`.

    A relative folder there counts for nothing, as the specification has it: each process would have another one.
    """
    told = Path(environ.get("XDG_STATE_HOME") or "")
    return (told if told.is_absolute() else home_folder(environ) / ".local" / "state") / PACKAGE


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return what may be lost at any time: `$XDG_CACHE_HOME/ctadata-providers`, if that is no relative folder."""
    told = Path(environ.get("XDG_CACHE_HOME") or "")
    return (told if told.is_absolute() else home_folder(environ) / ".cache") / PACKAGE

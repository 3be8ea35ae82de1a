"""Local paths, as callers write them."""

import os
from pathlib import Path

from ctadata_providers import uri
from ctadata_providers.errors import ConfigError, IsADirError


def local_path(local: Path | str) -> Path:
    """Return a local path.

    Raises:
        ConfigError: When it cannot be one, is an empty text (a variable without a value is not the current folder), or
            an address that has lost a slash.
    """
    if local == "":
        raise ConfigError("an empty path", remedy="write . for the current folder")
    if "\0" in str(local):
        raise ConfigError(f"not a usable local path: {str(local)!r}: a NUL is in it", remedy="name a file without it")
    uri.refuse_one_slash(str(local))
    return Path(local)


def local_file(local: Path | str) -> Path:
    """Return a local path that names a file.

    Raises:
        ConfigError: As `local_path`.
        IsADirError: When it ends in a slash.
    """
    if str(local).endswith(os.sep):
        raise IsADirError(
            f"cannot write {local}: it names a folder", path=local, remedy="give the name of a file in it"
        )
    return local_path(local)

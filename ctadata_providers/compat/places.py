"""What a path of ctadata means: where it is read from, where it is written to, and where a copy lands here."""

import os
import re
from pathlib import Path
from urllib.parse import quote

from ctadata_providers import CtaClient, uri
from ctadata_providers.credentials import resolve
from ctadata_providers.credentials.homes import TOPS, find_home
from ctadata_providers.errors import ConfigError, PermissionDeniedError

_SLASHES = re.compile("/{2,}")
_OF_A_USER = re.compile(r"/?(?:lst|cta)/users/[^/]")


def speaks_to_services(client: CtaClient) -> bool:
    """Tell whether files come from the CTA services, not from a door."""
    return client.config.backend not in ("webdav", "memory")


def url_prefixes(client: CtaClient) -> tuple[str, ...]:
    """Return what stands before the quoted path in URLs of a file; the first is that of the `url` in a listing."""
    config = client.config
    if speaks_to_services(client):
        return tuple(f"{config.service_url}{route}/" for route in ("list", "fetch", "webdav"))
    return (f"{config.door_url}{quote(config.base_path.rstrip('/'))}/",)


def target_of(client: CtaClient, text: str) -> str:
    """Return the path or address of what is to be written; a `/` at its end stays.

    With the services a path is one in the user's own folder, unless it begins with `lst/users/NAME/` or
    `cta/users/NAME/`. At a door it counts from the root if it begins with `/` or with a folder that is there; else it
    is in the user's own folder, if that can be known.
    """
    if uri.is_uri(text):
        return text
    plain = plain_path(text)
    if speaks_to_services(client):
        from_root = bool(_OF_A_USER.match(plain))
        home = "" if from_root else client.home()
    else:
        first = plain.partition("/")[0]
        from_root = not first or f"/{first}" in TOPS or _is_there(client, f"/{first}")
        home = "" if from_root else _home_at_door(client)
    return f"{home.rstrip('/')}/{plain.removeprefix('/')}"


def file_target(client: CtaClient, local: str | os.PathLike[str], text: str) -> str:
    """Return the path or address of an uploaded file: a target that ends in `/` is completed by the file's name."""
    name = os.path.basename(os.fspath(local)) if text.endswith("/") else ""  # noqa: PTH119 (none for "folder/")
    return target_of(client, text) + name


def tree_target(client: CtaClient, text: str) -> Path:
    """Return the local folder of a downloaded one.

    As with ctadata: the path from the root of the storage below the current folder for what comes from the services,
    the last name alone for what comes from a door.
    """
    path = uri.parse(text).path.removeprefix("/")
    return Path(path if speaks_to_services(client) else path.rpartition("/")[2])


def _is_there(client: CtaClient, path: str) -> bool:
    try:
        return client.exists(path)
    except PermissionDeniedError:
        return False  # a token for one's own folder alone does not show it, and does not open it either


def _home_at_door(client: CtaClient) -> str:
    try:
        return client.home()
    except ConfigError:
        pass
    try:
        return find_home(resolve(client.config).token(), lambda path: client.stat(path).is_dir).path
    except ConfigError:
        return ""  # then from the root, as everything at a door was


def plain_path(text: str) -> str:
    """Return a path in which several slashes are one, as for ctadata and its servers."""
    return _SLASHES.sub("/", text)

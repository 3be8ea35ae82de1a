"""Remote arguments: addresses, the profile they choose, patterns, and where a copy goes."""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ctadata_providers import uri
from ctadata_providers.errors import ConfigError, NotADirError, NotFoundError
from ctadata_providers.patterns import has_magic

if TYPE_CHECKING:
    from ctadata_providers import CtaClient, FileInfo


def parse(text: str) -> uri.Address:
    """Parse an address; an empty text, such as a variable without a value, is not taken for the root.

    Raises:
        ConfigError: When it is empty, or cannot be an address.
    """
    if not text:
        raise ConfigError("usage: an empty path", remedy="write / for the root")
    return uri.parse(text)


def profile_of(addresses: Iterable[uri.Address], chosen: str | None) -> str | None:
    """Return the profile that the addresses and `--profile` agree on, None when none is named.

    Raises:
        ConfigError: When they do not agree.
    """
    names = {address.name for address in addresses if address.name} | (set() if chosen is None else {chosen})
    if len(names) > 1:
        raise ConfigError(
            f"one command speaks to one profile, not to {' and '.join(sorted(names))}",
            remedy="name one profile, by cta://NAME@… or --profile",
        )
    return names.pop() if names else None


def expand(client: "CtaClient", address: uri.Address) -> "Iterator[FileInfo]":
    """Find what a path or pattern names; a path that exists as it is written is no pattern.

    Raises:
        NotFoundError: When nothing is found.
        NotADirError: When the path ends in `/` and is a file.
    """
    text = address.path.rstrip("/") + ("/" if address.is_folder else "")
    if not has_magic(text):
        yield client.stat(text)
        return
    found = False
    for info in client.glob(text):
        found = True
        yield info
    if not found:
        raise NotFoundError(
            f"nothing matches {address.path}", path=address.path, remedy="look with 'ctadata list' what there is"
        )


def topmost(entries: "Iterable[FileInfo]") -> "Iterator[FileInfo]":
    """Leave out what lies below a folder that came before: a recursive command reaches it anyway."""
    folders: set[str] = set()
    for info in entries:
        if folders.isdisjoint(str(parent) for parent in PurePosixPath(info.path).parents):
            if info.is_dir:
                folders.add(info.path)
            yield info


def local_folder(text: str, *, several: bool) -> Path | None:
    """Return the local folder that copies go into, None when the text names the copy itself.

    Raises:
        NotADirError: When it must be a folder and is a file.
    """
    path = Path(text)
    if path.is_dir():
        return path
    if not (several or text.endswith("/")):
        return None
    if path.exists():
        raise NotADirError(f"{text} is a file", path=path, remedy="name a folder where a folder is needed")
    return path


def remote_folder(client: "CtaClient", address: uri.Address, *, several: bool) -> str | None:
    """Return the remote folder that copies go into, None when the address names the copy itself.

    Raises:
        ConfigError: For the root: `cta:/$HOME_THERE/` is that when the variable has no value.
        NotADirError: When it must be a folder and is a file.
    """
    if address.path == "/":
        raise ConfigError(
            "usage: nothing is copied into the root of the storage",
            path="/",
            remedy="name a folder, or the file itself as cta:///name",
        )
    try:
        is_dir = client.stat(address.path).is_dir
    except NotFoundError:
        return address.path if several or address.is_folder else None
    if is_dir:
        return address.path
    if several or address.is_folder:
        raise NotADirError(
            f"{address.path} is a file", path=address.path, remedy="name a folder where a folder is needed"
        )
    return None

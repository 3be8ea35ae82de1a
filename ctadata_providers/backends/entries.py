"""What an entry of a listing means: its name within the folder, and what is told of it."""

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from ctadata_providers.backends.base import FileInfo
from ctadata_providers.backends.shapes import Entry
from ctadata_providers.checksum import parse_digests
from ctadata_providers.credentials.resolve import origin
from ctadata_providers.errors import StorageError
from ctadata_providers.uri import segment_fault

_ENCODED = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|\[|\]|%[0-9A-Fa-f]{2})*")
"""What can stand in an encoded path, and the brackets that some leave in it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listing comes from.

    Attributes:
        door_url: The door that was asked.
        base_path: Prefix of all paths there.
        literal_hrefs: hrefs are not percent-encoded; None where that is not known, and each must show it.
    """

    door_url: str
    base_path: str
    literal_hrefs: bool | None


def entry_name(href: str, folder: str, place: Place) -> str | None:
    """Return the name that an href gives to an entry of a folder, None for the folder itself.

    Raises:
        StorageError: When the href leads out of the folder: no honest server lists such a thing.
    """
    raw = href
    if href.startswith(("http://", "https://")):
        try:
            foreign = origin(href) != origin(place.door_url)
        except ValueError as error:
            raise _hostile(href, folder) from error
        if foreign:
            raise _hostile(href, folder)
        raw = "/" + href.split("/", 3)[-1]  # as it stands: urlsplit would drop line ends
    if place.literal_hrefs is None:
        place = replace(place, literal_hrefs=not _ENCODED.fullmatch(raw))
    inside = (place.base_path.rstrip("/") + folder).rstrip("/")
    if _decoded(raw.rstrip("/"), place) == inside:
        return None
    parent, _, last = raw.removesuffix("/").rpartition("/")
    name = _decoded(last, place)  # after the cut: an encoded slash is no separator
    if _decoded(parent, place) != inside or segment_fault(name):
        raise _hostile(href, folder)
    return name


def _decoded(text: str, place: Place) -> str:
    return text if place.literal_hrefs else unquote(text, errors="surrogateescape")


def file_info(entry: Entry, path: str) -> FileInfo:
    """Return what an entry tells of a path."""
    properties = entry.properties
    return FileInfo(
        path=path,
        is_dir=entry.is_dir,
        size=None if entry.is_dir else number(properties.get("size", "")),
        modified=properties.get("modified") or None,
        etag=properties.get("etag") or None,
        checksums=parse_digests([properties["checksums"]]) if "checksums" in properties else {},
        locality=properties.get("locality") or None,
        created=properties.get("created") or None,
    )


def number(text: str) -> int | None:
    """Return a size that a server wrote, None for what is none.

    >>> number("42"), number("-1")
    (42, None)
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _hostile(href: str, folder: str) -> StorageError:
    return StorageError(
        f"the server lists {href!r} in {folder}: a name that leads elsewhere or that no address can hold",
        path=folder,
        remedy="nothing was written; have the file renamed, or tell the server's operators",
    )

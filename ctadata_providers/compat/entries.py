"""Entries of a listing, which serve as texts and as dictionaries.

ctadata gives texts from a door and dictionaries from the downloadservice, and its examples take both for texts.
"""

from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from email.utils import formatdate
from typing import Self, SupportsIndex
from urllib.parse import quote, unquote

from ctadata_providers import CtaClient, FileInfo, uri
from ctadata_providers.compat.places import plain_path, speaks_to_services, url_prefixes


class Entry(str):
    """An entry of a listing: a text that also has keys.

    The text of an entry of a door is its name, or from a recursive listing its path without the first slash. Either way
    the entry remembers its path, so that it can be handed to `fetch_and_save_file` as it is.

    Everything that texts do is done as texts do it, `in`, `len` and `for` too. `entry["size"]`, `get`, `keys`,
    `values`, `items` and `dict(entry)` are those of the dictionary: `href`, `mtime`, `size` (of a file; a text),
    `type` (`file` or `directory`) and `url`.

    Args:
        text: What it is as a text.
        fields: What it is as a dictionary.
        path: Its absolute path.

    >>> entry = Entry("a.fits", {"href": "lst/a.fits", "size": "4"}, "/lst/a.fits")
    >>> entry["size"], entry.split("."), "fits" in entry, "size" in entry
    ('4', ['a', 'fits'], True, False)
    """

    path: str
    _fields: dict[str, str]

    def __new__(cls, text: str, fields: Mapping[str, str], path: str) -> Self:
        """Make the text and remember the rest."""
        entry = super().__new__(cls, text)
        entry._fields = dict(fields)
        entry.path = path
        return entry

    def __getnewargs__(self) -> tuple[str, dict[str, str], str]:  # type: ignore[override]  # more than a text's own
        return str(self), self._fields, self.path

    def __getitem__(self, key: SupportsIndex | slice | str) -> str:
        return self._fields[key] if isinstance(key, str) else super().__getitem__(key)

    def get(self, key: str, default: str | None = None) -> str | None:
        """Return what a key says, else the default."""
        return self._fields.get(key, default)

    def keys(self) -> KeysView[str]:
        """Return the keys that the entry has."""
        return self._fields.keys()

    def values(self) -> ValuesView[str]:
        """Return what they say."""
        return self._fields.values()

    def items(self) -> ItemsView[str, str]:
        """Return both."""
        return self._fields.items()


class ServiceEntry(Entry):
    """An entry of a listing by the downloadservice: its text is `href`, and `in` also finds its keys.

    ctadata gives a dictionary here, so that programs ask `"size" in entry` to tell files from folders.

    >>> entry = ServiceEntry("lst/a.fits", {"href": "lst/a.fits", "size": "4"}, "/lst/a.fits")
    >>> "fits" in entry, "size" in entry, "datacheck" in entry
    (True, True, False)
    """

    def __contains__(self, part: object) -> bool:
        return part in self._fields or super().__contains__(part)  # type: ignore[operator]  # as a text has it


def path_of(client: CtaClient, given: str) -> str:
    """Return the path or address of what is to be read: of an `Entry`, of its `url`, or of a path as it is written."""
    if isinstance(given, Entry):
        return given.path
    for prefix in url_prefixes(client):
        if given.startswith(prefix):
            return "/" + unquote(given.removeprefix(prefix))
    return given if uri.is_uri(given) else plain_path(given)


def list_entries(client: CtaClient, text: str, *, recursive: bool = False) -> list[Entry]:
    """Return what is in a folder, with `recursive` all that is below it; of a file the file itself.

    The services tell of the folder itself first, and so does this then.

    Args:
        client: Where to look.
        text: A path as `path_of` returns it.
        recursive: Whether to list the folders in it, too.
    """
    top = client.stat(text)
    listed = [] if not top.is_dir else list((client.walk if recursive else client.list_dir)(top.path))
    if speaks_to_services(client):
        return [_of_service(info, client) for info in [top, *listed]]
    return [_of_door(info, client, full=recursive) for info in (listed if top.is_dir else [top])]


def _of_service(info: FileInfo, client: CtaClient) -> ServiceEntry:
    fields = _fields(info, client)
    return ServiceEntry(fields["href"], fields, info.path)


def _of_door(info: FileInfo, client: CtaClient, *, full: bool) -> Entry:
    return Entry(info.path.removeprefix("/") if full else info.name, _fields(info, client), info.path)


def _fields(info: FileInfo, client: CtaClient) -> dict[str, str]:
    """Return what the services tell of an entry, in their order; names are literal, not percent-encoded."""
    href = uri.format_uri(info.path, folder=info.is_dir).removeprefix(uri.SCHEME).removeprefix("/")
    fields = {"href": href}
    if info.mtime is not None:
        fields["mtime"] = formatdate(info.mtime, usegmt=True)
    if info.size is not None:
        fields["size"] = str(info.size)
    return fields | {"type": "directory" if info.is_dir else "file", "url": url_prefixes(client)[0] + quote(href)}

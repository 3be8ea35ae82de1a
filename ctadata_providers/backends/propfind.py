"""PROPFIND: what is asked for, and its answer read as it arrives (RFC 4918)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from ctadata_providers.errors import StorageError, TransientError
from ctadata_providers.session.status import ADDRESS

DAV = "DAV:"
DCACHE = "http://www.dcache.org/2013/webdav"
SRM = "http://srm.lbl.gov/StorageResourceManager"

BODY = (
    '<?xml version="1.0" encoding="utf-8"?>'
    f'<propfind xmlns="{DAV}" xmlns:d="{DCACHE}" xmlns:s="{SRM}"><prop>'
    "<resourcetype/><iscollection/><getcontentlength/><getlastmodified/><getetag/><d:Checksums/><s:FileLocality/>"
    "</prop></propfind>"
).encode()
"""The properties by name: dCache tells checksums only so, and finds all properties expensive."""

MAX_RESPONSE_CHARACTERS = 256 * 1024
MAX_RESPONSE_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NAMES = 1000
"""Most names and prefixes that the elements of an answer may have: servers use some dozen, and expat keeps each."""
_SEPARATOR = "}"
_RESPONSE, _HREF, _PROPSTAT, _PROP, _STATUS, _COLLECTION, _RESOURCETYPE, _MULTISTATUS = (
    f"{DAV}{_SEPARATOR}{name}"
    for name in ("response", "href", "propstat", "prop", "status", "collection", "resourcetype", "multistatus")
)
_KEPT = {
    f"{DAV}{_SEPARATOR}getcontentlength": "size",
    f"{DAV}{_SEPARATOR}getlastmodified": "modified",
    f"{DAV}{_SEPARATOR}getetag": "etag",
    f"{DAV}{_SEPARATOR}iscollection": "iscollection",
    f"{DCACHE}{_SEPARATOR}Checksums": "checksums",
    f"{SRM}{_SEPARATOR}FileLocality": "locality",
}
_NOTHING: frozenset[str] = frozenset()
_INSIDE = {
    _MULTISTATUS: frozenset({_RESPONSE}),
    _RESPONSE: frozenset({_HREF, _PROPSTAT}),
    _PROPSTAT: frozenset({_STATUS, _PROP}),
    _PROP: frozenset({*_KEPT, _RESOURCETYPE}),
    _RESOURCETYPE: frozenset({_COLLECTION}),
}
"""What means something within what (RFC 4918): elsewhere the same name is another thing, as the href of a lock."""
_TEXTS = frozenset({*_KEPT, _HREF, _STATUS})


@dataclass(slots=True)
class Entry:
    """One `response` element.

    Attributes:
        href: As the server wrote it.
        is_dir: Whether `resourcetype` or `iscollection` say that it is a collection.
        properties: The text of the kept properties that the server has.
    """

    href: str = ""
    is_dir: bool = False
    properties: dict[str, str] = field(default_factory=dict)


class _Reader:
    """Collects entries from expat's events."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.is_multistatus = False
        self._entry = Entry()
        self._found: dict[str, str] = {}
        self._collection = False
        self._status = ""
        self._text: list[str] | None = None
        self._characters = 0
        self._fed_since_entry = 0
        self._open = [frozenset({_MULTISTATUS})]  # what may stand within each open element
        self._names: dict[str, str] = {}
        self._prefixes: set[str | None] = set()
        self.parser = expat.ParserCreate(namespace_separator=_SEPARATOR, intern=self._names)
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._take_text
        self.parser.StartNamespaceDeclHandler = self._take_prefix
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse

    def check_progress(self, fed: int) -> None:
        """Refuse an entry that goes on and on, in whatever way: attributes and empty elements are no text."""
        self._fed_since_entry = 0 if self.entries else self._fed_since_entry + fed
        if self._fed_since_entry > MAX_RESPONSE_BYTES:
            raise _HostileXml("one of its entries is endless")

    def _refuse(self, *_: object) -> None:
        raise _HostileXml("it declares a document type or entities")

    def _take_prefix(self, prefix: str | None, _: object) -> None:
        self._prefixes.add(prefix)
        if len(self._prefixes) > MAX_NAMES:
            raise _HostileXml("its elements have ever new prefixes")

    def _start(self, name: str, _: object) -> None:
        if len(self._open) > MAX_DEPTH:
            raise _HostileXml("its elements are within each other without end")
        if len(self._names) > MAX_NAMES:
            raise _HostileXml("its elements have ever new names")
        if name not in self._open[-1]:
            self._open.append(_NOTHING)
            return
        self._open.append(_INSIDE.get(name, _NOTHING))
        if name in _TEXTS:
            self._text = []
        elif name == _PROPSTAT:
            self._found, self._collection, self._status = {}, False, ""
        elif name == _COLLECTION:
            self._collection = True
        elif name == _RESPONSE:
            self._entry, self._characters = Entry(), 0
        elif name == _MULTISTATUS:
            self.is_multistatus = True

    def _end(self, name: str) -> None:
        self._open.pop()
        if name not in self._open[-1]:
            return
        entry = self._entry
        if name in _TEXTS:
            text, self._text = "".join(self._text or ()), None
            if name in _KEPT:
                self._found[_KEPT[name]] = text.strip()
            elif name == _STATUS:
                self._status = text
            else:
                entry.href = entry.href or text
        elif name == _PROPSTAT and self._status.split()[1:2] == ["200"]:
            entry.properties |= self._found
            entry.is_dir = entry.is_dir or self._collection or self._found.get("iscollection") == "1"
        elif name == _RESPONSE:
            self.entries.append(entry)

    def _take_text(self, data: str) -> None:
        self._characters += len(data)
        if self._characters > MAX_RESPONSE_CHARACTERS:
            raise _HostileXml("one of its entries is endless")
        if self._text is not None:
            self._text.append(data)


class _HostileXml(Exception):
    """The answer is not what any WebDAV server sends."""


def parse(chunks: Iterable[bytes], *, path: str) -> Iterator[Entry]:
    """Give the entries of a multistatus answer as its bytes arrive.

    Raises:
        TransientError: When the answer breaks off.
        StorageError: When it is no multistatus answer, or a hostile one.
    """
    reader = _Reader()
    final = False
    source = iter(chunks)
    while not final:
        chunk = next(source, None)
        final = chunk is None
        try:
            reader.parser.Parse(chunk or b"", final)
            reader.check_progress(len(chunk or b""))
        except _HostileXml as error:
            yield from reader.entries
            raise StorageError(
                f"the listing of {path} is refused: {error}", path=path, remedy="tell the server's operators"
            ) from error
        except (expat.ExpatError, ValueError, LookupError) as error:
            yield from reader.entries
            if reader.is_multistatus:
                raise TransientError(
                    f"the listing of {path} broke off ({error})", path=path, remedy="try again later"
                ) from error
            raise _no_multistatus(path) from error
        yield from reader.entries
        reader.entries.clear()
    if not reader.is_multistatus:
        raise _no_multistatus(path)


def _no_multistatus(path: str) -> StorageError:
    return StorageError(
        f"the answer for {path} is not a WebDAV listing",
        path=path,
        remedy=f"check that {ADDRESS} is that of a WebDAV door",
    )

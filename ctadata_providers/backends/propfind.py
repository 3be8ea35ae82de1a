"""PROPFIND: what is asked for, and its answer read as it arrives (RFC 4918)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from ctadata_providers.errors import StorageError, TransientError

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
SLICE = 64 * 1024
MAX_RESPONSE_BYTES = 1024 * 1024
_SEPARATOR = "}"
_RESPONSE, _HREF, _PROPSTAT, _STATUS, _COLLECTION, _RESOURCETYPE, _MULTISTATUS = (
    f"{DAV}{_SEPARATOR}{name}"
    for name in ("response", "href", "propstat", "status", "collection", "resourcetype", "multistatus")
)
_KEPT = {
    f"{DAV}{_SEPARATOR}getcontentlength": "size",
    f"{DAV}{_SEPARATOR}getlastmodified": "modified",
    f"{DAV}{_SEPARATOR}getetag": "etag",
    f"{DAV}{_SEPARATOR}iscollection": "iscollection",
    f"{DCACHE}{_SEPARATOR}Checksums": "checksums",
    f"{SRM}{_SEPARATOR}FileLocality": "locality",
}


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
        self._entry: Entry | None = None
        self._found: dict[str, str] = {}
        self._collection = False
        self._in_resourcetype = False
        self._status = ""
        self._text: list[str] | None = None
        self._characters = 0
        self._fed_since_entry = 0
        self.parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._take_text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse

    def check_progress(self, fed: int) -> None:
        """Refuse an entry that goes on and on, in whatever way: attributes and empty elements are no text."""
        self._fed_since_entry = 0 if self.entries else self._fed_since_entry + fed
        if self._fed_since_entry > MAX_RESPONSE_BYTES:
            raise _HostileXml("one of its entries is endless")

    def _refuse(self, *_: object) -> None:
        raise _HostileXml("it declares a document type or entities")

    def _start(self, name: str, _: object) -> None:
        if name == _RESPONSE:
            self._entry, self._characters = Entry(), 0
        elif name == _PROPSTAT:
            self._found, self._collection, self._status = {}, False, ""
        elif name == _COLLECTION:
            self._collection = self._collection or self._in_resourcetype
        elif name == _RESOURCETYPE:
            self._in_resourcetype = True
        elif name == _MULTISTATUS:
            self.is_multistatus = True
        elif name in _KEPT or name in (_HREF, _STATUS):
            self._text = []

    def _end(self, name: str) -> None:
        text, self._text = self._text, None
        if name in _KEPT:
            self._found[_KEPT[name]] = "".join(text or ()).strip()
        elif name == _HREF and self._entry is not None:
            self._entry.href = self._entry.href or "".join(text or ())
        elif name == _STATUS:
            self._status = "".join(text or ())
        elif name == _RESOURCETYPE:
            self._in_resourcetype = False
        elif name == _PROPSTAT and self._entry is not None and " 200" in self._status:
            self._entry.properties |= self._found
            self._entry.is_dir = self._entry.is_dir or self._collection or self._found.get("iscollection") == "1"
        elif name == _RESPONSE and self._entry is not None:
            self.entries.append(self._entry)
            self._entry = None

    def _take_text(self, data: str) -> None:
        self._characters += len(data)
        if self._characters > MAX_RESPONSE_CHARACTERS:
            raise _HostileXml("one of its entries is endless")
        if self._text is not None:
            self._text.append(data)


class _HostileXml(Exception):
    """The answer is not what any WebDAV server sends."""


def slices(body: bytes) -> Iterator[bytes]:
    """Give a body in pieces, so that an endless entry is found early."""
    return (body[start : start + SLICE] for start in range(0, len(body), SLICE))


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
        f"the answer for {path} is not a WebDAV listing", path=path, remedy="check that door_url is a WebDAV door"
    )

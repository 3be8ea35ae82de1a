"""PROPFIND: what is asked for, and its answer read as it arrives (RFC 4918)."""

from collections.abc import Iterable, Iterator
from xml.parsers import expat

from ctadata_providers.backends.shapes import Entry, Place, Shapes
from ctadata_providers.errors import StorageError, TransientError
from ctadata_providers.session.status import ADDRESS

DAV = "DAV:"
DCACHE = "http://www.dcache.org/2013/webdav"
SRM = "http://srm.lbl.gov/StorageResourceManager"

_LISTED = "<resourcetype/><iscollection/><getcontentlength/><getlastmodified/><getetag/><d:Checksums/><s:FileLocality/>"


def _body(properties: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<propfind xmlns="{DAV}" xmlns:d="{DCACHE}" xmlns:s="{SRM}"><prop>{properties}</prop></propfind>'
    ).encode()


BODY = _body(_LISTED)
"""The properties of what is in a folder by name: dCache tells checksums only so, and finds all properties expensive."""
BODY_OF_ONE = _body(_LISTED + "<creationdate/>")
"""Those of one file or folder."""

MAX_RESPONSE_CHARACTERS = 256 * 1024
MAX_RESPONSE_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NAMES = 1000
"""Most names and prefixes that the elements of an answer may have: servers use some dozen, and expat keeps each."""
MAX_HELD_BYTES = 64 * 1024
"""Bytes that wait for the end of their entry; from here on they are parsed without it."""
_PLAIN = frozenset({"utf-8", "us-ascii", "iso-8859-1"})
"""Encodings in which ASCII is ASCII."""
_SEPARATOR = "}"
_RESPONSE, _HREF, _PROPSTAT, _PROP, _STATUS, _COLLECTION, _RESOURCETYPE, _MULTISTATUS = (
    f"{DAV}{_SEPARATOR}{name}"
    for name in ("response", "href", "propstat", "prop", "status", "collection", "resourcetype", "multistatus")
)
_KEPT = {
    f"{DAV}{_SEPARATOR}getcontentlength": "size",
    f"{DAV}{_SEPARATOR}getlastmodified": "modified",
    f"{DAV}{_SEPARATOR}creationdate": "created",
    f"{DAV}{_SEPARATOR}getetag": "etag",
    f"{DAV}{_SEPARATOR}iscollection": "iscollection",
    f"{DCACHE}{_SEPARATOR}Checksums": "checksums",
    f"{SRM}{_SEPARATOR}FileLocality": "locality",
}
_NOTHING: frozenset[str] = frozenset()
_INSIDE = {
    _MULTISTATUS: frozenset({_RESPONSE}),
    _RESPONSE: frozenset({_HREF, _STATUS, _PROPSTAT}),
    _PROPSTAT: frozenset({_STATUS, _PROP}),
    _PROP: frozenset({*_KEPT, _RESOURCETYPE}),
    _RESOURCETYPE: frozenset({_COLLECTION}),
}
"""What means something within what (RFC 4918): elsewhere the same name is another thing, as the href of a lock."""
_GONE = (["404"], ["410"])
_TEXTS = frozenset({*_KEPT, _HREF, _STATUS})


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
        self._shapes = Shapes()
        self._end_tag: bytes | None = None
        """How the server ends an entry, as soon as one has been seen."""
        self._held = b""
        """The beginning of an entry whose end has not come."""
        self._piece = b""
        self._parsed = 0
        """Bytes that were given to expat before this piece."""
        self._entry_at = self._text_at = 0
        self._between = 0
        """Where expat is behind an entry when it has come so far, and has seen nothing else."""
        self._places: list[Place] = []
        self._found_places: list[Place] = []
        self.parser = expat.ParserCreate(namespace_separator=_SEPARATOR, intern=self._names)
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._take_text
        self.parser.StartNamespaceDeclHandler = self._take_prefix
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.XmlDeclHandler = self._take_declaration

    def feed(self, data: bytes) -> None:
        """Read the next bytes: what is written like an entry before is not parsed (see `shapes`)."""
        data, self._held = self._held + data, b""
        text, at = "", 0
        while at < len(data):
            if self._between == self._parsed:
                text = text or data.decode("latin-1")
                at = self._shapes.take(text, at, self.entries)
            stop = len(data)
            if self._end_tag is not None:
                end = data.find(self._end_tag, at)
                if end < 0 and len(data) - at < MAX_HELD_BYTES:
                    self._held = data[at:]
                    return
                stop = len(data) if end < 0 else end + len(self._end_tag)
            self._parse(data[at:stop])
            at = stop

    def finish(self) -> None:
        """Read what is left."""
        self._parse(self._held, final=True)

    def _parse(self, piece: bytes, *, final: bool = False) -> None:
        self._piece = piece
        self.parser.Parse(piece, final)
        self._parsed += len(piece)

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

    def _take_declaration(self, _: str, encoding: str | None, __: int) -> None:
        if encoding is not None and encoding.lower() not in _PLAIN:
            self._shapes.close()

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
            self._text, self._text_at = [], self.parser.CurrentByteIndex
        elif name == _PROPSTAT:
            self._found, self._collection, self._status, self._found_places = {}, False, "", []
        elif name == _COLLECTION:
            self._collection = True
        elif name == _RESPONSE:
            self._entry, self._characters, self._places = Entry(), 0, []
            self._entry_at = self.parser.CurrentByteIndex
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
                if _KEPT[name] != "iscollection":  # which is part of the shape
                    self._found_places += self._place(_KEPT[name])
            elif name == _STATUS and _PROP in self._open[-1]:
                self._status = text
            elif name == _STATUS:
                entry.gone = entry.gone or text.split()[1:2] in _GONE
            elif not entry.href:
                entry.href = text
                self._places += self._place("href")
        elif name == _PROPSTAT and self._status.split()[1:2] == ["200"]:
            entry.properties |= self._found
            self._places += self._found_places
            entry.is_dir = entry.is_dir or self._collection or self._found.get("iscollection") == "1"
        elif name == _RESPONSE:
            self.entries.append(entry)
            self._learn(entry)

    def _place(self, name: str) -> list[Place]:
        """Return where in its entry the text stands that ends here, if it is in this piece and not an empty element."""
        tag_end = self._piece.find(b">", max(self._text_at - self._parsed, 0))
        if self._piece[tag_end - 1 : tag_end] == b"/":
            return []
        start, end = tag_end + 1 + self._parsed, self.parser.CurrentByteIndex
        return [Place(name, start - self._entry_at, end - self._entry_at)]

    def _learn(self, entry: Entry) -> None:
        """Take note of how an entry is written, if all of it is in this piece."""
        begin, end = self._entry_at - self._parsed, self.parser.CurrentByteIndex - self._parsed
        stop = self._piece.find(b">", end) + 1
        if begin >= 0 and stop and self._piece.startswith(b"</", end):
            self._end_tag, self._between = self._piece[end:stop], self._parsed + stop
            self._shapes.learn(self._piece[begin:stop], entry, self._places)

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
            if chunk is None:
                reader.finish()
            else:
                reader.feed(chunk)
                reader.check_progress(len(chunk))
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

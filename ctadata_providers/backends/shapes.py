"""Entries of a listing that are written like one before, but for their texts: found by a pattern, and not parsed.

A server writes the entries of a listing alike, and an XML parser takes ten times as long for one as a pattern does. So
the first of each shape is parsed, and what is literally the same, with other texts at the same places, is not. Such a
text is plain ASCII without markup: it means itself in every encoding that can be met here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_SHAPES = 8
"""Shapes that are tried: files and folders, with this property or without."""
MAX_BYTES = 16 * 1024
"""Bytes of an entry of which a shape is learnt; a pattern takes time to make."""
_TEXT = re.compile(rb"[\t\n !-%'-;=?-~]*")
"""What may stand in place of a text: no markup, and nothing that XML would change or refuse."""
_HOLE = f"({_TEXT.pattern.decode()})"


@dataclass(slots=True)
class Entry:
    """One `response` element.

    Attributes:
        href: As the server wrote it.
        is_dir: Whether `resourcetype` or `iscollection` say that it is a collection.
        properties: The text of the kept properties that the server has.
        gone: Whether the server says of it as a whole that it is not there (RFC 4918, section 13).
    """

    href: str = ""
    is_dir: bool = False
    properties: dict[str, str] = field(default_factory=dict)
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where in an entry a text stands.

    Attributes:
        name: Of the property, or `href`.
        start: Its first byte.
        end: The byte behind its last one.
    """

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Shape:
    """How some entries are written.

    Attributes:
        pattern: What they are like.
        names: What its groups are, `href` first.
        entry: The one of which it was learnt, for what is the same in all.
    """

    pattern: re.Pattern[str]
    names: tuple[str, ...]
    entry: Entry

    def fits(self, raw: bytes) -> bool:
        """Tell whether an entry is written so."""
        return self.pattern.fullmatch(raw.decode("latin-1")) is not None


class Shapes:
    """The shapes of a listing that have been met."""

    def __init__(self) -> None:
        self._shapes: list[_Shape] = []
        self._most = MAX_SHAPES

    def close(self) -> None:
        """Learn no more."""
        self._most = 0

    def learn(self, raw: bytes, entry: Entry, places: Sequence[Place]) -> None:
        """Take note of how an entry is written.

        Args:
            raw: All of the element.
            entry: What it means.
            places: Where in it the texts stand, in their order; what is not among them is the same in all.
        """
        if len(self._shapes) >= self._most or len(raw) > MAX_BYTES or any(shape.fits(raw) for shape in self._shapes):
            return
        names = tuple(place.name for place in places)
        told = {"href": entry.href, **entry.properties}
        written = {place.name: raw[place.start : place.end] for place in places}
        alike = all(
            _TEXT.fullmatch(text) and text.decode().strip() == told[name].strip() for name, text in written.items()
        )
        if names[:1] != ("href",) or len(written) < len(names) or not alike:
            return
        pattern, at = "[ \t\r\n]*", 0
        for place in places:
            pattern += re.escape(raw[at : place.start].decode("latin-1")) + _HOLE
            at = place.end
        pattern += re.escape(raw[at:].decode("latin-1"))
        self._shapes.append(_Shape(re.compile(pattern), names[1:], entry))

    def take(self, text: str, at: int, entries: list[Entry]) -> int:
        """Read the entries that stand one behind the other in a text, and return where there is none of a known shape.

        Args:
            text: The bytes as Latin-1.
            at: Where the first one begins.
            entries: Where they go.
        """
        while True:
            for shape in self._shapes:
                found = shape.pattern.match(text, at)
                if found is not None:
                    href, *texts = found.groups()
                    properties = shape.entry.properties.copy()
                    for name, written in zip(shape.names, texts, strict=True):
                        properties[name] = written.strip()
                    entries.append(Entry(href, shape.entry.is_dir, properties, shape.entry.gone))
                    at = found.end()
                    break
            else:
                return at

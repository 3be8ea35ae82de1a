"""PROPFIND: what is asked, and the multistatus answer in Milton's manner (RFC 4918, 9.1)."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from ctadata_providers.testing.digests import all_digests
from ctadata_providers.testing.server import quote_path
from ctadata_providers.testing.storage import Entry

DAV = "DAV:"
SRM = "http://srm.lbl.gov/StorageResourceManager"
DCACHE = "http://www.dcache.org/2013/webdav"
CHECKSUMS = (DCACHE, "Checksums")
_PREFIXES = {DAV: "D", SRM: "ns1", DCACHE: "ns2"}

HEAD = (
    f'<?xml version="1.0" encoding="utf-8" ?>\n<D:multistatus xmlns:D="{DAV}" xmlns:ns1="{SRM}" xmlns:ns2="{DCACHE}">\n'
)
TAIL = "</D:multistatus>\n"

# XML 1.0, 2.2.
_NOT_IN_XML = dict.fromkeys([*range(9), 11, 12, *range(14, 32)], "\ufffd")

Name = tuple[str, str]
"""Namespace and local name of a property."""

Checksums = Callable[[Entry], Mapping[str, str]]
"""Gives the stored checksums of a file."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a PROPFIND asks for.

    Attributes:
        kind: All properties, their names only, or those named.
        names: The properties to answer.
    """

    kind: Literal["allprop", "propname", "prop"]
    names: tuple[Name, ...]

    @property
    def wants_checksums(self) -> bool:
        """Whether checksums are asked for by name."""
        return self.kind == "prop" and CHECKSUMS in self.names


class BadQuestionError(ValueError):
    """The body of a PROPFIND cannot be understood."""


def parse_question(body: bytes) -> Question:
    """Read the body of a PROPFIND; an empty one asks for everything (RFC 4918, 9.1).

    Raises:
        BadQuestionError: When it is no well-formed `propfind` element, or carries a DOCTYPE.
    """
    if not body.strip():
        return Question("allprop", _ALL_NAMES)
    opened: list[Name] = []
    found: list[tuple[Name, ...]] = []

    def start(name: str, _: object) -> None:
        space, _, local = name.rpartition("\n")
        opened.append((space, local))
        found.append(tuple(opened))

    def refuse(*_: object) -> None:
        raise BadQuestionError("a DOCTYPE is not allowed")

    parser = expat.ParserCreate(namespace_separator="\n")
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: opened.pop() and None
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise BadQuestionError(f"not well-formed: {error}") from error
    if found[0] != ((DAV, "propfind"),):
        raise BadQuestionError("not a propfind element")
    if any(path[1:] == ((DAV, "propname"),) for path in found):
        return Question("propname", _ALL_NAMES)
    named = tuple(dict.fromkeys(path[2] for path in found if len(path) == 3 and path[1] == (DAV, "prop")))
    if any(path[1:] == ((DAV, "prop"),) for path in found):
        return Question("prop", named)
    return Question("allprop", _ALL_NAMES)


def responses(question: Question, entries: Iterable[Entry], checksums: Checksums) -> Iterator[str]:
    """Yield the `response` element of each entry."""
    tags = {name: _tag(name) for name in question.names}
    for entry in entries:
        present, absent = [], []
        for name, (tag, declaration) in tags.items():
            value = _value(name, entry, checksums)
            if value is None:
                absent.append(f"<{tag}{declaration}/>")
            elif question.kind == "propname" or not value:
                present.append(f"<{tag}{declaration}/>")
            else:
                present.append(f"<{tag}{declaration}>{value}</{tag}>")
        href = quote_path(entry.path)
        if entry.is_dir and not href.endswith("/"):
            href += "/"
        parts = [f"<D:response><D:href>{href}</D:href>"]
        if present or not absent:
            parts.append(_propstat(present, "200 OK"))
        if absent and question.kind == "prop":
            parts.append(_propstat(absent, "404 Not Found"))
        yield "".join([*parts, "</D:response>\n"])


def http_date(mtime_ns: int) -> str:
    """Return a time as HTTP writes it (RFC 9110, 5.6.7)."""
    return _http_date(mtime_ns // 1_000_000_000)


# The entries of a folder often have the same second, and formatting is slow.
@functools.lru_cache(maxsize=1024)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def _iso_date(mtime_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(mtime_ns // 1_000_000_000))


def _text(name: str) -> str:
    """Return a file name as XML text; what XML cannot hold is replaced."""
    return escape(name.encode(errors="replace").decode().translate(_NOT_IN_XML))


def _locality(entry: Entry) -> str:
    """Return where a file is: an upload under way is nowhere yet."""
    return "ONLINE" if entry.size is not None else "NONE"


def _value(name: Name, entry: Entry, checksums: Checksums) -> str | None:
    """Return the XML of a property, None when the entry has none."""
    if name == CHECKSUMS:
        return None if entry.is_dir else all_digests(checksums(entry)) or None
    make = _OF_BOTH.get(name) or (None if entry.is_dir else _OF_FILES.get(name))
    return make(entry) if make else None


_OF_BOTH: dict[Name, Callable[[Entry], str | None]] = {
    (DAV, "creationdate"): lambda entry: _iso_date(entry.mtime_ns),
    (DAV, "displayname"): lambda entry: _text(entry.name),
    (DAV, "getetag"): lambda entry: entry.etag,
    (DAV, "getlastmodified"): lambda entry: http_date(entry.mtime_ns),
    (DAV, "resourcetype"): lambda entry: "<D:collection/>" if entry.is_dir else "",
}
_OF_FILES: dict[Name, Callable[[Entry], str | None]] = {
    (DAV, "getcontentlength"): lambda entry: None if entry.size is None else str(entry.size),
    (SRM, "AccessLatency"): lambda _: "ONLINE",
    (SRM, "RetentionPolicy"): lambda _: "REPLICA",
    (SRM, "FileLocality"): _locality,
}
# The checksums come only when asked for by name.
_ALL_NAMES = (*_OF_BOTH, *_OF_FILES)


def _tag(name: Name) -> tuple[str, str]:
    """Return the tag of a property and the namespace declaration that it needs."""
    space, local = name
    if prefix := _PREFIXES.get(space):
        return f"{prefix}:{local}", ""
    return (f"x:{local}", f" xmlns:x={quoteattr(space)}") if space else (local, "")


def _propstat(elements: list[str], status: str) -> str:
    return f"<D:propstat><D:prop>{''.join(elements)}</D:prop><D:status>HTTP/1.1 {status}</D:status></D:propstat>"

"""Multistatus answers in Milton's manner (RFC 4918, 9.1 and 9.2)."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from email.utils import formatdate
from xml.sax.saxutils import escape, quoteattr

from ctadata_providers.testing.digests import all_digests
from ctadata_providers.testing.entries import Entry
from ctadata_providers.testing.exchange import quote_path
from ctadata_providers.testing.facts import Facts
from ctadata_providers.testing.questions import DAV, Name, Question

SRM = "http://srm.lbl.gov/StorageResourceManager"
DCACHE = "http://www.dcache.org/2013/webdav"
XATTR = "http://www.dcache.org/2020/xattr"
_PREFIXES = {DAV: "D", SRM: "ns1", DCACHE: "ns2"}

HEAD = (
    f'<?xml version="1.0" encoding="utf-8" ?>\n<D:multistatus xmlns:D="{DAV}" xmlns:ns1="{SRM}" xmlns:ns2="{DCACHE}">\n'
)
TAIL = "</D:multistatus>\n"

_OK, _NOT_FOUND = "200 OK", "404 Not Found"
# XML 1.0, 2.2.
_NOT_IN_XML = dict.fromkeys([*range(9), 11, 12, *range(14, 32)], "\ufffd")

Property = Callable[[Entry, Facts], str | None]
"""Gives the XML of a property, None when the entry has none."""


def responses(question: Question, entries: Iterable[Entry], facts: Facts) -> Iterator[str]:
    """Yield the `response` element of each entry."""
    plan = [(_tags(name), _property(name)) for name in (question.names if question.kind == "prop" else _ALL_NAMES)]
    names_only = question.kind == "propname"
    for entry in entries:
        present, absent = [], []
        for (empty, begin, end), make in plan:
            value = make(entry, facts)
            if value is None:
                absent.append(empty)
            else:
                present.append(empty if names_only or not value else f"{begin}{value}{end}")
        if question.kind != "prop":
            absent = []
            present += [_xattr(name, "" if names_only else value) for name, value in facts.xattrs(entry).items()]
        yield _response(entry, {_OK: present, _NOT_FOUND: absent})


def changed(entry: Entry, statuses: Iterable[tuple[Name, str]]) -> str:
    """Return the answer to a PROPPATCH: each property with its status, like `200 OK`."""
    by_status: dict[str, list[str]] = {}
    for name, status in statuses:
        by_status.setdefault(status, []).append(_tags(name)[0])
    return HEAD + _response(entry, by_status) + TAIL


def lock_answer(token: str) -> str:
    """Return the answer to a LOCK: one that ends at once."""
    return (
        f'<?xml version="1.0" encoding="utf-8" ?>\n<D:prop xmlns:D="{DAV}"><D:lockdiscovery><D:activelock>'
        "<D:locktype><D:write/></D:locktype><D:lockscope><D:exclusive/></D:lockscope><D:depth>0</D:depth>"
        f"<D:timeout>Second-0</D:timeout><D:locktoken><D:href>{token}</D:href></D:locktoken>"
        "</D:activelock></D:lockdiscovery></D:prop>\n"
    )


def http_date(mtime_ns: int) -> str:
    """Return a time as HTTP writes it (RFC 9110, 5.6.7)."""
    return _http_date(mtime_ns // 1_000_000_000)


# The entries of a folder often have the same second, and formatting is slow.
@functools.lru_cache(maxsize=1024)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


@functools.lru_cache(maxsize=1024)
def _iso_date(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _text(text: str) -> str:
    """Return XML text; what XML cannot hold is replaced."""
    return escape(text.encode(errors="replace").decode().translate(_NOT_IN_XML))


def _size(entry: Entry, facts: Facts) -> str | None:
    size = facts.entry(entry).size
    return None if size is None else str(size)


def _checksums(entry: Entry, facts: Facts) -> str | None:
    return None if entry.is_dir else all_digests(facts.quick_checksums(entry)) or None


def _quota(index: int) -> Property:
    def make(entry: Entry, facts: Facts) -> str | None:
        quota = facts.quota() if entry.is_dir else None
        return None if quota is None else str(quota[index])

    return make


def _of_files(make: Property) -> Property:
    return lambda entry, facts: None if entry.is_dir else make(entry, facts)


_OF_ALL: dict[Name, Property] = {
    (DAV, "creationdate"): lambda entry, _: _iso_date(entry.mtime_ns // 1_000_000_000),
    (DAV, "displayname"): lambda entry, _: _text(entry.name),
    (DAV, "getetag"): lambda entry, _: entry.etag,
    (DAV, "getlastmodified"): lambda entry, _: http_date(entry.mtime_ns),
    (DAV, "resourcetype"): lambda entry, _: "<D:collection/>" if entry.is_dir else "",
    (DAV, "getcontentlength"): _size,
    (DAV, "getcontenttype"): lambda entry, facts: _text(facts.xattrs(entry).get("mime_type", "")) or None,
    (SRM, "AccessLatency"): _of_files(lambda entry, _: "ONLINE"),
    (SRM, "RetentionPolicy"): _of_files(lambda entry, _: "REPLICA"),
    (SRM, "FileLocality"): _of_files(lambda entry, facts: facts.locality(entry)),
}
_ALL_NAMES = tuple(_OF_ALL)
_BY_NAME_ONLY: dict[Name, Property] = {
    (DCACHE, "Checksums"): _checksums,
    # RFC 4331, and only where space is managed.
    (DAV, "quota-available-bytes"): _quota(0),
    (DAV, "quota-used-bytes"): _quota(1),
}


def _property(name: Name) -> Property:
    """Return what makes a property."""
    space, local = name
    if space == XATTR:
        return lambda entry, facts: None if local not in (held := facts.xattrs(entry)) else _text(held[local])
    return _OF_ALL.get(name) or _BY_NAME_ONLY.get(name) or (lambda entry, facts: None)


def _xattr(local: str, value: str) -> str:
    empty, begin, end = _tags((XATTR, local))
    return f"{begin}{_text(value)}{end}" if value else empty


def _tags(name: Name) -> tuple[str, str, str]:
    """Return the empty element of a property, its start tag and its end tag."""
    space, local = name
    if prefix := _PREFIXES.get(space):
        tag, declaration = f"{prefix}:{local}", ""
    else:
        tag, declaration = (f"x:{local}", f" xmlns:x={quoteattr(space)}") if space else (local, "")
    return f"<{tag}{declaration}/>", f"<{tag}{declaration}>", f"</{tag}>"


def _response(entry: Entry, by_status: dict[str, list[str]]) -> str:
    """Return a `response` element; without any property it has an empty propstat."""
    href = quote_path(entry.path)
    if entry.is_dir and not href.endswith("/"):
        href += "/"
    stated = {status: found for status, found in by_status.items() if found} or {_OK: []}
    return f"<D:response><D:href>{href}</D:href>{''.join(_propstat(*item) for item in stated.items())}</D:response>\n"


def _propstat(status: str, elements: list[str]) -> str:
    return f"<D:propstat><D:prop>{''.join(elements)}</D:prop><D:status>HTTP/1.1 {status}</D:status></D:propstat>"

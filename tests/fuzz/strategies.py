"""Values that reach deep: listings by their grammar, real answers with changes, names of every kind."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ctadata_providers.uri import segment_fault
from tests.fuzz.corpus import ANSWERS, HREFS, TOKENS

T = TypeVar("T", str, bytes)
ODD_NAMES = ("a b", "h#h", "p%41q", "%2e%2e", "q?x", "a+b", "[x]", "it's", "a&b;c=d", "ü", "日本", "...", "..a", " a ")
"""Literal names that have met a server's limits."""

letters = st.characters(exclude_categories=("Cs",))
names = st.one_of(
    st.sampled_from(ODD_NAMES),
    st.text("abc%25./ ?#&+[]~üß\u0301", min_size=1, max_size=8),
    st.text(letters, min_size=1, max_size=8),
).filter(lambda name: segment_fault(name) is None)
paths = st.lists(names, max_size=4).map(lambda inner: "/" + "/".join(inner))
odd_text = st.text(st.one_of(st.characters(), st.sampled_from("/\\%.:@?#&=<>\"'\r\n\t\0 ")), max_size=40)
header_text = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60)


def changed(texts: Sequence[str], alphabet: str = "/\\%.:@?#&=;,- \t0az\xff") -> SearchStrategy[str]:
    """Give known texts with pieces cut out, doubled, mixed or put in."""
    pieces = st.one_of(st.text(alphabet, max_size=4), st.sampled_from(list(texts)))
    return st.builds(
        _change, st.sampled_from(list(texts)), st.lists(st.tuples(_EVERYWHERE, _EVERYWHERE, pieces), max_size=3)
    )


_EVERYWHERE = st.integers(0, 1 << 16)


def _change(text: T, edits: list[tuple[int, int, T]]) -> T:
    """Put pieces in place of slices."""
    for first, length, piece in edits:
        at = first % (len(text) + 1)
        text = text[:at] + piece + text[at + length % 17 :]
    return text


bytes_pieces = st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4))
mutated_answers = st.builds(
    _change, st.sampled_from(ANSWERS), st.lists(st.tuples(_EVERYWHERE, _EVERYWHERE, bytes_pieces), max_size=4)
)

# A listing by its grammar, well-formed always.
_DAV, _DCACHE, _SRM = "DAV:", "http://www.dcache.org/2013/webdav", "http://srm.lbl.gov/StorageResourceManager"
_PREFIXES = {"d": _DAV, "D": _DAV, "c": _DCACHE, "s": _SRM, "x": "urn:x"}
_KNOWN = (
    *(
        "getcontentlength",
        "getlastmodified",
        "creationdate",
        "getetag",
        "iscollection",
        "resourcetype",
        "displayname",
        "href",
        "status",
    ),
    *("Checksums", "FileLocality", "collection", "prop", "propstat", "response", "multistatus"),
)
_LINES = ("HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 403", "HTTP/1.1 404 not 200", "200", "", "HTTP/2 200")
_VALUES = ("36", "-1", "1", "0", "", " 7 ", "adler32=d0d70d2d", "ONLINE", '"etag"', "Sun, 22 Nov 2026 08:02:06 GMT")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_xml_letters = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff\x85\u2028")
_words = st.one_of(st.sampled_from(_VALUES), st.text(_xml_letters, max_size=6))
_written = st.one_of(
    _words.map(_escaped),
    _words.map(lambda text: f"<![CDATA[{text.replace(']]>', '')}]]>"),
    _words.map(lambda text: "".join(f"&#{ord(c)};" for c in text)),
    st.just("<!-- c --><?p i?>"),
)
_prefix = st.sampled_from("dDcsx")


def element(prefix: str, name: str, inner: Sequence[str]) -> str:
    text = "".join(inner)
    return f"<{prefix}:{name}>{text}</{prefix}:{name}>" if text else f"<{prefix}:{name} a='&lt;'/>"


def _elements(
    prefixes: SearchStrategy[str], names_: Sequence[str], inner: SearchStrategy[list[str]]
) -> SearchStrategy[str]:
    return st.builds(element, prefixes, st.sampled_from(list(names_)), inner)


_dav = st.sampled_from("dD")
_noise = st.recursive(_written, lambda inner: _elements(_prefix, _KNOWN, st.lists(inner, max_size=3)), max_leaves=6)
_blank = st.sampled_from(["", "\n", " <!-- --> "])
_value = st.builds(lambda *p: "".join(p), _blank, _written, st.one_of(_blank, _noise))
_properties = st.one_of(
    _elements(_dav, _KNOWN[:5], st.lists(_value, max_size=1)),
    _elements(st.just("c"), ["Checksums"], st.lists(_value, max_size=1)),
    _elements(st.just("s"), ["FileLocality"], st.lists(_value, max_size=1)),
    st.just("<d:resourcetype><D:collection/></d:resourcetype>"),
    _noise,
)
_status = _elements(_dav, ["status"], st.lists(st.sampled_from(_LINES), min_size=1, max_size=1))
_prop = _elements(_dav, ["prop"], st.lists(_properties, max_size=4))
_propstat = st.builds(
    lambda parts, noise: element("d", "propstat", [*parts, noise]),
    st.one_of(st.tuples(_prop, _status), st.tuples(_status, _prop), st.tuples(_prop), st.tuples(_status)),
    st.one_of(_blank, _noise),
)
_href = st.builds(
    lambda path: element("d", "href", [_escaped(path)]),
    st.one_of(paths, st.sampled_from(HREFS), names.map("/lst/".__add__)),
)
_response = st.builds(
    lambda parts: element("D", "response", parts),
    st.lists(st.one_of(_href, _propstat, _propstat, _noise), max_size=5),
)
_declared = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in _PREFIXES.items())
_roots = st.sampled_from(["multistatus"] * 9 + ["response"])
_of_every_kind = st.builds(
    lambda root, parts, encoding: (
        f'<?xml version="1.0" encoding="{encoding}"?><d:{root} {_declared}>{"".join(parts)}</d:{root}>'.encode(encoding)
    ),
    _roots,
    st.lists(st.one_of(_response, _response, _response, _noise), max_size=4),
    st.sampled_from(["utf-8"] * 5 + ["utf-16"]),
)
# Entries that are written alike, as those of a server are; what stands for a text may be anything.
_OK, _NONE = (f"<d:status>HTTP/1.1 {line}</d:status>" for line in ("200 OK", "404 Not Found"))
_ALIKE = (
    "<d:response><d:href>{}</d:href><d:propstat><d:prop><d:getcontentlength>{}</d:getcontentlength><d:resourcetype/>"
    f"<d:getetag>{{}}</d:getetag></d:prop>{_OK}</d:propstat></d:response>",
    "<D:response xmlns:y='DAV:'>\n<D:href>{}</D:href><D:propstat><D:prop><y:iscollection>{}</y:iscollection>"
    f"<c:Checksums>{{}}</c:Checksums></D:prop>{_OK}</D:propstat></D:response>",
    "<d:response><d:href>{}</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype>"
    f"<d:getlastmodified>{{}}</d:getlastmodified></d:prop>{_OK}</d:propstat><d:propstat><d:prop><d:getetag/>"
    f"<d:getcontentlength>{{}}</d:getcontentlength></d:prop>{_NONE}</d:propstat></d:response>",
    "<d:response><d:href>{}</d:href><d:href>{}</d:href><d:propstat><d:prop><d:getetag>x</d:getetag></d:prop>"
    "<d:status>{}</d:status></d:propstat></d:response>",
    "<d:response><d:href>{}</d:href><d:propstat><d:prop><d:getetag/>{}<d:getcontentlength a='>'>{}</d:getcontentlength>"
    f"</d:prop>{_OK}</d:propstat></d:response>",
    "<d:response><d:href>{}</d:href><d:propstat><d:prop><d:getetag>{}</d:getetag><d:getetag >{}</d:getetag ></d:prop>"
    f"{_OK}</d:propstat></d:response>",
)
_texts = st.one_of(_words.map(_escaped), _words.map(_escaped), st.sampled_from(HREFS).map(_escaped), _written)
_alike = st.builds(
    lambda shapes, texts, between: "".join(
        shapes[number % len(shapes)].format(*three) + between for number, three in enumerate(texts)
    ),
    st.lists(st.sampled_from(_ALIKE), min_size=1, max_size=2),
    st.lists(st.tuples(_texts, _texts, _texts), min_size=2, max_size=8),
    _blank,
)
_declarations = st.sampled_from(["", "<?xml version='1.0' encoding='utf-8'?>", "<?xml version='1.0'?>"])
listings_alike = st.builds(
    lambda declaration, inner: f"{declaration}<d:multistatus {_declared}>{inner}</d:multistatus>".encode(),
    _declarations,
    st.lists(_alike, min_size=1, max_size=2).map("".join),
)
listings = st.one_of(_of_every_kind, listings_alike)
"""Well-formed listings, with everything that must be left aside in all places where it may stand."""
mutated_alike = st.builds(
    _change, listings_alike, st.lists(st.tuples(_EVERYWHERE, _EVERYWHERE, bytes_pieces), min_size=1, max_size=3)
)

answers = st.one_of(listings, mutated_answers, mutated_alike, st.binary(max_size=60))
cuts = st.lists(st.integers(0, 4000), max_size=6)


def pieces(body: bytes, at: Sequence[int]) -> list[bytes]:
    """Cut a body into pieces at some places."""
    places = [0, *sorted(place % (len(body) + 1) for place in at), len(body)]
    return [body[first:last] for first, last in pairwise(places)]

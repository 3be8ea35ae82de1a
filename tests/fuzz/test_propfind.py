"""PROPFIND answers: entries or our error, whatever arrives and however it is cut."""

from collections.abc import Iterable
from xml.etree import ElementTree

from hypothesis import strategies as st

from ctadata_providers.backends.entries import Place, entry_name, file_info
from ctadata_providers.backends.propfind import Entry, parse
from ctadata_providers.errors import StorageError, TransientError
from ctadata_providers.uri import format_uri, join, segment_fault
from ctadata_providers.uri import parse as parse_uri
from tests.fuzz.corpus import HREFS
from tests.fuzz.engine import either, holds
from tests.fuzz.strategies import answers, changed, cuts, listings, names, odd_text, paths, pieces

D, C, S = "{DAV:}", "{http://www.dcache.org/2013/webdav}", "{http://srm.lbl.gov/StorageResourceManager}"
KEPT = {
    f"{D}getcontentlength": "size",
    f"{D}getlastmodified": "modified",
    f"{D}creationdate": "created",
    f"{D}getetag": "etag",
    f"{D}iscollection": "iscollection",
    f"{C}Checksums": "checksums",
    f"{S}FileLocality": "locality",
}
PLACES = [
    Place("https://door.example:2880", base, literal_hrefs=literal) for base in ("/", "/base") for literal in (0, 1)
]


def outcome(chunks: Iterable[bytes]) -> tuple[list[Entry], str]:
    """Return the entries of an answer up to its end or first error, and the kind of that."""
    found: list[Entry] = []
    error = either(lambda: found.extend(parse(chunks, path="/lst")), StorageError)
    if error is None:
        return found, ""

    assert "/lst" in str(error)
    return found, type(error).__name__


def reference(body: bytes) -> list[Entry] | None:
    """Return the entries as another parser sees them, None when it is no listing."""
    root = ElementTree.fromstring(body)
    if root.tag != f"{D}multistatus":
        return None
    return [_entry(response) for response in root.findall(f"{D}response")]


def _entry(response: ElementTree.Element) -> Entry:
    hrefs = ("".join(href.itertext()) for href in response.findall(f"{D}href"))
    entry = Entry(href=next((href for href in hrefs if href), ""))
    own = ["".join(status.itertext()).split()[1:2] for status in response.findall(f"{D}status")]
    entry.gone = ["404"] in own or ["410"] in own
    for propstat in response.findall(f"{D}propstat"):
        lines = ["".join(status.itertext()) for status in propstat.findall(f"{D}status")]
        if not lines or lines[-1].split()[1:2] != ["200"]:
            continue
        properties = propstat.findall(f"{D}prop/*")
        told = {KEPT[one.tag]: "".join(one.itertext()).strip() for one in properties if one.tag in KEPT}
        entry.properties |= told
        collections = propstat.findall(f"{D}prop/{D}resourcetype/{D}collection")
        entry.is_dir = entry.is_dir or bool(collections) or told.get("iscollection") == "1"
    return entry


@holds(body=answers, at=cuts)
def test_it_does_not_matter_where_the_bytes_are_cut(body: bytes, at: list[int]) -> None:
    whole = outcome([body])

    assert outcome(pieces(body, at)) == whole
    assert outcome([body[place : place + 1] for place in range(len(body))]) == whole


@holds(body=listings)
def test_a_listing_is_what_another_parser_reads(body: bytes) -> None:
    found, error = outcome([body])
    expected = reference(body)

    assert found == (expected or [])
    assert error == ("" if expected is not None else "StorageError")


@holds(body=answers, at=st.integers(0, 4000))
def test_half_an_answer_is_never_taken_for_all(body: bytes, at: int) -> None:
    whole, _ = outcome([body])
    cut = body[: at % len(body)] if body else b""
    found, broken = outcome([cut])

    assert found == whole[: len(found)]
    assert broken or reference(cut) is not None  # the rest was behind the end


@holds(body=answers)
def test_every_entry_is_a_name_in_the_folder_or_refused(body: bytes) -> None:
    for entry in outcome([body])[0]:
        for place in PLACES:
            check_name(entry.href, place)
        info = file_info(entry, "/lst/x")

        assert info.size is None or 0 <= info.size < 10**19
        assert info.mtime is None or isinstance(info.mtime, float)


@holds(href=st.one_of(odd_text, changed(HREFS)), place=st.sampled_from(PLACES))
def test_no_href_leads_out_of_the_folder(href: str, place: Place) -> None:
    check_name(href, place)


def check_name(href: str, place: Place) -> None:
    name = either(lambda: entry_name(href, "/lst", place), StorageError)

    if isinstance(name, StorageError):
        assert not isinstance(name, TransientError)
        assert str(name).isprintable()
    elif name is not None:
        assert segment_fault(name) is None
        assert parse_uri(format_uri(join("/lst", name))).path == f"/lst/{name}"


@holds(folder=paths, name=names, place=st.sampled_from(PLACES), slash=st.booleans(), whole=st.booleans())
def test_every_name_that_a_server_may_list_is_found(
    folder: str, name: str, place: Place, slash: bool, whole: bool
) -> None:
    from urllib.parse import quote

    inside = (place.base_path.rstrip("/") + folder).rstrip("/")
    literal = f"{inside}/{name}{'/' if slash else ''}"
    href = (place.door_url if whole else "") + (literal if place.literal_hrefs else quote(literal))

    assert entry_name(href, folder, place) == name
    assert entry_name(href.removesuffix(quote(name) + "/"), folder, place) is None or not slash or place.literal_hrefs

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctadata_providers.backends.propfind import BODY, MAX_RESPONSE_CHARACTERS, Entry, _Reader, parse
from ctadata_providers.errors import StorageError, TransientError

# As the servers write them (shapes observed; names shortened).
DCACHE = """<?xml version="1.0" encoding="utf-8" ?>
<d:multistatus xmlns:cal="urn:ietf:params:xml:ns:caldav" xmlns:s="http://srm.lbl.gov/StorageResourceManager"
 xmlns:d="DAV:" xmlns:dc="http://www.dcache.org/2013/webdav">
<d:response><d:href>/lst/</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype>
<d:getlastmodified>Sun, 22 Nov 2026 08:02:06 GMT</d:getlastmodified></d:prop><d:status>HTTP/1.1 200 OK</d:status>
</d:propstat><d:propstat><d:prop><d:getcontentlength/><dc:Checksums/></d:prop><d:status>HTTP/1.1 404 Not Found
</d:status></d:propstat></d:response>
<d:response><d:href>/lst/%C3%BC%20%23.fits</d:href><d:propstat><d:prop><d:resourcetype/>
<d:getcontentlength>36</d:getcontentlength><d:getetag>"0000AB_12"</d:getetag>
<dc:Checksums>md5=6bFxPbYg8eOhS2gS3lI/Sw==,adler32=d0d70d2d</dc:Checksums><s:FileLocality>NEARLINE</s:FileLocality>
</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>
"""
XROOTD = """<?xml version="1.0" encoding="utf-8"?>
<D:multistatus xmlns:D="DAV:" xmlns:ns1="http://apache.org/dav/props/" xmlns:ns0="DAV:">
<D:response xmlns:lp1="DAV:" xmlns:lp2="http://apache.org/dav/props/" xmlns:lp3="LCGDM:">
<D:href>/p%41q a&amp;b</D:href><D:propstat><D:prop><lp1:getcontentlength>7</lp1:getcontentlength>
<lp1:getlastmodified>Sun, 22 Nov 2026 08:02:06 GMT</lp1:getlastmodified><lp1:iscollection>0</lp1:iscollection>
<lp1:executable>F</lp1:executable></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
<D:response xmlns:lp1="DAV:"><D:href>/sub</D:href><D:propstat><D:prop>
<lp1:getcontentlength>4096</lp1:getcontentlength><lp1:iscollection>1</lp1:iscollection></D:prop>
<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"""
APACHE = """<?xml version="1.0" encoding="utf-8"?>
<D:multistatus xmlns:D="DAV:" xmlns:ns0="DAV:"><D:response xmlns:lp1="DAV:"><D:href>/%5bx%5d/</D:href><D:propstat>
<D:prop><lp1:resourcetype><D:collection/></lp1:resourcetype><lp1:getetag>"1000-66"</lp1:getetag></D:prop>
<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"""
EMPTY = '<a:multistatus xmlns:a="DAV:"/>'


def entries(text: str | bytes, size: int = 1 << 20) -> list[Entry]:
    """Return what a body says, read in pieces of some size."""
    data = text.encode() if isinstance(text, str) else text
    return list(parse((data[i : i + size] for i in range(0, len(data), size)), path="/lst"))


def test_a_dcache_answer_is_read() -> None:
    folder, file = entries(DCACHE)

    assert (folder.href, folder.is_dir) == ("/lst/", True)
    assert folder.properties == {"modified": "Sun, 22 Nov 2026 08:02:06 GMT"}
    assert (file.href, file.is_dir) == ("/lst/%C3%BC%20%23.fits", False)
    assert file.properties == {
        "size": "36",
        "etag": '"0000AB_12"',
        "checksums": "md5=6bFxPbYg8eOhS2gS3lI/Sw==,adler32=d0d70d2d",
        "locality": "NEARLINE",
    }


def test_entries_that_are_written_alike_are_parsed_once() -> None:
    one = DCACHE[DCACHE.index("<d:response><d:href>/lst/%C3") : DCACHE.index("</d:multistatus>")]
    head = DCACHE[: DCACHE.index("<d:response>")]
    names = [f"run%20{number}.fits" for number in range(1000)]
    body = head + "".join(one.replace("%C3%BC%20%23.fits", name) for name in names) + "</d:multistatus>"
    reader = _Reader()
    for at in range(0, len(body), 4096):
        reader.feed(body[at : at + 4096].encode())
    reader.finish()

    assert [entry.href for entry in reader.entries] == [f"/lst/{name}" for name in names]
    assert {entry.properties["checksums"] for entry in reader.entries} == {
        "md5=6bFxPbYg8eOhS2gS3lI/Sw==,adler32=d0d70d2d"
    }
    assert reader.parser.CurrentByteIndex < len(body) / 20


@pytest.mark.parametrize(
    "other",
    [
        "<d:x>&lt;</d:x>",
        "<!-- <d:response><d:href>/lst/commented-out</d:href></d:response> -->",
        "<d:response><d:href>/lst/&amp;</d:href></d:response>",
        "<d:response><d:href>/lst/<![CDATA[&]]></d:href></d:response>",
        "<d:response><D:href xmlns:D='DAV:'>/lst/x</D:href></d:response>",
        "<d:response><d:href>/lst/\u00fc</d:href></d:response>",
        "<d:response/>",
    ],
)
def test_what_is_written_otherwise_among_them_is_parsed(other: str) -> None:
    alike = "".join(f"<d:response><d:href>/lst/{number:03}</d:href></d:response>\n" for number in range(100))
    body = f'<d:multistatus xmlns:d="DAV:">{alike}{other}{alike}</d:multistatus>'

    assert entries(body, 500) == entries(body)


def test_a_text_beside_an_empty_property_is_not_its_text() -> None:
    texts = ["", "", "", "beside", ""]
    inner = "".join(
        f"<d:response><d:href>/lst/x</d:href><d:propstat><d:prop><d:getetag/>{text}</d:prop>"
        "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        for text in texts
    )

    assert {
        entry.properties["etag"] for entry in entries(f'<d:multistatus xmlns:d="DAV:">{inner}</d:multistatus>', 250)
    } == {""}


def test_an_xrootd_answer_is_read() -> None:
    file, folder = entries(XROOTD)

    assert (file.href, file.is_dir, file.properties["size"]) == ("/p%41q a&b", False, "7")
    assert (folder.href, folder.is_dir) == ("/sub", True)


def test_an_apache_answer_is_read() -> None:
    (folder,) = entries(APACHE)

    assert (folder.href, folder.is_dir, folder.properties["etag"]) == ("/%5bx%5d/", True, '"1000-66"')


def test_a_folder_may_be_empty() -> None:
    assert entries(EMPTY) == []


@pytest.mark.parametrize("text", [DCACHE, XROOTD, APACHE])
@given(size=st.integers(1, 200))
def test_it_does_not_matter_how_the_bytes_arrive(text: str, size: int) -> None:
    assert entries(text, size) == entries(text)


def test_entries_are_given_as_they_arrive() -> None:
    asked: list[int] = []

    def chunks() -> Iterator[bytes]:
        head, *rest = XROOTD.replace("</D:response>", "</D:response>|").encode().split(b"|")
        for number, chunk in enumerate([head, b"\n" * 70_000, *rest]):
            asked.append(number)
            yield chunk

    first = next(parse(chunks(), path="/lst"))

    assert first.href == "/p%41q a&b"
    assert len(asked) <= 2


@pytest.mark.parametrize("text", [DCACHE, XROOTD])
@given(st.data())
def test_an_answer_that_breaks_off_is_never_taken_for_all(text: str, data: st.DataObject) -> None:
    whole = text.strip().encode()
    cut = data.draw(st.integers(0, len(whole) - 1))
    found: list[Entry] = []
    with pytest.raises(StorageError) as caught:
        found.extend(parse([whole[:cut]], path="/lst"))

    assert found == entries(text)[: len(found)]
    assert isinstance(caught.value, TransientError) == (cut > whole.index(b">", whole.index(b"multistatus")))


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE d [<!ENTITY a "b">]><d:multistatus xmlns:d="DAV:"/>',
        '<!DOCTYPE d SYSTEM "http://evil.example/x"><d:multistatus xmlns:d="DAV:"/>',
        "<!DOCTYPE html><html><body>Hello</body></html>",
    ],
)
def test_a_document_type_is_refused(text: str) -> None:
    with pytest.raises(StorageError, match="/lst is refused") as caught:
        entries(text)

    assert not isinstance(caught.value, TransientError)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html><body>Hello</body></html>",
        "404",
        "<a:multistatus xmlns:a='urn:x'/>",
        "{}",
        "\0",
        '<?xml version="1.0" encoding="utf-7"?><d:multistatus xmlns:d="DAV:"/>',
    ],
)
def test_what_is_no_listing_is_told_as_such(body: str) -> None:
    with pytest.raises(StorageError, match=r"not a WebDAV listing; check that .*door_url") as caught:
        entries(body)

    assert not isinstance(caught.value, TransientError)


@pytest.mark.parametrize(
    "endless",
    [
        "<d:href>" + "x" * (2 * MAX_RESPONSE_CHARACTERS),
        "<d:href>" + "&lt;" * (2 * MAX_RESPONSE_CHARACTERS),
        "<d:x>y</d:x>" * (MAX_RESPONSE_CHARACTERS + 1),
        '<d:x a="' + "y" * (8 * MAX_RESPONSE_CHARACTERS) + '"/>',
        "<d:x/>" * (2 * MAX_RESPONSE_CHARACTERS),
    ],
    ids=["text", "escapes", "texts", "attribute", "elements"],
)
def test_an_endless_entry_is_refused(endless: str) -> None:
    with pytest.raises(StorageError, match="endless"):
        entries(f'<d:multistatus xmlns:d="DAV:"><d:response>{endless}</d:response></d:multistatus>', 64 * 1024)


def test_many_entries_are_not_endless() -> None:
    one = "<d:response><d:href>/lst/" + "x" * 200 + "</d:href></d:response>"
    count = MAX_RESPONSE_CHARACTERS // 100

    assert len(entries(f'<d:multistatus xmlns:d="DAV:">{one * count}</d:multistatus>', 64 * 1024)) == count


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('<d:multistatus xmlns:d="DAV:"/>'.encode("utf-16"), id="in another encoding"),
        pytest.param(b'<d:multistatus xmlns:d="DAV:"><d:href>/x</d:href><d:status/></d:multistatus>', id="of no entry"),
    ],
)
def test_an_empty_listing_has_no_entries(body: bytes) -> None:
    assert entries(body) == []


def test_more_than_one_answer_is_one_that_broke_off() -> None:
    with pytest.raises(TransientError, match="broke off"):
        entries('<d:multistatus xmlns:d="DAV:"/><more/>')


def test_only_properties_that_the_server_has_are_taken() -> None:
    status = {"HTTP/1.1 200 OK": "5", "HTTP/1.1 404 Not Found": "6", "HTTP/1.1 403 Forbidden": "7"}
    stats = "".join(
        f"<d:propstat><d:prop><d:getcontentlength>{size}</d:getcontentlength></d:prop><d:status>{line}</d:status></d:propstat>"
        for line, size in status.items()
    )
    (entry,) = entries(f'<d:multistatus xmlns:d="DAV:"><d:response>{stats}</d:response></d:multistatus>')

    assert entry.properties == {"size": "5"}


def test_the_question_names_the_properties() -> None:
    for name in (b"resourcetype", b"getcontentlength", b"getlastmodified", b"getetag", b"Checksums", b"FileLocality"):
        assert name in BODY
    assert b"allprop" not in BODY


def test_the_pieces_of_a_listing_stay_in_order() -> None:
    listed = [f"/lst/{number}" for number in range(3000)]
    body = "".join(f"<d:response><d:href>{href}</d:href></d:response>" for href in listed)
    found = [entry.href for entry in entries(f'<d:multistatus xmlns:d="DAV:">{body}</d:multistatus>', 4096)]

    assert found == listed
    assert all(a != b for a, b in pairwise(found))

import os
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import requests

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, asking

D = "{DAV:}"
CHECKSUMS = "{http://www.dcache.org/2013/webdav}Checksums"
LOCALITY = "{http://srm.lbl.gov/StorageResourceManager}FileLocality"


def body(*names: str) -> bytes:
    """Return the question for properties in Clark notation."""
    root = ElementTree.Element(f"{D}propfind")
    prop = ElementTree.SubElement(root, f"{D}prop")
    for name in names:
        ElementTree.SubElement(prop, name)
    return ElementTree.tostring(root)


def parsed(text: bytes) -> Iterator[tuple[str, dict[str, ElementTree.Element], dict[str, ElementTree.Element]]]:
    """Yield href, properties found and properties missing of each response."""
    for response in ElementTree.fromstring(text).iter(f"{D}response"):
        found: dict[str, ElementTree.Element] = {}
        missing: dict[str, ElementTree.Element] = {}
        for propstat in response.iter(f"{D}propstat"):
            status = propstat.findtext(f"{D}status")
            assert status in ("HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found")
            target = found if status == "HTTP/1.1 200 OK" else missing
            target.update({element.tag: element for element in propstat.iterfind(f"{D}prop/*")})
        yield response.findtext(f"{D}href", ""), found, missing


def hrefs(answer: requests.Response) -> list[str]:
    assert answer.status_code == 207
    return sorted(href for href, _, _ in parsed(answer.content))


@pytest.fixture
def tree(fake_cta: FakeCta) -> FakeCta:
    for path in ("/t/1.txt", "/t/a/2.txt", "/t/a/b/3.txt", "/t/a/b/c/4.txt", "/t/a/b/c/d/5.txt"):
        fake_cta.put(path, b"hello")
    return fake_cta


def test_depth_zero_is_the_thing_itself_and_one_its_entries(tree: FakeCta, ask: Asker) -> None:
    zero, one, of_file = (
        hrefs(ask("PROPFIND", path, {"Depth": depth})) for path, depth in (("/t", "0"), ("/t/", "1"), ("/t/1.txt", "1"))
    )

    assert zero == ["/t/"]
    assert one == ["/t/", "/t/1.txt", "/t/a/"]
    assert of_file == ["/t/1.txt"]


@pytest.mark.parametrize("headers", [{"Depth": "infinity"}, {}, {"Depth": "7"}])
def test_any_other_depth_is_cut_after_three_levels(tree: FakeCta, ask: Asker, headers: dict[str, str]) -> None:
    assert hrefs(ask("PROPFIND", "/t", headers)) == [
        "/t/",
        "/t/1.txt",
        "/t/a/",
        "/t/a/2.txt",
        "/t/a/b/",
        "/t/a/b/3.txt",
        "/t/a/b/c/",
    ]


def test_named_properties_are_answered_and_missing_ones_listed_apart(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/d/x", b"hello")
    head = ask("HEAD", "/d/x")
    names = [
        f"{D}getcontentlength",
        f"{D}getlastmodified",
        f"{D}getetag",
        f"{D}resourcetype",
        f"{D}quota-available-bytes",
        CHECKSUMS,
        LOCALITY,
        "{urn:x?a&b}own",
    ]
    answer = ask("PROPFIND", "/d", {"Depth": "1"}, data=body(*names))
    (folder, of_folder, not_folder), (file, of_file, not_file) = sorted(parsed(answer.content), key=lambda r: r[0])

    assert (folder, file) == ("/d/", "/d/x")
    assert of_file[f"{D}getcontentlength"].text == "5"
    assert of_file[f"{D}getlastmodified"].text == head.headers["Last-Modified"]
    assert of_file[f"{D}getetag"].text == head.headers["ETag"]
    assert of_file[CHECKSUMS].text == "adler32=062c0215"
    assert of_file[LOCALITY].text == "ONLINE"
    assert len(of_file[f"{D}resourcetype"]) == 0
    assert not_file.keys() == {f"{D}quota-available-bytes", "{urn:x?a&b}own"}
    assert of_folder[f"{D}resourcetype"].find(f"{D}collection") is not None
    assert not_folder.keys() == {
        f"{D}getcontentlength",
        f"{D}quota-available-bytes",
        CHECKSUMS,
        LOCALITY,
        "{urn:x?a&b}own",
    }


def test_checksums_of_several_algorithms_are_one_value(fake_cta: FakeCta, ask: Asker) -> None:
    ask("PUT", "/x", {"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="}, data=b"hello")
    answer = ask("PROPFIND", "/x", {"Depth": "0"}, data=body(CHECKSUMS))
    ((_, found, _),) = parsed(answer.content)

    assert found[CHECKSUMS].text == "md5=XUFAKrxLKna5cZ2REBfFkg==,adler32=062c0215"


@pytest.mark.parametrize("question", [None, b'<propfind xmlns="DAV:"><allprop/></propfind>'])
def test_allprop_gives_what_exists_but_no_checksums(fake_cta: FakeCta, ask: Asker, question: bytes | None) -> None:
    fake_cta.put("/x", b"hello")
    answer = ask("PROPFIND", "/x", {"Depth": "0"}, data=question)
    ((_, found, missing),) = parsed(answer.content)

    assert missing == {}
    assert CHECKSUMS not in found
    assert found[f"{D}getcontentlength"].text == "5"
    assert found[f"{D}displayname"].text == "x"
    assert found["{http://srm.lbl.gov/StorageResourceManager}AccessLatency"].text == "ONLINE"
    assert found["{http://srm.lbl.gov/StorageResourceManager}RetentionPolicy"].text == "REPLICA"
    assert (found[f"{D}creationdate"].text or "").endswith("Z")


def test_propname_gives_names_without_values(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"hello")
    answer = ask("PROPFIND", "/x", {"Depth": "0"}, data=b'<D:propfind xmlns:D="DAV:"><D:propname/></D:propfind>')
    ((_, found, _),) = parsed(answer.content)

    assert f"{D}getetag" in found
    assert not any(element.text for element in found.values())


def test_hrefs_are_paths_that_are_encoded_more_than_needed(fake_cta: FakeCta, ask: Asker) -> None:
    for name in ("a b", "#%41+[x]", "it's", "a&b;c=d", "ü", "日本"):
        fake_cta.put(f"/n/{name}/!(~)", b"")
    found = hrefs(ask("PROPFIND", "/n", {"Depth": "1"}))

    assert found == [
        "/n/",
        "/n/%23%2541%2B%5Bx%5D/",
        "/n/%C3%BC/",
        "/n/%E6%97%A5%E6%9C%AC/",
        "/n/a%20b/",
        "/n/a%26b%3Bc%3Dd/",
        "/n/it%27s/",
    ]
    assert hrefs(ask("PROPFIND", "/n/ü", {"Depth": "1"})) == ["/n/%C3%BC/", "/n/%C3%BC/%21%28~%29"]


def test_names_that_xml_cannot_hold_do_not_break_the_listing(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\x01\xff\n.fits")).touch()
    with FakeCta(root=tmp_path) as cta, asking(cta) as ask:
        answer = ask("PROPFIND", "/", {"Depth": "1"})

    assert hrefs(answer) == ["/", "/%01%FF%0A.fits"]


@pytest.mark.parametrize(
    "question",
    [
        b"<propfind",
        b"<other xmlns='DAV:'/>",
        b'<!DOCTYPE x [<!ENTITY e "1">]><propfind xmlns="DAV:"><allprop/></propfind>',
    ],
)
def test_a_bad_question_is_400(ask: Asker, question: bytes) -> None:
    assert ask("PROPFIND", "/", {"Depth": "0"}, data=question).status_code == 400


def test_a_question_may_wait_for_100_continue(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    answer = ask("PROPFIND", "/", {"Depth": "1", "Expect": "100-continue"}, data=body(f"{D}getetag"))

    assert hrefs(answer) == ["/", "/x"]


def test_a_question_that_is_too_long_is_413(ask: Asker) -> None:
    assert ask("PROPFIND", "/", {"Depth": "0"}, data=b" " * (2 << 20)).status_code == 413


def test_ten_thousand_entries_are_listed_within_a_second(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    (tmp_path / "one").touch()
    for number in range(10_000):
        # A link is made faster than a file.
        (folder / f"{number:05}.fits").hardlink_to(tmp_path / "one")
    with FakeCta(root=tmp_path) as cta, asking(cta) as ask:
        start = time.process_time()
        answer = ask("PROPFIND", "/many", {"Depth": "1"}, data=body(f"{D}getcontentlength", f"{D}getetag"))
        seconds = time.process_time() - start

    assert answer.content.count(b"<D:response>") == 10_001
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert seconds < 1

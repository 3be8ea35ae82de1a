"""What a file has beside its bytes: times, types, extended attributes, quota; locks that are none."""

from email.utils import parsedate_to_datetime
from xml.etree import ElementTree

import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, asking
from tests.unit.fake_cta.test_fake_propfind import D, body, parsed

X = "{http://www.dcache.org/2020/xattr}"
QUOTA = (f"{D}quota-available-bytes", f"{D}quota-used-bytes")


def proppatch(action: str, *names: str, value: str = "") -> bytes:
    """Return the body of a PROPPATCH of some properties in Clark notation."""
    root = ElementTree.Element(f"{D}propertyupdate")
    prop = ElementTree.SubElement(ElementTree.SubElement(root, f"{D}{action}"), f"{D}prop")
    for name in names:
        ElementTree.SubElement(prop, name).text = value
    return ElementTree.tostring(root)


@pytest.mark.parametrize("relayed", [True, False])
def test_the_time_that_a_client_gives_is_kept(fake_cta: FakeCta, ask: Asker, relayed: bool) -> None:
    headers = {"X-OC-Mtime": "1700000000"}
    if relayed:
        answer = ask("PUT", "/x", headers, data=b"hello")
        assert answer.headers["X-OC-MTime"] == "accepted"
    else:
        ask.at("PUT", ask.redirected("PUT", "/x", headers), data=b"hello")

    modified = parsedate_to_datetime(ask("HEAD", "/x").headers["Last-Modified"])
    assert modified.timestamp() == 1_700_000_000


@pytest.mark.parametrize("value", ["yesterday", "-1", "1e9", "9" * 12, "9" * 30, "9" * 5000])
def test_a_time_that_is_none_is_ignored(ask: Asker, value: str) -> None:
    answer = ask("PUT", "/x", {"X-OC-Mtime": value}, data=b"hello")

    assert answer.status_code == 201
    assert "X-OC-MTime" not in answer.headers


def test_overwriting_with_the_same_time_changes_the_etag(ask: Asker) -> None:
    tags = {
        ask("PUT", "/x", {"X-OC-Mtime": "1700000000"}, data=b"%03d" % number).headers["ETag"] for number in range(20)
    }

    assert len(tags) == 20


@pytest.mark.parametrize("relayed", [True, False])
def test_the_content_type_is_kept_by_the_door_and_given_back(fake_cta: FakeCta, ask: Asker, relayed: bool) -> None:
    headers = {"Content-Type": "application/fits"}
    if relayed:
        ask("PUT", "/x", headers, data=b"hello")
    else:
        ask.at("PUT", ask.redirected("PUT", "/x", headers), data=b"hello")

    assert fake_cta.xattrs("/x") == {"mime_type": "application/fits"}
    assert ask("HEAD", "/x").headers["Content-Type"] == "application/fits"
    assert ask.at("GET", ask.redirected("GET", "/x")).headers["Content-Type"] == "application/fits"


def test_attributes_come_with_the_query_of_an_upload(fake_cta: FakeCta, ask: Asker) -> None:
    ask("PUT", "/x", data=b"", query="?xattr.run=100&xattr.note=a%20b&other=1")
    ((_, found, _),) = parsed(ask("PROPFIND", "/x", data=body(f"{X}run", f"{X}note")).content)
    ((_, everything, _),) = parsed(ask("PROPFIND", "/x").content)

    assert fake_cta.xattrs("/x") == {"run": "100", "note": "a b"}
    assert (found[f"{X}run"].text, found[f"{X}note"].text) == ("100", "a b")
    assert everything[f"{X}run"].text == "100"


def test_proppatch_sets_and_removes_attributes(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    done = ask("PROPPATCH", "/x", data=proppatch("set", f"{X}a", f"{X}b", value="1 < 2"))
    kept = fake_cta.xattrs("/x")
    ask("PROPPATCH", "/x", data=proppatch("remove", f"{X}a", f"{X}never"))
    ask("MOVE", "/x", {"Destination": "/y"})

    assert done.status_code == 207
    ((href, found, missing),) = parsed(done.content)
    assert (href, set(found), missing) == ("/x", {f"{X}a", f"{X}b"}, {})
    assert kept == {"a": "1 < 2", "b": "1 < 2"}
    assert fake_cta.xattrs("/y") == {"b": "1 < 2"}


def test_proppatch_changes_nothing_else(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    answer = ask("PROPPATCH", "/x", data=proppatch("set", f"{D}getlastmodified", "{urn:x}own", value="0"))

    assert answer.status_code == 207
    assert answer.text.count("HTTP/1.1 403 Forbidden") == 1
    assert "200 OK" not in answer.text
    assert fake_cta.xattrs("/x") == {}


def test_proppatch_of_a_folder_lasts_while_files_come_into_it(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.make_dir("/d")
    ask("PROPPATCH", "/d", data=proppatch("set", f"{X}a", value="1"))
    fake_cta.put("/d/x", b"")
    ((_, found, _),) = parsed(ask("PROPFIND", "/d", {"Depth": "0"}, data=body(f"{X}a")).content)

    assert found[f"{X}a"].text == "1"


@pytest.mark.parametrize("question", [b"", b"<x/>", b"<propertyupdate xmlns='DAV:'>", b"<!DOCTYPE x><x/>"])
def test_a_bad_proppatch_is_400(fake_cta: FakeCta, ask: Asker, question: bytes) -> None:
    fake_cta.put("/x", b"")

    assert ask("PROPPATCH", "/x", data=question).status_code == 400


def test_proppatch_needs_the_right_to_change_metadata(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    token = fake_cta.make_token(scope="storage.read:/")
    answer = ask("PROPPATCH", "/x", data=proppatch("set", f"{X}a"), token=token)

    assert answer.status_code == 403


def test_a_lock_ends_at_once_and_makes_nothing(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    locked, new, nowhere = (ask("LOCK", path) for path in ("/x", "/new", "/no/new"))
    again = ask("LOCK", "/x")
    written = ask("PUT", "/x", data=b"by another")
    unlocked = ask("UNLOCK", "/x", {"Lock-Token": locked.headers["Lock-Token"]})

    assert [answer.status_code for answer in (locked, new, nowhere, again)] == [200, 201, 409, 200]
    assert locked.headers["Lock-Token"].startswith("<opaquelocktoken:")
    assert "<D:timeout>Second-0</D:timeout>" in locked.text
    assert (written.status_code, unlocked.status_code) == (201, 204)
    assert fake_cta.paths() == ["/x"]


def test_quota_is_told_of_folders_where_space_is_managed() -> None:
    with FakeCta(quota=1000) as cta, asking(cta) as ask:
        cta.put("/d/x", b"x" * 100)
        (_, folder, _), (_, _, not_file) = parsed(ask("PROPFIND", "/d", {"Depth": "1"}, data=body(*QUOTA)).content)
        ((_, everything, _),) = parsed(ask("PROPFIND", "/d", {"Depth": "0"}).content)

    assert [folder[name].text for name in QUOTA] == ["900", "100"]
    assert set(not_file) == set(QUOTA)
    assert not set(QUOTA) & set(everything)


def test_an_upload_beyond_the_quota_is_507_with_the_error_of_webdav() -> None:
    with FakeCta(quota=10) as cta, asking(cta) as ask:
        answer = ask("PUT", "/x", data=b"x" * 11)

    assert (answer.status_code, answer.headers["Content-Type"]) == (507, "application/xml; charset=utf-8")
    assert ElementTree.fromstring(answer.content).find(f"{D}quota-not-exceeded") is not None

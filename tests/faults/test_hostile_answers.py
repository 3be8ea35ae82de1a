"""Answers of a hostile server: memory stays bounded, one clear error, never a wrong file."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import (
    CtaClient,
    CtaError,
    IntegrityError,
    NotADirError,
    NotFoundError,
    StorageError,
    TransientError,
)
from tests.faults import acts
from tests.faults.scripted import Door, Exchange, listing, response

Open = Callable[..., Door]
Client = Callable[..., CtaClient]
FOLDER = response("/tree/", "<D:resourcetype><D:collection/></D:resourcetype>")


@pytest.fixture
def local(tmp_path: Path) -> Path:
    return tmp_path / "local" / "tree"


def ask(client: CtaClient, act: str) -> object:
    """Ask for the listing or the properties of a folder."""
    return list(client.list_dir("/tree")) if act == "list" else client.stat("/tree")


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
XML = {
    "DOCTYPE": b'<?xml version="1.0"?><!DOCTYPE x><D:multistatus xmlns:D="DAV:"/>',
    "external entity": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    b'<D:multistatus xmlns:D="DAV:">&e;</D:multistatus>',
    "entity bomb": BOMB.encode() + b']><D:multistatus xmlns:D="DAV:">&j;</D:multistatus>',
    "HTML": b"<html><head><title>Sign in</title></head><body><br>Welcome</body></html>",
    "well-formed HTML": b"<html><body><p>Sign in</p></body></html>",
    "JSON": b'{"files": []}',
    "nothing": b"",
    "text": b"hello",
    "bytes": bytes(range(256)) * 10,
    "unknown encoding": b'<?xml version="1.0" encoding="klingon"?><D:multistatus xmlns:D="DAV:"/>',
    "encoding of many bytes": b'<?xml version="1.0" encoding="big5"?><D:multistatus xmlns:D="DAV:"/>',
    "wrong encoding": listing(FOLDER, response("/tree/x")).decode().encode("utf-16"),
    "EBCDIC": listing(FOLDER).decode().replace("utf-8", "cp037").encode("cp037"),
    "another encoding than it says": listing(response("/tree/\u00fc"), FOLDER).decode().encode("latin-1"),
    "a lock": b'<D:prop xmlns:D="DAV:"><D:lockdiscovery/></D:prop>',
    "an error": b'<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>',
    "entries without a listing": listing(FOLDER, response("/tree/x")).replace(b"multistatus", b"prop"),
    "a listing within a listing": b'<D:multistatus xmlns:D="DAV:"><x>' + listing(FOLDER)[38:] + b"</x>",
    "a feed": b'<feed xmlns="http://www.w3.org/2005/Atom"><entry/></feed>',
    "another namespace": listing(FOLDER).replace(b"DAV:", b"urn:other"),
    "undeclared prefix": b"<D:multistatus/>",
}


@pytest.mark.parametrize("what", [what for what in XML if what != "wrong encoding"])
@pytest.mark.parametrize("act", ["list", "stat"])
def test_an_answer_that_is_no_listing_is_one_clear_error(
    act: str, what: str, open_door: Open, client_of: Client
) -> None:
    door = open_door()
    door.fault("PROPFIND", acts.status(207, body=XML[what]))
    client = client_of(door, retries=0)

    with pytest.raises(StorageError) as caught:
        ask(client, act)

    assert "/tree" in str(caught.value)
    assert "root:" not in str(caught.value)


@pytest.mark.parametrize("code", [200, 201, 204, 206, 207])
@pytest.mark.parametrize("act", ["list", "stat"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", XML["HTML"]),
        ("application/json", b'{"files": []}'),
        ("application/xml", b""),
        ("image/png", b"\x89PNG"),
    ],
)
def test_a_success_that_is_something_else_is_one_clear_error(
    kind: str, body: bytes, act: str, code: int, open_door: Open, client_of: Client
) -> None:
    door = open_door()
    door.fault("PROPFIND", acts.status(code, f"Content-Type: {kind}", body=b"" if code == 204 else body))

    with pytest.raises(StorageError, match=r"not a WebDAV listing; check that .*door_url") as caught:
        ask(client_of(door), act)

    assert not isinstance(caught.value, TransientError)
    assert len(door.requests("PROPFIND")) == 1


EMPTY = {
    "no properties": response("/tree", ""),
    "no href": response("", ""),
    "status of its own": "<D:response><D:href>/tree</D:href><D:status>HTTP/1.1 403 No</D:status></D:response>",
    "only what is not there": response("/tree").replace("200 OK", "404 Not Found"),
}


@pytest.mark.parametrize("what", EMPTY)
def test_an_entry_that_tells_nothing_is_no_file(what: str, open_door: Open, client_of: Client) -> None:
    door = open_door()
    door.fault("PROPFIND", acts.status(207, body=listing(EMPTY[what])))

    with pytest.raises(StorageError, match="tells nothing about /tree"):
        client_of(door).stat("/tree")


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
def test_an_entry_of_which_the_listing_says_that_it_is_not_there_is_none(
    status: str, open_door: Open, client_of: Client
) -> None:
    gone = "<D:response><D:href>/tree/%s</D:href><D:status>HTTP/1.1 " + status + "</D:status></D:response>"
    entries = (response(f"/tree/x{number}") + gone % f"y{number}" for number in range(20))
    door = open_door()
    door.fault("PROPFIND", acts.status(207, body=listing(FOLDER, *entries)), times=1)
    client = client_of(door)

    assert [info.path for info in client.list_dir("/tree")] == [f"/tree/x{number}" for number in range(20)]
    door.fault("PROPFIND", acts.status(207, body=listing(gone.replace("/%s", ""))))
    with pytest.raises(NotFoundError, match="/tree"):
        client.stat("/tree")
    with pytest.raises(NotFoundError, match="/tree"):
        list(client.list_dir("/tree"))


def test_an_href_and_a_status_within_a_property_mean_something_else(open_door: Open, client_of: Client) -> None:
    lock = "<D:lockroot><D:href>/other</D:href></D:lockroot><D:status>HTTP/1.1 500 No</D:status>"
    size = "<x:size xmlns:x='urn:x'><D:getcontentlength>7</D:getcontentlength></x:size>"
    told = f"<D:lockdiscovery>{lock}</D:lockdiscovery>{size}<D:resourcetype/><D:getcontentlength>3</D:getcontentlength>"
    href = "<D:href>/tree/x</D:href>"
    behind = response("/tree/x", told).replace(href, "", 1).replace("</D:response>", f"{href}</D:response>")
    door = open_door()
    door.fault("PROPFIND", acts.status(207, body=listing(FOLDER, behind)))

    (info,) = client_of(door).list_dir("/tree")

    assert (info.path, info.size) == ("/tree/x", 3)


@pytest.mark.parametrize("what", ["DOCTYPE", "half"])
def test_a_listing_that_is_refused_says_what_to_do(what: str, open_door: Open, client_of: Client) -> None:
    door = open_door()
    door.fault("PROPFIND", acts.status(207, body=XML.get(what, listing(FOLDER)[:80])))

    with pytest.raises(StorageError) as caught:
        list(client_of(door, retries=0).list_dir("/tree"))

    assert caught.value.remedy


def test_a_listing_in_utf_16_is_understood(open_door: Open, client_of: Client) -> None:
    door = open_door()
    door.fault(
        "PROPFIND", acts.status(207, body=XML["wrong encoding"].replace(b"u\0t\0f\0-\08\0", b"u\0t\0f\0-\x001\x006\0"))
    )

    assert [info.name for info in client_of(door).list_dir("/tree")] == ["x"]


HALVES = {
    "cut in an entry": (listing(FOLDER, response("/tree/a"), response("/tree/b"))[:-150], ["a"]),
    "cut between entries": (listing(FOLDER, response("/tree/a"))[: -len("</D:multistatus>")], ["a"]),
    "cut before the first": (listing(FOLDER)[:80], []),
    "rubbish behind an entry": (listing(FOLDER, response("/tree/a")).replace(b"</D:multistatus>", b"<&"), ["a"]),
}


@pytest.mark.parametrize("what", HALVES)
def test_half_a_listing_is_a_transient_error_after_what_came(what: str, open_door: Open, client_of: Client) -> None:
    door = open_door()
    body, names = HALVES[what]
    door.fault("PROPFIND", acts.status(207, body=body))
    given = []

    with pytest.raises(TransientError) as caught:
        given += [info.name for info in client_of(door, retries=1).list_dir("/tree")]
    entries = client_of(door, retries=0).list_dir("/tree")
    first = [next(entries).name for _ in names]

    assert "/tree" in str(caught.value)
    assert given == []
    assert first == names


@pytest.mark.parametrize("count", [None, 0, 400])
def test_a_connection_that_breaks_in_a_listing_is_a_transient_error(
    count: int | None, open_door: Open, client_of: Client, local: Path
) -> None:
    body = listing(FOLDER, *(response(f"/tree/{number}") for number in range(50)))

    def broken(exchange: Exchange) -> None:
        if count is not None:
            exchange.head(207, f"Content-Length: {len(body)}")
            exchange.send(body[:count])
        exchange.reset()

    door = open_door()
    door.fault("PROPFIND", broken)

    with pytest.raises(TransientError) as caught:
        client_of(door, retries=1).download_tree("/tree", local)

    assert "/tree" in str(caught.value)


def test_a_listing_that_breaks_before_its_first_entry_is_asked_again(open_door: Open, client_of: Client) -> None:
    door = open_door(files={"/tree/a": b"a"})
    door.fault("PROPFIND", acts.reset_after(None), times=1)
    door.fault("PROPFIND", acts.raw(b"HTTP/1.1 207 M\r\nContent-Length: 500\r\n\r\n<?xml"), times=1)

    assert [info.name for info in client_of(door).list_dir("/tree")] == ["a"]


SIZES = {
    "too small": "2",
    "too large": "300001",
    "negative": "-1",
    "not a number": "many",
    "other digits": "٣",
    "superscript": "³",
    "signed": "+3",
    "underscores": "3_0",
    "a float": "3e5",
    "hexadecimal": "0x10",
    "empty": "",
    "5000 digits": "9" * 5000,
}


@pytest.mark.parametrize("what", SIZES)
def test_a_size_that_lies_is_an_error_or_ignored_but_never_a_wrong_file(
    what: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={"/tree/x": payload})
    told = f"<D:resourcetype/><D:getcontentlength>{SIZES[what]}</D:getcontentlength>"
    door.fault("PROPFIND", acts.status(207, body=listing(response("/tree/x", told))))
    client = client_of(door, retries=0)

    if what in ("too small", "too large"):
        with pytest.raises(IntegrityError):
            client.download("/tree/x", target)
        assert target.read_bytes() == b"old"
    else:
        try:
            client.download("/tree/x", target)
        except StorageError:
            assert target.read_bytes() == b"old"
        else:
            assert target.read_bytes() == payload


@pytest.mark.parametrize(
    "date",
    [
        "never",
        "",
        "Wed, 21 Oct 99999999999 07:28:00 GMT",
        "0001-01-01T00:00:00+23:59",
        "9" * 5000,
        "Mon, 01 Jan 0001 00:00:00 +2359",
    ],
)
def test_a_date_that_cannot_be_is_no_date(date: str, open_door: Open, client_of: Client) -> None:
    door = open_door()
    told = f"<D:resourcetype/><D:getcontentlength>3</D:getcontentlength><D:getlastmodified>{date}</D:getlastmodified>"
    door.fault("PROPFIND", acts.status(207, body=listing(response("/tree/x", told))))

    mtime = client_of(door).stat("/tree/x").mtime

    assert mtime is None if date in ("never", "", "9" * 5000) else isinstance(mtime, float | None)


def test_a_checksum_that_cannot_be_is_no_checksum(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={"/tree/x": payload})
    checksums = (
        '<c:Checksums xmlns:c="http://www.dcache.org/2013/webdav">adler32=zz,md5=,sha-256=@@,=,adler32</c:Checksums>'
    )
    told = f"<D:resourcetype/><D:getcontentlength>{len(payload)}</D:getcontentlength>{checksums}"
    door.fault("PROPFIND", acts.status(207, body=listing(response("/tree/x", told))))

    client_of(door).download("/tree/x", target)

    assert target.read_bytes() == payload


def test_a_file_that_says_it_is_a_folder_and_the_reverse_are_errors(
    open_door: Open, client_of: Client, local: Path
) -> None:
    door = open_door(files={"/tree/x": b"x"})
    client = client_of(door, retries=0)

    with pytest.raises(NotADirError):
        list(client.list_dir("/tree/x"))
    with pytest.raises(NotADirError):
        client.download_tree("/tree/x", local)

    assert not local.exists()


def test_the_same_name_as_file_and_folder_is_an_error(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(files={"/tree/x": b"new"})
    both = listing(
        FOLDER, response("/tree/x"), response("/tree/x/", "<D:resourcetype><D:collection/></D:resourcetype>")
    )
    door.fault("PROPFIND", acts.status(207, body=both), path="/tree/")

    with pytest.raises(CtaError):
        client_of(door, retries=0).download_tree("/tree", local)


def test_folders_without_bottom_end_in_an_error(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door()
    begun = time.monotonic()

    def deeper(exchange: Exchange) -> None:
        path = exchange.asked.path
        folder = "<D:resourcetype><D:collection/></D:resourcetype>"
        exchange.answer(207, body=listing(response(path, folder), response(f"{path}{'d' * 200}/", folder)))

    door.fault("PROPFIND", deeper)

    with pytest.raises(StorageError):
        client_of(door, retries=0).download_tree("/tree", local)

    assert time.monotonic() - begun < 5
    assert len(door.requests("PROPFIND")) <= os.pathconf("/", "PC_PATH_MAX") // 200 + 2

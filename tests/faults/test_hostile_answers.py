"""Answers of a hostile server: memory stays bounded, one clear error, never a wrong file."""

import os
import resource
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, CtaError, IntegrityError, NotADirError, StorageError, TransientError
from tests.faults import acts
from tests.faults.scripted import Act, Door, Exchange, listing, response

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


def poured(pieces: Callable[[], Iterator[bytes]], sent: list[int]) -> Act:
    """Send pieces for as long as the client takes them, at most 256 MiB."""

    def act(exchange: Exchange) -> None:
        exchange.head(207, "Connection: close")
        for piece in pieces():
            exchange.send(piece)
            sent.append(len(piece))
            if sum(sent) > 256 << 20:
                break
        exchange.end()

    return act


def forever(begin: bytes, piece: bytes) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield b'<D:multistatus xmlns:D="DAV:"><D:response>' + begin
        while True:
            yield piece * ((1 << 20) // len(piece))

    return pieces


ENDLESS = {
    "text": forever(b"<D:href>", b"x"),
    "attribute": forever(b'<D:href a="', b"x"),
    "name of an element": forever(b"<D:", b"x"),
    "comment": forever(b"<!--", b"x"),
    "elements within elements": forever(b"", b"<a>"),
    "elements beside elements": forever(b"", b"<a/>"),
    "blanks": forever(b"", b" "),
}


@pytest.mark.parametrize("what", ENDLESS)
@pytest.mark.parametrize("act", ["list", "stat"])
def test_an_endless_entry_is_stopped(act: str, what: str, open_door: Open, client_of: Client) -> None:
    sent: list[int] = []
    door = open_door(tls=False)
    door.fault("PROPFIND", poured(ENDLESS[what], sent), times=1)
    client = client_of(door, retries=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(StorageError) as caught:
        ask(client, act)

    assert "/tree" in str(caught.value)
    assert sum(sent) < 32 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_a_compressed_bomb_is_not_unpacked(open_door: Open, client_of: Client) -> None:
    packer = zlib.compressobj(wbits=31)
    begin = b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>'
    bomb = packer.compress(begin) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    door = open_door()
    door.fault("PROPFIND", acts.status(207, "Content-Encoding: gzip", body=bomb))
    client = client_of(door, retries=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for act in ("list", "stat"):
        with pytest.raises(StorageError):
            ask(client, act)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


SIZES = {
    "too small": "2",
    "too large": "300001",
    "negative": "-1",
    "not a number": "many",
    "other digits": "٣٠٠٠٠٠",
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

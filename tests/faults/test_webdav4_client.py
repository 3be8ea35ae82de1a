"""The client of webdav4 on a wire that is bent: the environment, redirects, hostile answers, silence."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from webdav4.client import Client, HTTPError

from ctadata_providers import Config, CtaError, StorageError, TransientError, UnsupportedError
from ctadata_providers.webdav4_client import webdav4_client
from tests.faults import acts
from tests.faults.proxy import Proxy
from tests.faults.scripted import Door

PATH = "/night/events.fits"
TOKEN = "an-opaque-token-0123456789"
Open = Callable[..., Door]
Make = Callable[..., Client]


@pytest.fixture
def webdav4(ca: Path) -> Iterator[Make]:
    """Make clients of a server, without retries."""
    with ExitStack() as stack:

        def make(door: Door, **settings: Any) -> Client:
            given = {"door_url": door.url, "ca_path": ca, "token": TOKEN, "retries": 0, **settings}
            return stack.enter_context(webdav4_client(Config.from_mapping(given)))

        yield make


def test_no_bundle_and_no_netrc_of_the_environment_changes_anything(
    open_door: Open, webdav4: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger, netrc = tmp_path / "stranger.pem", tmp_path / "home" / ".netrc"
    stranger.write_bytes(trustme.CA().cert_pem.bytes())
    netrc.write_text("default login bob password builder\n")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(stranger))
    monkeypatch.setenv("NETRC", str(netrc))
    door = open_door(files={PATH: b"data"})
    webdav4(door).ls("/night")
    webdav4(door, token=None).ls("/night")

    assert [asked.headers.get("authorization") for asked in door.asked] == [f"Bearer {TOKEN}", None]


def test_a_server_whose_authority_is_not_known_gets_nothing(open_door: Open, webdav4: Make) -> None:
    door = open_door(files={PATH: b"data"})

    with pytest.raises(CtaError, match="ca_path"):
        webdav4(door, ca_path=None).ls("/night")
    assert door.asked == []


@pytest.mark.parametrize("exempted", [False, True])
def test_the_proxy_of_the_environment_is_used_unless_no_proxy_exempts_the_door(
    exempted: bool, open_door: Open, webdav4: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(files={PATH: b"data"})
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "localhost" if exempted else "")
        listed = webdav4(door).ls("/night", detail=False)

    assert listed == ["night/events.fits"]
    assert proxy.asked == ([] if exempted else [f"CONNECT localhost:{door.port} True"])


@pytest.mark.parametrize("method", ["PROPFIND", "GET"])
def test_another_origin_sees_no_token(method: str, open_door: Open, webdav4: Make) -> None:
    door, other = open_door(files={PATH: b"data"}), open_door(files={PATH: b"data"})
    door.fault(method, acts.status(307, f"Location: {other.url}{PATH}"))
    client = webdav4(door)
    if method == "GET":
        with client.open(PATH, "rb") as file:
            assert file.read() == b"data"
    else:
        client.info(PATH)

    assert [asked.method for asked in other.asked] == [method]
    assert "authorization" not in other.asked[0].headers


def test_a_redirect_to_plain_http_is_not_followed(open_door: Open, webdav4: Make) -> None:
    door, other = open_door(files={PATH: b"data"}), open_door(files={PATH: b"data"}, tls=False)
    door.fault("PROPFIND", acts.status(302, f"Location: {other.url}{PATH}"))

    with pytest.raises(StorageError, match="plain http"):
        webdav4(door).ls("/night")
    assert other.asked == []


def test_a_silent_server_is_waited_for_no_longer_than_the_timeout(open_door: Open, webdav4: Make) -> None:
    door = open_door(files={PATH: b"data"})
    door.fault("PROPFIND", acts.stall_after(None))

    with pytest.raises(TransientError, match="in time"):
        webdav4(door, timeout=0.2).ls("/night")


def test_an_answer_with_a_doctype_is_refused_before_it_is_parsed(open_door: Open, webdav4: Make) -> None:
    door = open_door(files={PATH: b"data"})
    bomb = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">]><d>&a;</d>'
    door.fault("PROPFIND", lambda exchange: exchange.answer(207, body=bomb))

    with pytest.raises(StorageError, match="not what a listing may be"):
        webdav4(door).ls("/night")


_ENTITY = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">]>'


@pytest.mark.parametrize("ask", ["ls", "propfind"])
@pytest.mark.parametrize(
    ("declared", "encoding", "charset"),
    [
        ("utf-16", "utf-16", "utf-16"),
        ("utf-16", "utf-16-be", "utf-16-be"),
        ("utf-16", "utf-16-le", ""),
        ("utf-16", "utf-32", "utf-32"),
        ("utf-8", "utf-7", "utf-7"),
        ("cp037", "cp037", "cp037"),
        ("iso-8859-1", "ascii", "iso-8859-1"),
        ("koi8-r", "ascii", "utf-8"),
        ("unicode_escape", "hidden in a comment", "unicode_escape"),
    ],
)
def test_an_entity_is_refused_in_whatever_encoding(
    declared: str, encoding: str, charset: str, ask: str, open_door: Open, webdav4: Make
) -> None:
    door = open_door(files={PATH: b"data"})
    listed = _listing("/night/", "/night/&a;").decode().partition("?>")[2]
    text = f'<?xml version="1.0" encoding="{declared}"?>{_ENTITY}{listed}'
    body = text.encode("ascii" if " " in encoding else encoding)
    if " " in encoding:
        body = text.replace(_ENTITY, f"<!-- \\x2d\\x2d> {_ENTITY} <!-- -->").replace("&a;", "a").encode()
    elif encoding == "utf-7":
        body = text.replace(_ENTITY, _ENTITY.replace("<", "+ADw-").replace("!", "+ACE-")).encode()
    kind = f"Content-Type: application/xml; charset={charset}" if charset else "Content-Type: application/xml"
    door.fault("PROPFIND", lambda exchange: exchange.answer(207, kind, body=body))

    with pytest.raises(StorageError, match=r"not what a listing may be|not a WebDAV listing"):
        getattr(webdav4(door), ask)("/night")


@pytest.mark.parametrize(
    ("declared", "charset"),
    [("utf-8", "utf-8"), ("utf-8", "iso-8859-1"), ("ISO-8859-1", "utf-8"), ("us-ascii", ""), ("", "iso-8859-1")],
)
def test_a_listing_is_read_in_the_encoding_that_it_declares(
    declared: str, charset: str, open_door: Open, webdav4: Make
) -> None:
    door = open_door(files={PATH: b"data"})
    name = "ne" if declared == "us-ascii" else "né"
    told = f' encoding="{declared}"' if declared else ""
    text = f'<?xml version="1.0"{told}?>' + _listing("/night/", "/night/x").decode().partition("?>")[2]
    body = text.replace("<D:prop>", f"<D:prop><D:getcontenttype>{name}</D:getcontenttype>").encode(declared or "utf-8")
    kind = f"Content-Type: application/xml; charset={charset}" if charset else "Content-Type: application/xml"
    door.fault("PROPFIND", lambda exchange: exchange.answer(207, kind, body=body))

    found = webdav4(door).propfind("/night").responses

    assert [entry.properties.content_type for entry in found.values()] == [name, name]


def _listing(*hrefs: str) -> bytes:
    entries = "".join(
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype>"
        f"{'<D:collection/>' if href.endswith('/') else ''}</D:resourcetype></D:prop></D:propstat></D:response>"
        for href in hrefs
    )
    return f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{entries}</D:multistatus>'.encode()


def test_entries_that_lead_out_of_the_storage_are_left_out(open_door: Open, webdav4: Make) -> None:
    door = open_door(files={PATH: b"data"})
    body = _listing("/cta/night/", "/cta/night/a", "/cta/night/../../etc/passwd", "/etc/passwd", "/cta/night/%2e%2e/b")
    door.fault("PROPFIND", lambda exchange: exchange.answer(207, body=body))

    assert webdav4(door, base_path="/cta").ls("/night", detail=False) == ["night/a"]


def test_headers_and_cookies_of_httpx_do_not_reach_the_door(open_door: Open, webdav4: Make) -> None:
    door = open_door(files={PATH: b"data"})
    door.fault("PROPFIND", acts.status(404, "Set-Cookie: session=abc; Path=/"), times=1)
    client = webdav4(door)
    client.exists("/night")
    client.http.get(f"{door.url}{PATH}", headers={"Authorization": "Bearer mine"}, cookies=None)

    webdav4(door, token=None).http.get(f"{door.url}{PATH}", headers={"Authorization": "Bearer mine"})

    assert not [asked for asked in door.asked if "cookie" in asked.headers or "gzip" in asked.head]
    assert "authorization" not in door.asked.pop().headers  # it would go along with a redirect
    assert {asked.headers["authorization"] for asked in door.asked} == {f"Bearer {TOKEN}"}


def test_xrootd_is_given_literal_destinations_and_its_hrefs_are_taken_so(open_door: Open, webdav4: Make) -> None:
    door = open_door(server="XrootD/v5.8.1", files={PATH: b"data"})
    body = _listing("/night/", "/night/été#1%41.fits")
    door.fault("PROPFIND", lambda exchange: exchange.answer(207, body=body))
    client = webdav4(door)
    listed = client.ls("/night", detail=False)
    door.fault("MOVE", acts.status(201))
    client.move("/night/a", "/night/b-c#1")

    assert listed == ["night/été#1%41.fits"]
    assert door.asked[-1].headers["destination"] == f"{door.url}/night/b-c#1"


@pytest.mark.parametrize("act", ["mkdir", "remove", "exists"])
def test_a_name_that_xrootd_would_cut_is_refused(act: str, open_door: Open, webdav4: Make) -> None:
    door = open_door(server="XrootD/v5.8.1", files={PATH: b"data"})

    with pytest.raises(UnsupportedError, match="cuts a name"):
        getattr(webdav4(door), act)("/night/a?b")
    assert [asked.method for asked in door.asked] == ["OPTIONS"]


@pytest.mark.parametrize(
    ("server", "target"),
    [
        ("XrootD/v5.8.1", "/night/b c"),
        ("XrootD/v5.8.1", "/night/ü"),
        ("WsgiDAV/4.4.0 Cheroot/11.1.2 Python/3.14", "/night/b;c"),
        ("WsgiDAV/4.4.0 Cheroot/11.1.2 Python/3.14", "/night/b?c"),
    ],
)
def test_a_name_that_a_server_does_not_move_to_rightly_is_refused(
    server: str, target: str, open_door: Open, webdav4: Make
) -> None:
    door = open_door(server=server, files={PATH: b"data"})

    with pytest.raises(UnsupportedError, match="does not rename rightly"):
        webdav4(door).move(PATH, target)
    assert [asked.method for asked in door.asked] == ["OPTIONS"]


@pytest.mark.parametrize("server", ["dCache/10.2.25", "XrootD/v5.8.1"])
def test_a_server_for_which_each_copy_is_one_between_servers_is_not_asked_for_it(
    server: str, open_door: Open, webdav4: Make
) -> None:
    door = open_door(server=server, files={PATH: b"data"})

    with pytest.raises(UnsupportedError, match="ctadata cp"):
        webdav4(door).copy(PATH, "/night/b")
    assert [asked.method for asked in door.asked] == ["OPTIONS"]


_OWN = "<D:href>/night</D:href>"


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (207, b"<html><body>Hello"),
        (207, b"\x00"),
        (207, b""),
        (207, b'<D:multistatus xmlns:D="DAV:"><D:response/></D:multistatus>'),
        (207, b'<D:multistatus xmlns:D="DAV:"/>'),
        (207, f'<D:multistatus xmlns:D="DAV:"><D:response>{_OWN}<D:status>no</D:status></D:response></D:multistatus>'),
        (
            207,
            f'<D:multistatus xmlns:D="DAV:"><D:response>{_OWN}<D:propstat><D:prop><D:getcontentlength>many'
            "</D:getcontentlength></D:prop></D:propstat></D:response></D:multistatus>",
        ),
        (200, b"<!doctype html><title>Welcome</title>"),
        (200, b"welcome"),
        (204, b""),
    ],
)
@pytest.mark.parametrize("act", ["ls", "info", "content_length", "exists"])
def test_what_is_no_listing_is_one_of_our_errors(
    act: str, code: int, body: bytes | str, open_door: Open, webdav4: Make
) -> None:
    door = open_door(files={PATH: b"data"})
    content = body.encode() if isinstance(body, str) else body
    door.fault("PROPFIND", acts.status(code, body=content))

    with pytest.raises(StorageError):
        getattr(webdav4(door), act)("/night")


def test_no_message_repeats_the_token(open_door: Open, webdav4: Make) -> None:
    door = open_door(files={PATH: b"data"})
    door.fault("PROPFIND", acts.status(423, reason=f"no {TOKEN}"))
    with pytest.raises(HTTPError) as caught:
        webdav4(door).ls("/night")

    assert "423" in str(caught.value)
    assert TOKEN not in f"{caught.value} {caught.value!r} {caught.value.__cause__} {caught.value.response}"

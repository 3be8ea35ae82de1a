"""Looking through the downloadservice: what it lists, and how names are written."""

from pathlib import Path

import pytest

from ctadata_providers import (
    CtaClient,
    TransientError,
)
from tests.faults import acts
from tests.faults.cells import assert_whole
from tests.faults.multistatus import listing, response
from tests.faults.scripted import Exchange
from tests.faults.services.scripted import BASE, HOME, ODD, PATH, Service, propfind


def test_a_folder_is_listed_by_one_propfind(service: Service, client: CtaClient, payload: bytes) -> None:
    infos = list(client.list_dir("/lst/night"))

    assert [(info.path, info.is_dir, info.size) for info in infos] == [(PATH, False, len(payload))]
    assert [one.method for one in service.asked] == ["PROPFIND"]


def test_a_folder_that_its_storage_redirects_to_its_slash_is_asked_with_it(
    service: Service, client: CtaClient, source: Path
) -> None:
    """As Apache answers, with an address that is not for clients of the service."""

    def redirecting(exchange: Exchange) -> None:
        path = exchange.asked.path
        if service.is_dir(path) and not path.endswith("/"):
            exchange.answer(301, f"Location: https://storage.localhost/pnfs{path}/")
        else:
            propfind(exchange)

    service.fault("PROPFIND", redirecting)

    assert client.stat("/lst").is_dir
    assert client.home() == HOME
    client.upload(source, f"{HOME}/new/deep/events.fits")

    assert [info.path for info in client.walk(HOME)][-1] == f"{HOME}/new/deep/events.fits"


def test_the_root_which_webdav_has_not_is_listed_all_the_same(service: Service, client: CtaClient) -> None:
    assert [(info.path, info.is_dir) for info in client.list_dir("/")] == [("/lst", True)]
    assert client.stat("/").is_dir
    assert {one.method for one in service.asked} == {"LIST"}


def test_a_service_without_webdav_is_looked_at_by_its_listing(service: Service, client: CtaClient) -> None:
    service.webdav = False
    service.files[f"/lst/night/{ODD}"] = b"odd"

    infos = sorted(client.list_dir("/lst/night"), key=lambda info: info.path)

    assert [(info.name, info.is_dir, info.size) for info in infos] == [(ODD, False, 3), ("events.fits", False, 300_000)]
    assert infos[0].mtime == 1796011200.0
    assert client.stat("/lst/night").is_dir
    assert not client.exists("/lst/nothing")
    assert list(client.list_dir("/lst/empty")) == []


@pytest.mark.parametrize("code", [405, 501])
def test_a_propfind_that_is_not_allowed_leads_to_the_listing(code: int, service: Service, client: CtaClient) -> None:
    service.fault("PROPFIND", acts.status(code))

    assert [info.path for info in client.list_dir("/lst/night")] == [PATH]
    assert client.stat(PATH).size == 300_000
    assert len(service.requests("PROPFIND")) == 2  # the listing, and whether it is a file


def test_what_appears_between_two_questions_is_no_sign_that_there_is_no_webdav(
    service: Service, client: CtaClient
) -> None:
    def late(exchange: Exchange) -> None:
        exchange.answer(404)
        service.files["/lst/new"] = b"new"

    service.fault("PROPFIND", late, times=1)

    assert client.exists("/lst/new")
    assert client.stat("/lst/new").etag is not None
    assert len(service.requests("LIST")) == 1


def test_what_is_missing_is_asked_for_once_when_the_service_has_shown_its_webdav(
    service: Service, client: CtaClient
) -> None:
    client.stat(PATH)

    assert not client.exists("/lst/nothing")
    assert service.requests("LIST") == []


def test_a_listing_that_breaks_off_is_never_whole(service: Service, client: CtaClient) -> None:
    service.webdav = False
    service.fault("LIST", lambda exchange: exchange.answer(200, body=b'[{"href": "lst/", "type": "directory"},'))

    with pytest.raises(TransientError, match="broke off"):
        list(client.list_dir("/lst"))


@pytest.mark.parametrize(
    "body", [b"<html>login</html>", b'{"a": 1}', b"[1, 2]", b"", b"[" + b'{"a":' * 20_000, b'[{"href": 1}]']
)
def test_what_is_no_listing_is_said_to_be_none(body: bytes, service: Service, client: CtaClient) -> None:
    service.webdav = False
    service.fault("LIST", lambda exchange: exchange.answer(200, body=body))

    with pytest.raises(OSError, match="not a listing"):
        list(client.list_dir("/lst"))


@pytest.mark.parametrize("href", ["../../etc/passwd", "lst/night/..%2F..%2Fx", "cta/other", "lst/night/a%00b"])
def test_a_listing_that_leads_elsewhere_is_refused(href: str, service: Service, client: CtaClient) -> None:
    service.webdav = False
    body = f'[{{"href": "lst/night/", "type": "directory"}}, {{"href": "{href}", "type": "file"}}]'.encode()
    service.fault("LIST", lambda exchange: exchange.answer(200, body=body))

    with pytest.raises(OSError, match="leads elsewhere"):
        list(client.list_dir("/lst/night"))


# Names


@pytest.mark.parametrize(
    ("server", "href", "name"),
    [
        ("WsgiDAV/4.4.0 Cheroot/10.0.1", "%5E|", "^|"),
        ("gunicorn, XrootD/v5.5.3", "%5E_", "%5E_"),
        ("gunicorn", "%5E_", "^_"),
        ("gunicorn", "a b#c", "a b#c"),
    ],
)
def test_a_name_is_read_as_its_storage_writes_it(
    server: str, href: str, name: str, service: Service, client: CtaClient
) -> None:
    service.server = server
    body = listing(response(f"{BASE}/webdav/lst/night/"), response(f"{BASE}/webdav/lst/night/{href}"))
    body = body.replace(b"<D:resourcetype/>", b"<D:resourcetype><D:collection/></D:resourcetype>", 1)
    service.fault("PROPFIND", acts.status(207, body=body))

    assert [info.name for info in client.list_dir("/lst/night")] == [name]


@pytest.mark.parametrize(
    "name", ["h#h", "q?x", "p%41q", "a b", "(x)[y]", "üñ日本", "a..b.c", "..a", "a'b&c;d=e+f", ODD]
)
def test_a_name_is_literal_in_all_that_is_done(
    name: str, service: Service, client: CtaClient, target: Path, source: Path, payload: bytes
) -> None:
    path = f"{HOME}/{name}/{name}"

    client.upload(source, path)
    client.download(path, target)

    assert service.files[path] == payload
    assert [info.path for info in client.list_dir(f"{HOME}/{name}")] == [path]
    assert_whole(target, payload)


@pytest.mark.parametrize("name", ["h#h", "q?x", "a..b.c", ODD])
def test_a_name_is_literal_by_fetch(
    name: str, service: Service, client: CtaClient, target: Path, payload: bytes
) -> None:
    service.files[f"/lst/{name}"] = payload
    service.fault("GET", acts.redirect("https://pool.localhost/lst/x?uuid=abc"))

    client.download(f"/lst/{name}", target)

    assert_whole(target, payload)
    assert [one.path for one in service.requests("FETCH")] == [f"/lst/{name}"]

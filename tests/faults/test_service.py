"""The downloadservice: each of its traps, as reference and experience tell them."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from ctadata_providers import (
    AlreadyExistsError,
    CredentialError,
    CtaClient,
    IntegrityError,
    IsADirError,
    NotFoundError,
    PermissionDeniedError,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.backends.services import reading
from tests.faults import acts
from tests.faults.cells import Told, assert_absent, assert_nothing_secret, assert_whole
from tests.faults.scripted import Exchange
from tests.faults.service import HOME, LOGIN, PNFS, SCOPE, TOKEN, Service, page
from tests.faults.service import get as right_get

PATH = "/lst/night/events.fits"
OURS = f"{HOME}/events.fits"
ODD = "a..b #1 p%41q ü?(x)[y].fits"
Client = Callable[..., CtaClient]


@pytest.fixture
def service(payload: bytes) -> Iterator[Service]:
    with Service(files={PATH: payload}, folders={HOME, "/lst/empty"}, ranges=True) as started:
        yield started


@pytest.fixture
def client_of_service(ca: Path, service: Service) -> Iterator[Client]:
    """Make clients of the service."""
    with ExitStack() as stack:

        def make(**settings: Any) -> CtaClient:
            how = {"retries": 1, "timeout": 1.0, "connect_timeout": 2.0, "ca_path": ca, "hub_token": TOKEN, **settings}
            return stack.enter_context(CtaClient(**{"service_url": service.service_url, **how}))

        yield make


@pytest.fixture
def client(client_of_service: Client) -> CtaClient:
    return client_of_service()


def asked(service: Service, method: str) -> list[str]:
    return [one.path for one in service.asked if one.method == method]


# Looking


def test_a_folder_is_listed_by_one_propfind(service: Service, client: CtaClient, payload: bytes) -> None:
    infos = list(client.list_dir("/lst/night"))

    assert [(info.path, info.is_dir, info.size) for info in infos] == [(PATH, False, len(payload))]
    assert [one.method for one in service.asked] == ["PROPFIND"]


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


@pytest.mark.parametrize("body", [b"<html>login</html>", b'{"a": 1}', b"[1, 2]", b""])
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
    assert asked(service, "FETCH") == [f"/lst/{name}"]


# Reading


def test_a_small_file_is_one_range(service: Service, client: CtaClient, target: Path, payload: bytes) -> None:
    client.download(PATH, target)

    assert_whole(target, payload)
    assert [(one.method, one.headers.get("range")) for one in service.asked] == [
        ("PROPFIND", None),
        ("GET", "bytes=0-299999"),
    ]


def test_a_large_file_comes_in_pieces_of_one_version(
    service: Service, client: CtaClient, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PIECE", 100_000)

    client.download(PATH, target)

    assert_whole(target, payload)
    ranges = [(one.headers["range"], "if-match" in one.headers) for one in service.requests("GET")]
    assert ranges == [("bytes=0-99999", False), ("bytes=100000-199999", True), ("bytes=200000-299999", True)]


def test_a_piece_is_at_most_64_mib() -> None:
    assert reading.PIECE == 64 * 1024 * 1024


def test_a_file_that_changes_between_its_pieces_is_never_a_mixture(
    service: Service, client: CtaClient, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PIECE", 100_000)

    def change(exchange: Exchange) -> None:
        right_get(exchange)
        service.files[PATH] = payload[::-1]

    service.fault("GET", change, times=1)

    assert_absent(lambda: client.download(PATH, target), IntegrityError, PATH, target)


def test_bytes_that_the_service_would_replace_come_as_they_are(
    service: Service, client: CtaClient, target: Path
) -> None:
    service.files[PATH] = content = b"<D" + PNFS + b"lst</D" + os.urandom(1000)

    client.download(PATH, target)

    assert_whole(target, content)
    assert asked(service, "FETCH") == [PATH]


def test_a_later_piece_that_the_service_replaces_in_goes_on_by_fetch(
    service: Service, client: CtaClient, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PIECE", 100_000)
    service.files[PATH] = content = payload[:150_000] + PNFS + payload[150_000:]

    client.download(PATH, target)

    assert_whole(target, content)
    assert (len(service.requests("GET")), len(service.requests("FETCH"))) == (2, 1)


def test_a_redirect_of_the_storage_is_not_followed_but_fetched(
    service: Service, client: CtaClient, target: Path, payload: bytes
) -> None:
    with Service(files={PATH: b"from the pool"}) as pool:
        service.fault("GET", acts.redirect(pool.url + PATH))
        client.download(PATH, target)
        client.download(PATH, target)

        assert_whole(target, payload)
        assert pool.asked == []
        assert (len(service.requests("GET")), len(service.requests("FETCH"))) == (1, 2)


@pytest.mark.parametrize("size", [10, 70_000, 3_000_000])
def test_a_file_of_any_size_is_fetched(size: int, service: Service, client: CtaClient, target: Path) -> None:
    service.files[PATH] = content = random.Random(size).randbytes(size)
    service.fault("GET", acts.redirect("https://pool.localhost/x"))

    client.download(PATH, target)

    assert_whole(target, content)


@pytest.mark.parametrize("redirected", [True, False])
def test_an_empty_file_is_empty(redirected: bool, service: Service, client: CtaClient, target: Path) -> None:
    service.files[PATH] = b""
    if redirected:
        service.fault("GET", acts.redirect("https://pool.localhost/x"))

    client.download(PATH, target)

    assert_whole(target, b"")


PAGES = {
    "shorter": b"Error: 503 <html>the pool is away</html>",
    "longer than a small file": b"<html>" + b"x" * 5000 + b"</html>",
    "much longer than a page": b"x" * 700_000,
}


@pytest.mark.parametrize("size", [100, 300_000])
@pytest.mark.parametrize("what", PAGES)
def test_a_page_that_comes_with_200_is_never_the_file(
    what: str, size: int, service: Service, client: CtaClient, target: Path
) -> None:
    service.files[PATH] = bytes(size)
    service.fault("GET", acts.redirect("https://pool.localhost/x"))
    service.fault("FETCH", lambda exchange: page(exchange, PAGES[what]))

    assert_absent(lambda: client.download(PATH, target), (TransientError, IntegrityError), PATH, target)


def test_a_page_of_the_size_of_the_file_is_not_the_file(service: Service, client: CtaClient, target: Path) -> None:
    told = b"Storage is busy. Please try again in an hour."
    service.files[PATH] = b"x" * len(told)
    service.checksums = True
    service.fault("GET", acts.redirect("https://pool.localhost/x"))
    service.fault("FETCH", lambda exchange: page(exchange, told))

    assert_absent(lambda: client.download(PATH, target), TransientError, PATH, target)


def test_a_page_of_the_size_of_the_file_is_known_without_a_checksum(
    service: Service, client: CtaClient, target: Path
) -> None:
    service.files[PATH] = b"<D" + PNFS + b"x" * 100
    service.fault("FETCH", lambda exchange: page(exchange, b"p" * len(service.files[PATH])))

    assert_absent(lambda: client.download(PATH, target), TransientError, PATH, target)


def test_a_file_that_looks_like_a_page_is_downloaded_where_its_checksum_is_known(
    service: Service, client: CtaClient, target: Path
) -> None:
    service.files[PATH] = content = b"<html>Error: 404 is what I wrote about</html>"
    service.checksums = True
    service.fault("GET", acts.redirect("https://pool.localhost/x"))

    client.download(PATH, target)

    assert_whole(target, content)


@pytest.mark.parametrize(
    ("words", "kind"),
    [(b"Error: 403 no", PermissionDeniedError), (b"Error: 404 no", NotFoundError), (b"Error: 500 no", TransientError)],
)
def test_a_page_that_tells_its_status_is_that_error(
    words: bytes, kind: type[OSError], service: Service, client: CtaClient, target: Path
) -> None:
    service.fault("GET", acts.redirect("https://pool.localhost/x"))
    service.fault("FETCH", lambda exchange: page(exchange, words))

    with pytest.raises(kind):
        client.download(PATH, target)


@pytest.mark.parametrize("sent", [0, 1000, 100_000])
def test_a_fetch_that_hangs_after_a_broken_stream_ends_by_the_time_out(
    sent: int, service: Service, client_of_service: Client, target: Path, payload: bytes
) -> None:
    def hang(exchange: Exchange) -> None:
        page(exchange, payload[:sent], end=False)
        exchange.stall()

    service.fault("GET", acts.redirect("https://pool.localhost/x"))
    service.fault("FETCH", hang)
    client = client_of_service(timeout=0.2, retries=0)

    assert_absent(lambda: client.download(PATH, target), TransientError, PATH, target)


def test_a_folder_is_no_file(client: CtaClient, target: Path) -> None:
    with pytest.raises(IsADirError):
        client.download("/lst/night", target)


# Faults of the storage behind WebDAV

BROKEN: dict[str, tuple[Any, type[Exception]]] = {
    "500": (acts.status(500), TransientError),
    "503": (acts.status(503), TransientError),
    "403": (acts.status(403), PermissionDeniedError),
    "404": (acts.status(404), NotFoundError),
    "reset before": (acts.reset_after(None), TransientError),
    "silent": (acts.stall_after(None), TransientError),
    "other bytes": (
        lambda exchange: exchange.answer(206, "Content-Range: bytes 5-9/300000", body=b"12345"),
        TransientError,
    ),
    "too few": (
        lambda exchange: (
            exchange.head(206, "Content-Range: bytes 0-299999/300000", "Connection: close"),
            exchange.send(b"x" * 1000),
            exchange.end(),
        ),
        TransientError,
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_of_the_storage_is_the_right_error_and_no_file(
    fault: str, service: Service, client_of_service: Client, target: Path
) -> None:
    act, kind = BROKEN[fault]
    service.fault("GET", act)
    service.fault("FETCH", lambda exchange: page(exchange, b"Error: 503 away"))
    client = client_of_service(timeout=0.2, retries=1)

    assert_absent(lambda: client.download(PATH, target), kind, PATH, target)


@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_a_fault_that_passes_is_waited_out(
    method: str, service: Service, client_of_service: Client, target: Path, payload: bytes
) -> None:
    service.fault(method, acts.status(503), times=2)

    client_of_service(retries=3).download(PATH, target)

    assert_whole(target, payload)


# Writing


def test_an_upload_makes_its_folders_and_looks_at_what_is_stored(
    service: Service, client: CtaClient, source: Path, payload: bytes
) -> None:
    result = client.upload(source, f"{HOME}/new/deep/events.fits")

    assert service.files[f"{HOME}/new/deep/events.fits"] == payload
    assert result.size == len(payload)
    assert [one.head.split()[1] for one in service.requests("MKCOL")] == [
        f"/services/downloadservice/webdav{HOME}/new/",
        f"/services/downloadservice/webdav{HOME}/new/deep/",
    ]
    assert not any("expect" in one.headers for one in service.asked)


def test_a_large_upload_never_asks_first(service: Service, client: CtaClient, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(3_000_000))

    client.upload(large, OURS)

    assert len(service.files[OURS]) == 3_000_000
    assert "expect" not in service.requests("PUT")[0].headers


def test_an_overwrite_is_answered_by_204_and_is_a_success(
    service: Service, client: CtaClient, source: Path, payload: bytes
) -> None:
    service.files[OURS] = b"old"

    client.upload(source, OURS)

    assert service.files[OURS] == payload


def test_what_exists_is_kept_when_it_may_not_be_replaced(service: Service, client: CtaClient, source: Path) -> None:
    service.files[OURS] = b"old"

    with pytest.raises(AlreadyExistsError):
        client.upload(source, OURS, overwrite=False)

    assert service.files[OURS] == b"old"


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("act", [acts.status(405), acts.redirect("https://pool.localhost/x", 307)])
def test_where_webdav_does_not_store_the_upload_route_does(
    act: Any, old: bytes | None, service: Service, client: CtaClient, source: Path, payload: bytes
) -> None:
    service.fault("PUT", act)
    service.files |= {} if old is None else {f"{HOME}/{ODD}": old}

    client.upload(source, f"{HOME}/{ODD}")

    assert service.files[f"{HOME}/{ODD}"] == payload
    assert [unquote(unquote(one.head.split()[1])) for one in service.requests("UPLOAD")] == [
        f"/services/downloadservice/upload/{ODD}"
    ]


def test_an_empty_file_after_a_redirect_is_no_success(service: Service, client: CtaClient, source: Path) -> None:
    def lose(exchange: Exchange) -> None:
        for _ in exchange.chunks():
            pass
        service.files[OURS] = b""
        exchange.answer(200, body=b'{"path": "lst/users/alice/events.fits", "total_written": 300000}')

    service.fault("PUT", acts.redirect("https://pool.localhost/x", 307))
    service.fault("UPLOAD", lose)

    with pytest.raises(IntegrityError, match="a partial file may remain"):
        client.upload(source, OURS)


def test_a_part_that_is_stored_as_if_it_were_whole_is_no_success(
    service: Service, client: CtaClient, source: Path
) -> None:
    def keep_some(exchange: Exchange) -> None:
        service.files[OURS] = b"".join(exchange.chunks())[:1000]
        exchange.answer(201)

    service.fault("PUT", keep_some)

    with pytest.raises(IntegrityError, match="a partial file may remain"):
        client.upload(source, OURS)


def test_a_file_that_is_stored_elsewhere_is_no_success(service: Service, client: CtaClient, source: Path) -> None:
    service.fault("PUT", acts.status(405))
    service.fault("UPLOAD", lambda exchange: exchange.answer(200, body=b'{"path": "cta/users/alice/events.fits"}'))

    with pytest.raises(IntegrityError, match=r"/cta/users/alice/events.fits"):
        client.upload(source, OURS)


def test_an_upload_that_breaks_off_is_sent_again(
    service: Service, client: CtaClient, source: Path, payload: bytes
) -> None:
    service.fault("PUT", acts.keep_a_part(acts.reset_in_body(1000)), times=1)

    client.upload(source, OURS)

    assert service.files[OURS] == payload


def test_a_broken_upload_says_that_a_part_may_remain(service: Service, client: CtaClient, source: Path) -> None:
    service.fault("PUT", acts.keep_a_part(acts.status(500)))

    with pytest.raises(IntegrityError, match="a partial file may remain"):
        client.upload(source, OURS)


def test_outside_the_own_folder_the_own_folder_is_named(client: CtaClient, source: Path) -> None:
    with pytest.raises(PermissionDeniedError, match=f"below {HOME}"):
        client.upload(source, "/lst/night/new.fits")


def test_removing_names_the_door_as_the_way(service: Service, client: CtaClient) -> None:
    with pytest.raises(UnsupportedError, match="--backend webdav"):
        client.remove(PATH)

    assert PATH in service.files


def test_renaming_names_the_door_as_the_way(service: Service, client: CtaClient) -> None:
    with pytest.raises(UnsupportedError, match="--backend webdav"):
        client.move(PATH, "/lst/night/other")

    assert PATH in service.files


# Token and certificate


@pytest.mark.parametrize(
    "act", [lambda client, path: client.stat("/lst"), lambda client, path: client.upload(path, OURS)]
)
def test_a_refused_token_is_told_with_the_page_for_a_new_one(
    act: Callable[[CtaClient, Path], object], service: Service, client_of_service: Client, source: Path, told: Told
) -> None:
    client = client_of_service(hub_token="another-secret-token")

    with pytest.raises(CredentialError, match=f"{service.url}/hub/token") as caught:
        act(client, source)

    assert_nothing_secret(told.text(caught.value), "another-secret-token")
    assert all(one.path.startswith(("/lst", OURS)) for one in service.asked)


def test_the_login_page_is_never_taken_for_content(service: Service, client: CtaClient, target: Path) -> None:
    client.stat(PATH)
    service.fault("GET", acts.redirect(LOGIN))
    service.fault("FETCH", acts.redirect(f"{service.url}{LOGIN}"))

    assert_absent(lambda: client.download(PATH, target), CredentialError, "", target)


def test_the_right_content_type_goes_wherever_there_is_no_body(
    service: Service, client: CtaClient, target: Path, source: Path
) -> None:
    client.download(PATH, target)
    list(client.list_dir("/"))
    client.make_dir(f"{HOME}/new")
    client.home()

    types = {one.method: one.headers.get("content-type") for one in service.asked}
    assert types.pop("PROPFIND") == "application/xml; charset=utf-8"
    assert set(types.values()) == {"application/json"}
    assert {"GET", "LIST", "MKCOL", "USER"} <= set(types)


def test_a_token_without_the_scope_is_told_the_scope(service: Service, client: CtaClient) -> None:
    service.scopes = ["access:services!service=other"]
    service.fault("PROPFIND", acts.status(403, body=b"Forbidden"))

    with pytest.raises(CredentialError, match=SCOPE):
        client.stat(PATH)


def test_a_token_for_all_services_has_the_scope(service: Service, client: CtaClient) -> None:
    service.scopes = ["access:services"]
    service.fault("PROPFIND", acts.status(403, body=b"Forbidden"))

    with pytest.raises(PermissionDeniedError):
        client.stat(PATH)


@pytest.mark.parametrize(
    "message",
    [
        b"Error while retrieving certificate: You do not have any certificate configured",
        b"Error while retrieving certificate: Your configured certificate is invalid, please reupload it.",
    ],
)
def test_a_missing_or_ended_certificate_says_how_to_give_one(
    message: bytes, service: Service, client: CtaClient
) -> None:
    service.fault("PROPFIND", acts.status(400, body=message, reason="BAD REQUEST"))

    with pytest.raises(CredentialError, match="ctadata certificate upload"):
        list(client.list_dir("/lst/night"))


def test_the_true_reason_of_a_denied_upload_is_looked_for(service: Service, client: CtaClient, source: Path) -> None:
    message = b"Error while retrieving certificate: You do not have any certificate configured"
    service.fault("PUT", acts.status(403, body=b"Access denied"))
    service.fault("PROPFIND", acts.status(400, body=message), path="/lst/users")

    with pytest.raises(CredentialError, match="ctadata certificate upload"):
        client.upload(source, OURS)


# One's own folder


@pytest.mark.parametrize(
    ("name", "folders", "home"),
    [
        ("alice", {"/lst/users/alice"}, "/lst/users/alice"),
        ("Bob.Smith7@x", set(), "/lst/users/bob_smith__x"),
        ("carol01", {"/cta/users/carol01", "/lst"}, "/cta/users/carol01"),
    ],
)
def test_home_is_what_the_hub_tells_and_the_storage_has(
    name: str, folders: set[str], home: str, service: Service, client: CtaClient
) -> None:
    service.name, service.folders = name, folders

    assert client.home() == home
    assert client.home() == home
    assert len(service.requests("USER")) == 1


def test_the_setting_home_wins(service: Service, client_of_service: Client) -> None:
    assert client_of_service(home="/cta/group").home() == "/cta/group"
    assert service.asked == []

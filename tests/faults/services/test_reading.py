"""Reading through the downloadservice: each of its traps, as reference and experience tell them."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import (
    CtaClient,
    IntegrityError,
    IsADirError,
    NotFoundError,
    PermissionDeniedError,
    TransientError,
)
from ctadata_providers.backends.services import reading
from tests.faults import acts
from tests.faults.cells import assert_absent, assert_whole
from tests.faults.scripted import Exchange
from tests.faults.services.scripted import PATH, PNFS, Client, Service, page
from tests.faults.services.scripted import get as right_get


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
    assert [one.path for one in service.requests("FETCH")] == [PATH]


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

"""What the WebDAV backend makes of servers, each in its own way."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers import (
    AlreadyExistsError,
    Config,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientError,
)
from ctadata_providers.backends import Backend, ClockBackend
from ctadata_providers.backends.base import ReadResult
from ctadata_providers.backends.webdav import WebdavBackend
from ctadata_providers.session.futures import Future
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.testing import FakeCta
from tests.faults import acts
from tests.faults.scripted import Door, Exchange, entry, listing, response

FOLDER = "<D:resourcetype><D:collection/></D:resourcetype>"


@pytest.fixture
def door() -> Iterator[Door]:
    with Door(tls=False, server="XrootD/v5.5.3", files={"/tree/p%41q h#h": b"x"}) as started:
        yield started


def backend_of(door: Door, **settings: object) -> WebdavBackend:
    return WebdavBackend(Config(door_url=door.url, **{"retries": 0, **settings}))


def test_the_first_listing_of_all_reads_literal_names(door: Door) -> None:
    door.fault("PROPFIND", acts.status(207, body=listing(response("/tree/", FOLDER), response("/tree/p%41q h#h"))))

    (info,) = backend_of(door).list_dir("/tree")

    assert info.path == "/tree/p%41q h#h"


def test_a_file_that_is_listed_first_of_all_costs_no_retry(door: Door) -> None:
    def as_xrootd(exchange: Exchange) -> None:
        if exchange.asked.path.endswith("/"):
            exchange.answer(500)
        else:
            exchange.answer(207, body=listing(response("/tree/p%41q h#h")))

    door.fault("PROPFIND", as_xrootd)

    with pytest.raises(NotADirError):
        list(backend_of(door, retries=5).list_dir("/tree/p%41q h#h"))

    assert len(door.asked) == 2


@pytest.mark.parametrize(("server", "code"), [("XrootD/v5.5.3", 500), ("Apache/2.4.71", 400)])
@pytest.mark.parametrize("path", ["/tree/file/below", "/tree/file/far/below"])
def test_what_is_below_a_file_is_not_there(path: str, server: str, code: int, door: Door) -> None:
    door.server = server
    door.files["/tree/file"] = b"x"
    for below in ("/tree/file/far", "/tree/file/below", "/tree/file/far/below"):
        for slash in ("", "/"):
            door.fault("PROPFIND", acts.status(code), path=below + slash)
    backend = backend_of(door, retries=5)

    with pytest.raises(NotFoundError, match="below a file"):
        backend.stat(path)
    with pytest.raises(NotFoundError, match="below a file"):
        list(backend.list_dir(path))

    assert len(door.asked) <= 7


@pytest.mark.parametrize("code", [400, 500])
def test_a_door_that_answers_nothing_else_is_not_asked_without_end(code: int, door: Door) -> None:
    door.fault("PROPFIND", acts.status(code))

    with pytest.raises(StorageError):
        backend_of(door).stat("/a/b/c/d")

    assert len(door.asked) == 5


def test_a_listing_that_fails_is_tried_as_often_as_it_is_set_and_not_twice(fake_cta: FakeCta) -> None:
    fake_cta.make_dir("/d")
    fake_cta.faults.add("unavailable", retry_after=0)
    backend = WebdavBackend(Config.from_mapping({**fake_cta.settings(), "retries": 2}))

    with pytest.raises(TransientError):
        list(backend.list_dir("/d"))

    assert [request.headers["depth"] for request in fake_cta.requests] == ["1", "1", "1"]


def test_a_folder_that_is_made_elsewhere_is_waited_for(door: Door) -> None:
    with Door(tls=False, server="XrootD/v5.5.3") as other:
        door.fault("MKCOL", lambda exchange: exchange.answer(307, f"Location: {other.url}{exchange.asked.path}"))
        door.fault("PROPFIND", acts.status(404), times=2)
        door.folders.add("/new")

        backend_of(door).make_dir("/new")

    assert [asked.method for asked in door.asked] == ["MKCOL", "PROPFIND", "PROPFIND", "PROPFIND"]


def test_a_folder_that_another_client_makes_in_the_same_moment_exists(door: Door) -> None:
    door.folders.add("/new")  # and Apache answers what its mkdir(2) says: it may not be made
    door.fault("MKCOL", acts.status(403))

    with pytest.raises(AlreadyExistsError):
        backend_of(door).make_dir("/new")


def test_a_folder_that_may_not_be_made_is_refused(door: Door) -> None:
    door.fault("MKCOL", acts.status(403))

    with pytest.raises(PermissionDeniedError):
        backend_of(door).make_dir("/new")


def test_a_look_leaves_a_connection_that_can_be_used_again(door: Door) -> None:
    numbers: list[int] = []

    def many(exchange: Exchange) -> None:
        numbers.append(exchange.number)
        exchange.answer(207, body=listing(*[entry(door, "/tree/p%41q h#h")] * 100))

    door.fault("PROPFIND", many)
    backend = backend_of(door)

    for _ in range(3):
        backend.stat("/tree/p%41q h#h")

    assert numbers == [1, 2, 3]


@pytest.mark.parametrize(
    ("date", "ahead"), [("Sun, 22 Nov 2026 08:02:06 GMT", 6.0), ("never", None), ("Sun, 99 Nov 2026", None), ("", None)]
)
def test_the_clock_of_the_door_is_told(
    date: str, ahead: float | None, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend: Backend = backend_of(door)
    assert isinstance(backend, ClockBackend)
    assert backend.clock_ahead() is None
    monkeypatch.setattr("ctadata_providers.session.time.time", lambda: 1795334520.0)
    body = listing(response("/tree", FOLDER))
    door.fault("PROPFIND", acts.status(207, f"Date: {date}", body=body))

    backend.stat("/tree")

    assert backend.clock_ahead() == ahead


def test_a_pool_does_not_tell_the_doors_clock(door: Door, tmp_path: Path) -> None:
    with Door(tls=False, files={"/x": b"x"}) as pool:
        door.fault("GET", acts.redirect(f"{pool.url}/x"))
        pool.fault("GET", acts.status(200, "Date: Sun, 22 Nov 2020 08:02:06 GMT", body=b"x"))
        backend = backend_of(door)

        backend.read("/x", lambda data: None).result(5)

    assert backend.clock_ahead() is None


def test_an_open_range_does_not_hold_up_the_thread_of_all_transfers() -> None:
    answers = threading.Event()
    readings: list[Future[ReadResult]] = []
    found: list[bytes] = []

    def slowly(exchange: Exchange) -> None:
        answers.wait(30)
        exchange.answer(207, body=listing(entry(exchange.door, exchange.asked.path)))

    with Door(tls=False, ranges=True, files={"/f": b"0123456789"}) as door:
        door.fault("PROPFIND", slowly)
        backend = backend_of(door)
        curl_loop().call(lambda: readings.append(backend.read("/f", found.append, start=5)))
        try:
            curl_loop().sleep(0).result(10)
        finally:
            answers.set()
        readings[0].result(10)

    assert b"".join(found) == b"56789"


@pytest.mark.parametrize("code", [400, 403, 414, 500])
def test_a_name_that_no_server_takes_is_not_there_and_cannot_be_made(code: int) -> None:
    path = f"/tree/{'n' * 256}"
    with Door(tls=False) as door:
        for method in ("PROPFIND", "MKCOL"):
            door.fault(method, acts.status(code))
        backend = backend_of(door, retries=2)
        with pytest.raises(NotFoundError, match="longer than 255 bytes"):
            backend.stat(path)
        with pytest.raises(NotFoundError, match="longer than 255 bytes"):
            list(backend.list_dir(path))
        with pytest.raises(StorageError, match="a name in it is too long") as caught:
            backend.make_dir(path)

    assert not isinstance(caught.value, TransientError)
    assert [asked.method for asked in door.asked] == ["PROPFIND", "PROPFIND", "MKCOL"]

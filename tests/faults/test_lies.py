"""Sizes that lie: in the listing, in the header, in the range, and after an upload."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import (
    Config,
    CtaClient,
    CtaError,
    IntegrityError,
    StorageError,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.backends.webdav import WebdavBackend
from tests.faults import acts
from tests.faults.cells import assert_absent, assert_whole, parts_at
from tests.faults.ranged import asked_bytes, ranged
from tests.faults.scripted import Door, Exchange, listing, put, response

PATH = "/night/events.fits"
SIZE = 300_000
Open = Callable[..., Door]
Client = Callable[..., CtaClient]

# What the listing says, what the header says, and how many bytes come; the error, None when the file is right.
LIES: dict[str, tuple[int | None, str | None, int, type[CtaError] | None]] = {
    "no lie": (SIZE, f"{SIZE}", SIZE, None),
    "body shorter": (SIZE, f"{SIZE}", SIZE - 1, TransientError),
    "body longer": (SIZE, f"{SIZE}", SIZE + 1, None),
    "header shorter": (SIZE, f"{SIZE - 1}", SIZE, IntegrityError),
    "header longer": (SIZE, f"{SIZE + 1}", SIZE, TransientError),
    "header longer, and the body": (SIZE, f"{SIZE + 1}", SIZE + 1, IntegrityError),
    "listing shorter": (SIZE - 1, f"{SIZE}", SIZE, IntegrityError),
    "listing longer": (SIZE + 1, f"{SIZE}", SIZE, IntegrityError),
    "listing says nothing": (0, f"{SIZE}", SIZE, IntegrityError),
    "no header": (SIZE, None, SIZE, None),
    "no header, body shorter": (SIZE, None, SIZE - 1, IntegrityError),
    "no header, body longer": (SIZE, None, SIZE + 1, IntegrityError),
    "no header, no body": (SIZE, None, 0, IntegrityError),
    "no listing": (None, f"{SIZE}", SIZE, None),
    "no listing, body shorter": (None, f"{SIZE}", SIZE - 1, TransientError),
    "header negative": (SIZE, "-1", SIZE, StorageError),
    "header is a word": (SIZE, "many", SIZE, StorageError),
    "header without end": (SIZE, "9" * 400, SIZE, None),
    "header twice": (SIZE, f"{SIZE}\r\nContent-Length: 5", SIZE, StorageError),
    "header in other digits": (SIZE, "\xb2", SIZE, StorageError),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_download_is_right_or_an_error(
    lie: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    listed, announced, count, kind = LIES[lie]
    door = open_door(tls=False)  # TLS tells the end of a body by itself
    size = "" if listed is None else f"<D:getcontentlength>{listed}</D:getcontentlength>"
    told = f"<D:resourcetype/><D:getetag>x</D:getetag>{size}"
    door.fault("PROPFIND", acts.status(207, body=listing(response(PATH, told))))

    def answer(exchange: Exchange) -> None:
        exchange.head(200, "Connection: close", *([f"Content-Length: {announced}"] if announced else []))
        exchange.send((payload + b"x")[:count])
        exchange.end()

    door.fault("GET", answer)
    client = client_of(door, retries=0)

    if kind is None:
        client.download(PATH, target)
        assert_whole(target, payload)
    else:
        assert_absent(lambda: client.download(PATH, target), kind, PATH, target)


@pytest.mark.parametrize("stored", [SIZE - 1, SIZE + 1, 0, None])
@pytest.mark.parametrize("renames", [True, False])
def test_an_upload_whose_size_is_told_wrongly_afterwards_is_an_integrity_error(
    renames: bool, stored: int | None, door: Door, client_of: Client, source: Path
) -> None:
    def store_and_lie(exchange: Exchange) -> None:
        path = exchange.asked.path
        size = "" if stored is None else f"<D:getcontentlength>{stored}</D:getcontentlength>"
        told = f"<D:resourcetype/><D:getetag>y</D:getetag>{size}"
        door.fault("PROPFIND", acts.status(207, body=listing(response(path, told))), path=path, times=1)
        put(exchange)

    door.fault("PUT", store_and_lie)
    if not renames:
        door.fault("MOVE", acts.status(405))
        del door.files[PATH]
    client = client_of(door, retries=0)

    with pytest.raises(IntegrityError) as caught:
        client.upload(source, PATH)

    assert PATH in str(caught.value)
    assert parts_at(door) == []
    assert door.files == ({PATH: b"old one"} if renames else {})


# The Content-Range that is answered to bytes 4-7 of 36, the body, and the error.
RANGES: dict[str, tuple[str, bytes, type[CtaError] | None]] = {
    "right": ("bytes 4-7/36", b"4567", None),
    "size unknown": ("bytes 4-7/*", b"4567", None),
    "other bytes": ("bytes 5-8/36", b"5678", TransientError),
    "fewer bytes": ("bytes 4-6/36", b"456", TransientError),
    "more bytes": ("bytes 4-8/36", b"45678", TransientError),
    "fewer than it says": ("bytes 4-7/36", b"456", TransientError),
    "more than it says": ("bytes 4-7/36", b"45678", IntegrityError),
    "all of them": ("bytes 4-7/36", bytes(36), IntegrityError),
    "none": ("bytes */36", b"", TransientError),
    "missing": ("", b"4567", TransientError),
    "no total": ("bytes 4-7", b"4567", TransientError),
    "beyond its own total": ("bytes 4-7/7", b"4567", TransientError),
    "in other digits": ("bytes \xb2-7/36", b"4567", TransientError),
    "another unit": ("lines 4-7/36", b"4567", TransientError),
    "negative": ("bytes -4-7/36", b"4567", TransientError),
    "XRootD 5.5, beyond the end": ("bytes 4--1/36", b"", TransientError),
}


@pytest.mark.parametrize("length", [True, False], ids=["announced", "not announced"])
@pytest.mark.parametrize("lie", RANGES)
def test_no_wrong_bytes_of_a_range_are_taken_for_right(lie: str, length: bool, open_door: Open) -> None:
    span, body, kind = RANGES[lie]
    door = open_door(tls=False)

    def answer(exchange: Exchange) -> None:
        headers = [f"Content-Range: {span}"] if span else []
        exchange.head(206, "Connection: close", *headers, *([f"Content-Length: {len(body)}"] if length else []))
        exchange.send(body)
        exchange.end()

    door.fault("GET", answer)
    backend = WebdavBackend(Config(door_url=door.url))
    taken: list[bytes] = []
    future = backend.read("/x", taken.append, start=4, end=8)

    if kind is None:
        assert future.result(5).size in (36, None)
        assert b"".join(taken) == b"4567"
    else:
        with pytest.raises(kind):
            future.result(5)
        assert len(b"".join(taken)) <= 4


def test_the_range_of_one_request_is_not_that_of_the_next(open_door: Open) -> None:
    """Without a token a plain GET has no header of its own, and pycurl takes an empty list for no word at all."""
    door = open_door(tls=False, files={"/x": bytes(range(36))})
    door.fault("GET", ranged())
    backend = WebdavBackend(Config(door_url=door.url))
    some: list[bytes] = []
    backend.read("/x", some.append, start=4, end=8).result(5)
    whole: list[bytes] = []
    backend.read("/x", whole.append).result(5)

    assert (b"".join(some), b"".join(whole)) == (bytes(range(4, 8)), bytes(range(36)))
    assert asked_bytes(door, "/x") == [(4, 8), None]


def test_a_range_that_is_ignored_is_told_before_a_byte_is_taken(open_door: Open, ca: Path) -> None:
    door = open_door(files={"/x": bytes(36)})
    taken: list[bytes] = []

    with pytest.raises(UnsupportedError):
        WebdavBackend(Config(door_url=door.url, ca_path=ca)).read("/x", taken.append, start=4, end=8).result(5)

    assert taken == []

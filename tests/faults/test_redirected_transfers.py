"""Transfers that are redirected: retries start at the door, nothing is left behind."""

from collections.abc import Callable
from pathlib import Path
from zlib import adler32

import pytest

from ctadata_providers import Config, CtaClient, CtaError, IntegrityError, StorageError, TransientError
from ctadata_providers.testing import FakeCta
from tests.faults import acts
from tests.faults.cells import assert_absent, assert_whole, parts_at
from tests.faults.scripted import Door, Exchange, put

PATH = "/night/events.fits"
TOKEN = "an-opaque-token-0123456789"
BEARER = f"Bearer {TOKEN}"
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


def tokens(door: Door, method: str) -> list[str | None]:
    """Return the Authorization header of every request of a method."""
    return [asked.headers.get("authorization") for asked in door.requests(method)]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_the_same_origin_gets_the_token_again(
    code: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload, "/moved": payload})
    door.fault("GET", acts.redirect("/moved", code), path=PATH)

    client_of(door, token=TOKEN).download(PATH, target)

    assert_whole(target, payload)
    assert tokens(door, "GET") == [BEARER, BEARER]


def test_an_upload_is_not_sent_on_over_plain_http(open_door: Open, client_of: Client, target: Path) -> None:
    door, plain = open_door(folders={"/night"}), open_door(tls=False, folders={"/night"})
    door.fault("PUT", lambda exchange: exchange.answer(307, f"Location: {plain.url}{exchange.asked.path}"))
    client = client_of(door, token=TOKEN)

    error = assert_absent(lambda: client.upload(target, PATH), StorageError, PATH, target)

    assert "allow_http_pools" in (error.remedy or "")
    assert plain.asked == []
    assert door.files == {}


@pytest.mark.parametrize("told", [True, False], ids=["with a checksum", "without"])
def test_an_allowed_plain_pool_gets_no_token_and_needs_a_checksum(
    told: bool, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload}, checksums=told)
    plain = open_door(tls=False, files={PATH: payload})
    door.fault("GET", acts.redirect(plain.url + PATH))
    client = client_of(door, token=TOKEN, trusted_hosts=("localhost",), allow_http_pools=True)

    if told:
        client.download(PATH, target)
        assert_whole(target, payload)
    else:
        assert_absent(lambda: client.download(PATH, target), CtaError, PATH, target)

    assert tokens(plain, "GET") == [None]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_a_plain_pool_says_of_its_own_bytes_proves_nothing(
    method: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    payload *= 4
    wrong = payload[:-1] + b"?"
    server = "dCache/9.2.0" if method == "GET" else "scripted"
    door = open_door(server=server, files={PATH: payload}, checksums=method == "GET")
    plain = open_door(tls=False, server=server, files={PATH: wrong})
    for each in ("GET", method):
        door.fault(each, acts.redirect(plain.url + PATH))
        plain.fault(each, lambda exchange: exchange.answer(200, f"Digest: adler32={adler32(wrong):08x}", body=wrong))

    client = client_of(door, allow_http_pools=True)

    assert_absent(lambda: client.download(PATH, target), IntegrityError, PATH, target)
    assert plain.requests(method)


def test_a_location_in_raw_utf8_is_understood(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door = open_door(files={PATH: payload, "/Größe/日本": payload})
    door.fault("GET", acts.redirect("/Größe/日本".encode().decode("latin-1")), path=PATH)

    client_of(door).download(PATH, target)

    assert_whole(target, payload)


def test_every_retry_starts_at_the_door(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door, pool = open_door(files={PATH: payload}), open_door(files={PATH: payload})
    issued = 0

    def to_pool(exchange: Exchange) -> None:
        nonlocal issued
        issued += 1
        exchange.answer(302, f"Location: {pool.url}{PATH}?dcache-http-uuid=single-use-{issued}")

    door.fault("GET", to_pool)
    pool.fault("GET", acts.reset_after(1000), times=1)
    pool.fault("GET", acts.status(500), times=1)

    result = client_of(door, token=TOKEN).download(PATH, target)

    assert_whole(target, payload)
    assert result.retries == 2
    assert [asked.query[-12:] for asked in pool.requests("GET")] == [f"single-use-{n}" for n in (1, 2, 3)]
    assert tokens(pool, "GET") == [None] * 3


def test_every_upload_retry_starts_at_the_door(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(server="dCache/9.2.47", folders={"/night"})
    pool = open_door(server="dCache/9.2.47", files=door.files)
    issued = 0

    def to_pool(exchange: Exchange) -> None:
        nonlocal issued
        issued += 1
        exchange.answer(307, f"Location: {pool.url}{exchange.asked.path}?dcache-http-uuid=single-use-{issued}")

    door.fault("PUT", to_pool)
    pool.fault("PUT", lambda exchange: exchange.reset(), times=1)
    target.write_bytes(payload)
    client = client_of(door, token=TOKEN, timeout=2.0)
    client.stat("/night")  # tells that the door is a dCache

    client.upload(target, PATH)

    assert door.files == {PATH: payload}
    assert [asked.query[-12:] for asked in pool.requests("PUT")] == ["single-use-1", "single-use-2"]
    assert [asked.received for asked in door.requests("PUT")] == [0, 0]
    assert tokens(pool, "PUT") == [None, None]
    assert not [name for asked in pool.requests("PUT") for name in asked.headers if name == "content-type"]


@pytest.mark.parametrize("answer", ["back to the door", "400"])
def test_a_pool_url_that_is_used_up_is_replaced(
    answer: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door, pool = open_door(files={PATH: payload}), open_door(files={PATH: payload})
    door.fault("GET", acts.redirect(f"{pool.url}{PATH}?dcache-http-uuid=some-uuid-0123"))
    used_up = (
        acts.redirect(door.url + PATH, 307)
        if answer == "back to the door"
        else acts.status(400, reason="Request is no longer valid")
    )
    pool.fault("GET", used_up, times=1)
    client = client_of(door, token=TOKEN)

    if answer == "400":
        assert_absent(lambda: client.download(PATH, target), StorageError, PATH, target)
    else:
        client.download(PATH, target)
        assert_whole(target, payload)
        assert tokens(door, "GET") == [BEARER, BEARER]


def test_a_dcache_pool_never_sees_the_token(fake_cta: FakeCta, target: Path, tmp_path: Path, payload: bytes) -> None:
    fake_cta.put(PATH, payload)
    source = tmp_path / "source"
    source.write_bytes(payload)

    with CtaClient(Config.from_mapping(fake_cta.settings())) as client:
        client.download(PATH, target)
        client.upload(source, "/night/new.fits")

    assert_whole(target, payload)
    pool = [request for request in fake_cta.requests if request.server == "pool"]
    door = [request for request in fake_cta.requests if request.server == "door"]
    assert {request.method for request in pool} == {"GET", "PUT"}
    assert not [request for request in pool if "authorization" in request.headers or "authz" in request.query]
    assert all("authorization" in request.headers for request in door)
    assert fake_cta.get("/night/new.fits") == payload


def test_an_upload_sent_in_a_circle_leaves_nothing(open_door: Open, client_of: Client, target: Path) -> None:
    door = open_door(folders={"/night"})
    door.fault("PUT", lambda exchange: exchange.answer(307, f"Location: {exchange.asked.path}"))
    client = client_of(door)

    error = assert_absent(lambda: client.upload(target, PATH), StorageError, "/night", target)

    assert not isinstance(error, TransientError)
    assert door.files == {}
    assert len(door.requests("PUT")) < 10


def test_an_upload_follows_to_the_right_place(open_door: Open, client_of: Client, target: Path) -> None:
    door = open_door(folders={"/night"})
    door.fault("PUT", lambda exchange: exchange.answer(307, f"Location: {exchange.asked.path}"), times=1)
    door.fault("PUT", put)

    client_of(door).upload(target, PATH)

    assert door.files == {PATH: b"old"}
    assert parts_at(door) == []


def test_a_redirector_that_leaves_a_body_unread_gets_no_further_request_behind_it(
    open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    door = open_door(server="XrootD/v5.5.3", folders={"/night"})
    data = open_door(server="XrootD/v5.5.3", files=door.files)

    def redirect_without_reading(exchange: Exchange) -> None:
        exchange.answer(307, f"Location: {data.url}{exchange.asked.path}")
        if "expect" not in exchange.asked.headers:
            for _ in exchange.chunks():
                pass
            exchange.receive()  # the next request; the body is taken for the beginning of it
            exchange.answer(400)
            exchange.end()

    door.fault("PUT", redirect_without_reading)
    client = client_of(door, retries=0)

    for number in range(3):
        (tmp_path / str(number)).write_bytes(b"small")
        client.upload(tmp_path / str(number), f"/night/{number}")

    assert door.files == {f"/night/{number}": b"small" for number in range(3)}
    assert ["expect" in asked.headers for asked in door.requests("PUT")] == [False, True, True]

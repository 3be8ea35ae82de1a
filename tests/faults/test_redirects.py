"""Redirects: where they may lead, and that no credential goes along."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import Config, CtaClient, CtaError, StorageError, TransientError
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


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PROPFIND"])
def test_another_port_or_host_gets_no_token(
    method: str, host: str, open_door: Open, client_of: Client, target: Path, payload: bytes, tmp_path: Path
) -> None:
    door, other = open_door(files={PATH: payload}), open_door(files={PATH: payload}, folders={"/night"})
    door.fault(method, lambda exchange: exchange.answer(307, f"Location: {other.at(host)}{exchange.asked.path}?u=1"))
    client = client_of(door, token=TOKEN)

    if method == "PUT":
        source = tmp_path / "source"
        source.write_bytes(payload)
        # What arrives at the other server is not found at the door: an error, but the wire is what counts here.
        with pytest.raises(CtaError):
            client.upload(source, "/night/new.fits")
    else:
        client.download(PATH, target)
        assert_whole(target, payload)

    assert set(tokens(door, method)) == {BEARER}
    assert tokens(other, method) == [None]


def test_the_same_port_under_another_name_gets_no_token(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload, "/moved": payload})
    door.fault("GET", acts.redirect(f"{door.at('127.0.0.1')}/moved"), path=PATH)

    client_of(door, token=TOKEN).download(PATH, target)

    assert tokens(door, "GET") == [BEARER, None]


@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_a_trusted_host_gets_the_token(
    method: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door, other = open_door(files={PATH: payload}), open_door(files={PATH: payload})
    door.fault(method, acts.redirect(other.at("127.0.0.1") + PATH))

    client_of(door, token=TOKEN, trusted_hosts=("127.0.0.1",)).download(PATH, target)

    assert_whole(target, payload)
    assert tokens(other, method) == [BEARER]


@pytest.mark.parametrize("trusted", [(), ("localhost",)])
@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_plain_http_is_refused(
    method: str, trusted: tuple[str, ...], open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door, plain = open_door(files={PATH: payload}), open_door(tls=False, files={PATH: payload})
    door.fault(method, acts.redirect(plain.url + PATH))
    client = client_of(door, token=TOKEN, trusted_hosts=trusted)

    error = assert_absent(lambda: client.download(PATH, target), StorageError, PATH, target)

    assert "allow_http_pools" in (error.remedy or "")
    assert plain.asked == []


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


@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_a_circle_ends(method: str, open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door = open_door(files={PATH: payload})
    door.fault(method, acts.redirect("/b"), path=PATH)
    door.fault(method, acts.redirect(PATH), path="/b")
    client = client_of(door)

    error = assert_absent(lambda: client.download(PATH, target), StorageError, PATH, target)

    assert "redirects" in str(error)
    assert error.remedy
    assert len(door.requests(method)) < 10


LOCATIONS = {
    "missing": None,
    "empty": "",
    "user and password": "https://alice:secret-0123456789@localhost:{port}/x",
    "user": "https://alice@localhost:{port}/x",
    "another scheme": "ftp://localhost:{port}/x",
    "a file": "file:///etc/passwd",
    "a javascript": "javascript:alert(1)",
    "no host": "https:///x",
    "port too large": "https://localhost:99999/x",
    "port is a word": "https://localhost:port/x",
    "half of an IPv6 address": "https://[::1/x",
    "a star": "https://*.example/x",
    "a dot": "https://.example/x",
    "a blank": "https://local host:{port}/x",
    "a control character": "https://localhost:{port}/x\x01y",
    "bytes that are no text": "https://localhost:{port}/\xff\xfe",
    "very long": "https://localhost:{port}/" + "x" * 60_000,
}


@pytest.mark.parametrize("what", LOCATIONS)
@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_a_location_that_leads_nowhere_is_one_clear_error(
    method: str, what: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    location = LOCATIONS[what]
    headers = [] if location is None else [f"Location: {location.format(port=door.port)}"]
    door.fault(method, acts.status(302, *headers), path=PATH)
    client = client_of(door, token=TOKEN, retries=0)

    error = assert_absent(lambda: client.download(PATH, target), CtaError, PATH, target)

    assert "secret" not in str(error)
    assert "alice" not in str(error)


def test_a_location_in_raw_utf8_is_understood(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door = open_door(files={PATH: payload, "/Größe/日本": payload})
    door.fault("GET", acts.redirect("/Größe/日本".encode().decode("latin-1")), path=PATH)

    client_of(door).download(PATH, target)

    assert_whole(target, payload)


@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
def test_an_xrootd_redirector_that_puts_the_token_into_the_url_gets_it_in_the_header(
    method: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(server="XrootD/v5.8.1", files={PATH: payload})
    data = open_door(server="XrootD/v5.8.1", files={PATH: payload})
    door.fault(method, acts.redirect(f"{data.url}{PATH}?authz=Bearer%20{TOKEN}", 307))

    client_of(door, token=TOKEN).download(PATH, target)

    assert_whole(target, payload)
    assert [asked.query for asked in data.requests(method)] == [""]
    assert tokens(data, method) == [BEARER]


def test_no_location_makes_us_send_the_token_over_plain_http(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(server="XrootD/v5.8.1", files={PATH: payload})
    plain = open_door(tls=False, server="XrootD/v5.8.1", files={PATH: payload})
    door.fault("GET", acts.redirect(f"{plain.url}{PATH}?authz=Bearer%20{TOKEN}", 307))
    client = client_of(door, token=TOKEN, trusted_hosts=("localhost",), allow_http_pools=True, checksum="off")

    with pytest.raises(CtaError):
        client.download(PATH, target)

    assert [asked for asked in plain.asked if TOKEN in f"{asked.query}{asked.headers}"] == []


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

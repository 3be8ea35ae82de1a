"""Faults of bytes and connections, downwards and upwards."""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
import requests

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, LeapingClock, Wire, asking

DATA = bytes(range(256)) * 4000
"""More than a pool sends at once."""


@pytest.fixture
def pool_get(fake_cta: FakeCta, ask: Asker) -> Callable[[], tuple[str, dict[str, str], bytes]]:
    """Reads DATA from a pool as far as it comes: status line, headers, body."""
    fake_cta.put("/x", DATA)
    location = ask.redirected("GET", "/x")

    def read() -> tuple[str, dict[str, str], bytes]:
        with Wire(fake_cta, location) as wire:
            wire.send(f"GET /{location.split('/', 3)[3]} HTTP/1.0")
            status = wire.file.readline().decode().strip()
            headers = {}
            while line := wire.file.readline().decode().strip():
                name, _, value = line.partition(": ")
                headers[name.lower()] = value
            parts = []
            with suppress(ConnectionResetError):  # older Pythons take one below TLS for an end
                while part := wire.file.read1(1 << 16):
                    parts.append(part)
            return status, headers, b"".join(parts)

    return read


def test_reset_before_an_answer(fake_cta: FakeCta, ask: Asker) -> None:
    fault = fake_cta.faults.add("reset", times=1)
    with pytest.raises(requests.ConnectionError):
        ask("PROPFIND", "/")
    after = ask("PROPFIND", "/")

    assert (fault.hits, after.status_code) == (1, 207)
    assert [request.status for request in fake_cta.requests] == [0, 207]


def test_reset_after_some_bytes(fake_cta: FakeCta, pool_get: Callable[[], tuple[str, dict[str, str], bytes]]) -> None:
    fault = fake_cta.faults.add("reset", after=300_000)
    status, headers, body = pool_get()

    assert status.endswith("200 OK")
    assert headers["content-length"] == str(len(DATA))
    assert body == DATA[:300_000]
    assert fault.hits == 1


def test_a_reset_is_one_of_tcp() -> None:
    with FakeCta(tls=False, anonymous="full") as cta, asking(cta) as ask:
        cta.put("/x", DATA)
        location = ask("GET", "/x", token=None).headers["Location"]
        cta.faults.add("reset", after=300_000)
        with Wire(cta, location) as wire:
            wire.send(f"GET /{location.split('/', 3)[3]} HTTP/1.1")
            _, headers, body = wire.receive(300_000)
            with pytest.raises(ConnectionResetError):
                wire.is_closed()

    assert (headers["content-length"], body) == (str(len(DATA)), DATA[:300_000])


def test_reset_does_not_strike_what_is_too_short_for_it(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"hello")
    fault = fake_cta.faults.add("reset", after=5)
    answer = ask.at("GET", ask.redirected("GET", "/x"))

    assert (answer.content, fault.hits) == (b"hello", 0)


def test_reset_in_an_upload_leaves_an_empty_file_at_a_pool(fake_cta: FakeCta, ask: Asker) -> None:
    location = ask.redirected("PUT", "/x")
    with fake_cta.fault("reset", after=1000) as fault, pytest.raises(requests.ConnectionError):
        ask.at("PUT", location, data=DATA)

    assert fault.hits == 1
    assert fake_cta.get("/x") == b""


def test_truncated_and_announced_whole(
    fake_cta: FakeCta, pool_get: Callable[[], tuple[str, dict[str, str], bytes]]
) -> None:
    fake_cta.faults.add("truncate", after=1000)
    _, headers, body = pool_get()

    assert (headers["content-length"], body) == (str(len(DATA)), DATA[:1000])


def test_truncated_and_not_announced_seems_whole(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", DATA)
    fake_cta.faults.add("truncate", after=1000, announced=False)
    answer = ask.at("GET", ask.redirected("GET", "/x"))

    assert "Content-Length" not in answer.headers
    assert answer.content == DATA[:1000]


def test_a_truncated_upload_is_stored_short(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.faults.add("truncate", after=3)
    answer = ask("PUT", "/x", data=b"hello")

    assert (answer.status_code, fake_cta.get("/x")) == (201, b"hel")


@pytest.mark.parametrize("announced", [True, False])
def test_longer_than_it_is(
    fake_cta: FakeCta, pool_get: Callable[[], tuple[str, dict[str, str], bytes]], announced: bool
) -> None:
    fake_cta.faults.add("longer-body", by=7, announced=announced)
    _, headers, body = pool_get()

    assert body == DATA + bytes(7)
    assert headers.get("content-length") == (str(len(DATA)) if announced else None)


def test_corrupt_flips_one_bit_down_and_up(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", DATA)
    location = ask.redirected("GET", "/x")
    fake_cta.faults.add("corrupt", after=600_000, times=2)
    down = ask.at("GET", location).content
    up = ask.at("PUT", ask.redirected("PUT", "/y"), {"Want-Digest": "adler32"}, data=DATA)
    stored = fake_cta.get("/y")

    assert down == stored
    assert [(a, b) for a, b in zip(DATA, down, strict=True) if a != b] == [(DATA[600_000], DATA[600_000] ^ 1)]
    assert up.headers["Digest"] == ask("HEAD", "/y", {"Want-Digest": "adler32"}).headers["Digest"]
    assert up.headers["Digest"] != ask("HEAD", "/x", {"Want-Digest": "adler32"}).headers["Digest"]


def test_slow_is_as_slow_as_told(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", bytes(4000))
    location = ask.redirected("GET", "/x")
    with fake_cta.fault("slow", rate=20_000):
        start = time.monotonic()
        answer = ask.at("GET", location)
        seconds = time.monotonic() - start

    assert answer.content == bytes(4000)
    assert 0.15 <= seconds < 2


@pytest.mark.parametrize("after", [0, 2])
def test_stall_waits_and_goes_on(after: int) -> None:
    clock = LeapingClock(20.0)
    with FakeCta(clock=clock) as cta, asking(cta) as ask:
        cta.put("/x", b"hello")
        location = ask.redirected("GET", "/x")
        cta.faults.add("stall", after=after, seconds=100)
        start = clock()
        answer = ask.at("GET", location)
        seconds = clock() - start

    assert answer.content == b"hello"
    assert 100 <= seconds < 200


def test_a_stalled_request_ends_when_its_client_leaves(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"hello")
    fake_cta.faults.add("stall", times=1)
    with Wire(fake_cta, fake_cta.door_url) as wire:
        wire.send("GET /x HTTP/1.1", f"Authorization: Bearer {fake_cta.token}")
        deadline = time.monotonic() + 5
        while not any(fault.hits for fault in fake_cta.faults) and time.monotonic() < deadline:
            time.sleep(0.005)
    while not fake_cta.requests and time.monotonic() < deadline:
        time.sleep(0.005)

    assert [request.status for request in fake_cta.requests] == [0]


def test_closing_does_not_wait_for_what_stalls() -> None:
    with FakeCta() as cta:
        cta.put("/x", b"")
        cta.faults.add("stall")
        wire = Wire(cta, cta.door_url)
        wire.send("GET /x HTTP/1.1", f"Authorization: Bearer {cta.token}")
        while not any(fault.hits for fault in cta.faults):
            time.sleep(0.005)
        start = time.monotonic()
    seconds = time.monotonic() - start
    wire.__exit__()

    assert seconds < 0.5


@pytest.mark.parametrize(
    ("method", "headers", "data"), [("MKCOL", {}, None), ("PUT", {}, b"1"), ("MOVE", {"Destination": "/y"}, None)]
)
def test_a_lost_answer_is_of_something_that_was_done(
    fake_cta: FakeCta, ask: Asker, method: str, headers: dict[str, str], data: bytes | None
) -> None:
    if method == "MOVE":
        fake_cta.put("/x", b"1")
    with fake_cta.fault("lost-answer") as fault, pytest.raises(requests.ConnectionError):
        ask(method, "/x", headers, data=data)

    assert fault.hits == 1
    assert fake_cta.exists("/y" if method == "MOVE" else "/x")


def test_an_answer_that_redirects_is_not_lost(fake_cta: FakeCta, ask: Asker) -> None:
    fault = fake_cta.faults.add("lost-answer")
    location = ask.redirected("PUT", "/x")
    with pytest.raises(requests.ConnectionError):
        ask.at("PUT", location, data=b"hello")

    assert fault.hits == 1
    assert fake_cta.get("/x") == b"hello"


@pytest.mark.parametrize("announced", [True, False])
def test_an_empty_file_can_be_too_long(fake_cta: FakeCta, ask: Asker, announced: bool) -> None:
    fake_cta.put("/x", b"")
    location = ask.redirected("GET", "/x")
    with fake_cta.fault("longer-body", by=2, announced=announced) as fault, Wire(fake_cta, location) as wire:
        wire.send(f"GET /{location.split('/', 3)[3]} HTTP/1.1")
        _, headers, body = wire.receive(length=2 if announced else 12)

    assert fault.hits == 1
    assert headers.get("content-length") == ("0" if announced else None)
    assert body == (b"\0\0" if announced else b"2\r\n\0\0\r\n0\r\n\r\n")


def test_a_broken_listing_ends_in_good_order_in_the_middle_of_its_xml(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/d/x", b"")
    whole = ask("PROPFIND", "/d", {"Depth": "1"})
    with fake_cta.fault("broken-listing", path="/d", after=400):
        broken = ask("PROPFIND", "/d", {"Depth": "1"})

    assert broken.status_code == 207
    assert broken.headers["Transfer-Encoding"] == "chunked"
    assert broken.content == whole.content[:400]


def test_bodies_of_errors_are_left_alone(fake_cta: FakeCta, ask: Asker) -> None:
    fault = fake_cta.faults.add("truncate", after=3)
    answer = ask("PROPFIND", "/no")

    assert answer.text == "The requested resource does not exist: /no\n"
    assert fault.hits == 0

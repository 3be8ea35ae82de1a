"""Downloads on a broken wire: whole and right, or absent with the right error and the old file unharmed."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from zlib import adler32

import pytest

from ctadata_providers import CtaClient, CtaError, IntegrityError, TransientError
from tests.faults import acts
from tests.faults.cells import assert_absent, assert_whole
from tests.faults.scripted import Act, Door, Exchange, get

PATH = "/night/events.fits"
SIZE = 300_000
PASSING: dict[str, Act] = {
    "reset before the answer": acts.reset_after(None),
    "reset at byte 0": acts.reset_after(0),
    "reset in the middle": acts.reset_after(SIZE // 2),
    "reset before the last byte": acts.reset_after(SIZE - 1),
    "silent before the first byte": acts.stall_after(None),
    "silent after the head": acts.stall_after(0),
    "silent in the body": acts.stall_after(SIZE // 2),
    "truncated, length announced": acts.cut_after(SIZE // 2),
    "no answer at all": acts.raw(b""),
    "half a status line": acts.raw(b"HTTP/1."),
    "not HTTP": acts.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "half a head": acts.raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "broken chunks": acts.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc"),
    "half of a chunk": acts.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"),
    "two lengths": acts.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde"),
}
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture(params=[True, False], ids=["https", "http"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_stays_is_a_transient_error_and_leaves_the_old_file(
    fault: str, tls: bool, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=tls, files={PATH: payload})
    door.fault("GET", PASSING[fault])
    client = client_of(door, retries=1) if "silent" not in fault else client_of(door, retries=0, timeout=0.2)

    # libcurl takes a head without an end for a whole one on plain http: then the size tells.
    kinds = (TransientError, IntegrityError) if fault == "half a head" else TransientError
    assert_absent(lambda: client.download(PATH, target), kinds, PATH, target)


@pytest.mark.parametrize("fault", ["reset in the middle", "truncated, length announced", "not HTTP"])
def test_a_broken_connection_says_what_to_do(
    fault: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", PASSING[fault])
    client = client_of(door, retries=0)

    error = assert_absent(lambda: client.download(PATH, target), TransientError, PATH, target)

    assert error.remedy


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_survived(
    fault: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", PASSING[fault], times=1)
    passed: list[int] = []

    result = client_of(door, timeout=0.2 if "silent" in fault else 2.0).download(PATH, target, progress=passed.append)

    assert_whole(target, payload)
    assert result.retries == 1
    assert sum(passed) == len(payload)


@pytest.mark.parametrize(
    ("data", "announce"),
    [(SIZE // 2, True), (SIZE // 2, False), (SIZE + 1, True), (SIZE + 1, False), (0, True)],
    ids=["short", "short, not announced", "long", "long, not announced", "empty"],
)
def test_a_body_of_another_size_is_an_integrity_error(
    data: int, announce: bool, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", acts.serve((payload + b"x")[:data], announce=announce))
    client = client_of(door)

    error = assert_absent(lambda: client.download(PATH, target), IntegrityError, PATH, target)

    assert error.remedy
    assert str(SIZE) in str(error)


def test_a_tls_connection_that_ends_without_goodbye_is_no_end_of_file(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", acts.cut_after(SIZE // 2, announce=False))
    client = client_of(door)

    assert_absent(lambda: client.download(PATH, target), (TransientError, IntegrityError), PATH, target)


def test_bytes_behind_the_announced_end_are_not_taken(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n".encode()
    door.fault("GET", acts.raw(head + payload + b"more"))

    client_of(door).download(PATH, target)

    assert_whole(target, payload)


def test_an_endless_body_is_stopped_soon_after_the_announced_size(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    sent = 0

    def endless(exchange: Exchange) -> None:
        nonlocal sent
        exchange.head(200, "Connection: close")
        while sent < 64 << 20:
            exchange.send(bytes(1 << 18))
            sent += 1 << 18
        exchange.end()

    door.fault("GET", endless)
    client = client_of(door)

    assert_absent(lambda: client.download(PATH, target), IntegrityError, PATH, target)
    assert sent < 32 << 20


@pytest.mark.parametrize("code", [404, 302, 500])
def test_an_endless_error_page_is_not_read_to_its_end(
    code: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    sent = 0

    def endless(exchange: Exchange) -> None:
        nonlocal sent
        exchange.head(code, "Connection: close", "Location: /night/elsewhere")
        while sent < 64 << 20:
            exchange.send(b"<p>sorry</p>" * 20_000)
            sent += 240_000
        exchange.end()

    door.fault("GET", endless, times=1)
    client = client_of(door, retries=0)

    assert_absent(lambda: client.download(PATH, target), CtaError, PATH, target)
    assert sent < 32 << 20


def flipped(payload: bytes) -> bytes:
    return payload[:1000] + bytes([payload[1000] ^ 1]) + payload[1001:]


def test_a_flipped_bit_is_found_by_the_checksum_of_the_listing(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload}, checksums=True)
    door.fault("GET", acts.serve(flipped(payload)))
    client = client_of(door)

    error = assert_absent(lambda: client.download(PATH, target), IntegrityError, PATH, target)

    assert error.remedy
    assert f"{adler32(payload):08x}" in str(error)


def test_what_is_thrown_away_takes_no_room_when_the_error_is_told(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, freed = os.close, threading.Event()

    def slow(descriptor: int) -> None:
        is_part = os.fstat(descriptor).st_size >= len(payload) * 4
        if is_part:
            freed.wait(0.2)  # a disk needs that for some gigabytes
        real(descriptor)
        if is_part:
            freed.set()

    monkeypatch.setattr(os, "close", slow)
    door = open_door(files={PATH: payload * 4}, checksums=True)
    door.fault("GET", acts.serve(flipped(payload * 4)))

    assert_absent(lambda: client_of(door).download(PATH, target), IntegrityError, PATH, target)
    assert freed.is_set()


@pytest.mark.parametrize("algorithm", ["adler32", "md5", "sha-256"])
def test_a_flipped_bit_is_found_by_the_digest_of_a_head_request(
    algorithm: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    payload *= 4
    door = open_door(files={PATH: payload}, digests=algorithm)
    door.fault("GET", acts.serve(flipped(payload)))
    client = client_of(door)

    assert_absent(lambda: client.download(PATH, target), IntegrityError, PATH, target)


@pytest.mark.parametrize("times", [1, 4], ids=["small", "large"])
def test_a_digest_that_the_server_has_alone_is_computed_for_it(
    times: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    payload *= times
    door = open_door(files={PATH: payload}, digests="md5")
    client = client_of(door, checksum="require")

    result = client.download(PATH, target)

    assert result.checksums == {"adler32": f"{adler32(payload):08x}", "md5": hashlib.md5(payload).hexdigest()}
    assert_whole(target, payload)


def test_without_any_digest_a_flipped_bit_passes_unless_one_is_required(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", acts.serve(flipped(payload)))
    strict, lenient = client_of(door, checksum="require"), client_of(door)

    error = assert_absent(lambda: strict.download(PATH, target), IntegrityError, PATH, target)
    lenient.download(PATH, target)

    assert "checksum" in str(error)
    assert target.read_bytes() == flipped(payload)


@pytest.mark.parametrize(("server", "times"), [("XrootD/v5.5.3", 1), ("any", 2)])
def test_a_server_that_hangs_on_a_checksum_is_not_asked_for_another(
    server: str,
    times: int,
    open_door: Open,
    client_of: Client,
    tmp_path: Path,
    payload: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ctadata_providers.backends.asked_checksums.PATIENCE", 0.2)
    door = open_door(files={"/a": payload * 4, "/b": payload * 4}, server=server)
    door.fault("HEAD", lambda exchange: exchange.stall())
    client = client_of(door)

    client.download("/a", tmp_path / "a")
    client.download("/b", tmp_path / "b")

    assert (tmp_path / "b").read_bytes() == payload * 4
    assert [asked.path for asked in door.requests("HEAD")] == ["/a"] * times


def test_a_slow_but_steady_server_is_waited_for(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", acts.drip(20_000, 0.1))

    result = client_of(door, timeout=0.5).download(PATH, target)

    assert_whole(target, payload)
    assert result.retries == 0


def test_a_file_replaced_between_listing_and_download_is_an_integrity_error(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)
    info = client.stat(PATH)
    door.files[PATH] = payload[:-7]

    assert_absent(lambda: client.download(PATH, target, info=info), IntegrityError, PATH, target)


def test_a_refused_connection_is_a_transient_error(client_of: Client, target: Path) -> None:
    with Door() as door:
        client = client_of(door)

    error = assert_absent(lambda: client.download(PATH, target), TransientError, PATH, target)

    assert "network" in (error.remedy or "")


def test_an_unknown_host_is_a_transient_error(target: Path, ca: Path) -> None:
    with CtaClient(door_url="https://door.invalid:2880", retries=1, connect_timeout=2, ca_path=ca) as client:
        error = assert_absent(lambda: client.download(PATH, target), TransientError, PATH, target)

    assert "unknown" in (error.remedy or "")


@pytest.mark.parametrize("act", ["stat", "list", "download"])
def test_a_machine_that_accepts_and_says_nothing_is_left_in_time(
    act: str, target: Path, client_of: Client, open_door: Open, payload: bytes
) -> None:
    door = open_door(tls=False)
    door.fault("PROPFIND", lambda exchange: exchange.stall())
    client = client_of(door, retries=0, timeout=0.2)
    begun = time.monotonic()

    acts_by_name: dict[str, Callable[[], object]] = {
        "stat": lambda: client.stat(PATH),
        "list": lambda: list(client.list_dir(PATH)),
        "download": lambda: client.download(PATH, target),
    }
    assert_absent(acts_by_name[act], TransientError, PATH, target)

    assert time.monotonic() - begun < 10


def test_a_silent_tls_handshake_is_left_in_time(target: Path, ca: Path, payload: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://localhost:{mute.getsockname()[1]}"
        with CtaClient(door_url=url, retries=0, connect_timeout=0.3, timeout=0.3, ca_path=ca) as client:
            assert_absent(lambda: client.download(PATH, target), TransientError, PATH, target)


@pytest.mark.parametrize("name", ["alerts", "SSL", "certificate verify failed", "Connection refused"])
def test_a_name_like_an_error_text_changes_nothing(name: str, client_of: Client, target: Path) -> None:
    with Door() as door:
        client = client_of(door)
    path = f"/{name}/events.fits"

    error = assert_absent(lambda: client.stat(path), TransientError, path, target)

    assert "network" in (error.remedy or "")


def test_a_server_that_comes_back_is_found_again(target: Path, client_of: Client, payload: bytes) -> None:
    with Door(files={PATH: payload}) as door:
        client = client_of(door, retries=9)
        client.download(PATH, target)  # leaves connections that the restart breaks
    with ExitStack() as stack:
        again = Door(files={PATH: payload}, fixed_port=door.port)
        timer = threading.Timer(0.3, lambda: stack.enter_context(again))
        timer.start()
        client.download(PATH, target)
        timer.join()

    assert_whole(target, payload)


def test_an_untrusted_server_is_no_transient_error(open_door: Open, target: Path, payload: bytes) -> None:
    door = open_door(files={PATH: payload})
    with CtaClient(door_url=door.url, retries=3) as client:
        error = assert_absent(lambda: client.download(PATH, target), CtaError, PATH, target)

    assert not isinstance(error, TransientError)
    assert "ca_path" in str(error)


def test_the_right_answer_is_the_right_file(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door = open_door(files={PATH: payload}, checksums=True)
    door.fault("GET", get, times=1)

    result = client_of(door).download(PATH, target)

    assert_whole(target, payload)
    assert result.checksums == {"adler32": f"{adler32(payload):08x}"}

"""Bytes that are given on as they come: each once, and of one file, whatever breaks."""

import random
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from ctadata_providers import CtaClient, FileInfo, IntegrityError, StorageError, TransientError, UnsupportedError
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.transfer import streaming
from tests.faults import acts
from tests.faults.ranged import asked_bytes, ranged
from tests.faults.scripted import Door

PATH = "/night/events.fits"
SIZE = 4_000_000
HALF = 2_000_000
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture
def payload() -> bytes:
    return random.Random(5).randbytes(SIZE)


def half(sent: int) -> bool:
    return sent >= HALF


@pytest.mark.parametrize("etag", [None, '"one"', 'W/"one"'])
def test_what_breaks_is_gone_on_with_and_no_byte_is_given_twice(
    etag: str | None, open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(etag=etag, stop=half), times=1)
    door.fault("GET", ranged(etag=etag))
    given = bytearray()

    result = client_of(door).stream(PATH, given.extend)

    assert given == payload
    assert (result.size, result.etag) == (SIZE, etag)
    assert result.checksums == {"adler32": f"{zlib.adler32(payload):08x}"}
    assert asked_bytes(door, PATH)[0] is None
    assert [span and span[1] for span in asked_bytes(door, PATH)] == [None, SIZE]


@pytest.mark.parametrize(("start", "end"), [(0, 10), (7, HALF), (SIZE - 1, None), (5, SIZE), (0, SIZE), (9, 9)])
def test_a_server_that_ignores_ranges_gives_the_same_bytes(
    start: int, end: int | None, open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, ranges=False)
    given = bytearray()

    result = client_of(door).stream(PATH, given.extend, start=start, end=end)

    assert given == payload[start:end]
    assert result.size == len(given)


@pytest.mark.parametrize(("start", "end"), [(0, None), (7, None), (7, HALF)])
def test_a_file_whose_size_nobody_tells_is_given_too(
    start: int, end: int | None, open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, ranges=True)
    given = bytearray()

    client_of(door).stream(PATH, given.extend, start=start, end=end, info=FileInfo(PATH, is_dir=False))

    assert given == payload[start:end]


def test_a_server_that_ignores_ranges_is_gone_on_with(open_door: Open, client_of: Client, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload}, ranges=False)
    door.fault("GET", acts.reset_after(HALF), times=1)
    given = bytearray()

    client_of(door).stream(PATH, given.extend)

    assert given == payload
    assert len(door.requests("GET")) == 2


def test_attempts_that_bring_something_are_not_counted_together(
    open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload * 4})
    door.fault("GET", ranged(stop=lambda sent: sent >= 1_500_000))
    given = bytearray()

    client_of(door, retries=1).stream(PATH, given.extend)

    assert given == payload * 4


def test_attempts_that_bring_nothing_end(open_door: Open, client_of: Client, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(stop=lambda sent: sent >= 1 << 16))
    client = client_of(door, retries=3)

    with pytest.raises(TransientError, match=PATH):
        client.stream(PATH, lambda data: None)

    assert len(door.requests("GET")) == 4


def test_a_sink_that_holds_up_the_server_spends_no_retries(
    open_door: Open, client_of: Client, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(stop=lambda sent: sent >= 500_000))
    client = client_of(door, retries=0)
    given = bytearray()

    with pytest.raises(TransientError):
        client.stream(PATH, bytes)
    monkeypatch.setattr(streaming, "HELD_UP", 0.0)
    client.stream(PATH, given.extend)

    assert given == payload


class Full:
    """A sink that has no room after its first bytes, until it is told."""

    def __init__(self) -> None:
        self.given = bytearray()
        self.full = threading.Event()
        self._room: Future[None] = Future()

    def __call__(self, data: bytes) -> None:
        self.given += data

    def room(self) -> Future[None] | None:
        if not self.given or self._room.done():
            return None
        self.full.set()
        return self._room

    def make_room(self) -> None:
        self._room.set_result(None)


@pytest.mark.parametrize("start", [0, 1000], ids=["whole", "range"])
def test_a_sink_without_room_holds_up_nothing_else(
    start: int, open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    client, sink = client_of(door), Full()
    with ThreadPoolExecutor() as pool:
        streamed = pool.submit(lambda: client.stream(PATH, sink, start=start, end=len(payload)))
        assert sink.full.wait(20)
        held = len(sink.given)
        other = bytearray()
        for _ in range(3):
            client.stream(PATH, other.extend)
        (waiting,) = curl_loop()._running.values()
        much_later = time.monotonic() + 1e6
        is_stalled, still_held = waiting.stalled(much_later), len(sink.given)
        sink.make_room()

        assert streamed.result(20).size == len(payload) - start
    assert not is_stalled, "it is not the server that is silent"
    assert held == still_held < len(payload) / 2
    assert sink.given == payload[start:]
    assert other == payload * 3


class Refusing(Full):
    """A sink that wants nothing more once there is room again."""

    def __call__(self, data: bytes) -> None:
        if self._room.done():
            raise ValueError("no more")
        super().__call__(data)


def test_what_a_sink_raises_after_a_wait_ends_its_stream_and_no_other(
    open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    client, sink = client_of(door), Refusing()
    begun = client.begin_stream(PATH, sink)
    assert sink.full.wait(20)
    sink.make_room()
    with pytest.raises(ValueError, match="no more"):
        begun.result(20)

    assert client.stream(PATH, bytes).size == len(payload)


def test_a_stream_is_cancelled_while_its_sink_has_no_room(open_door: Open, client_of: Client, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload})
    client, sink = client_of(door), Full()
    begun = client.begin_stream(PATH, sink)
    assert sink.full.wait(20)
    begun.cancel()
    with pytest.raises(CancelledError):
        begun.result()
    sink.make_room()

    assert client.stream(PATH, bytes).size == len(payload)


@pytest.mark.parametrize("fault", ["changed", 416, 412])
def test_a_file_that_changes_under_way_is_never_mixed_with_the_old_one(
    fault: str | int, open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(etag='"one"', stop=half), times=1)
    door.fault("GET", ranged(etag='"two"') if fault == "changed" else acts.status(int(fault)), times=1)
    client = client_of(door)
    given = bytearray()

    with pytest.raises(IntegrityError, match="has changed while it was read; what has been given is not to be used"):
        client.stream(PATH, given.extend)

    assert given == payload[: len(given)]
    assert len(given) <= HALF + (1 << 16)


def test_without_tags_a_file_that_was_replaced_under_way_is_found_by_its_listing(
    open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(stop=half), times=1)
    door.fault("GET", ranged())
    client = client_of(door)

    with pytest.raises(IntegrityError, match="changed"):
        client.stream(PATH, lambda data: door.sizes.update({PATH: SIZE + 1}))


def test_a_part_of_another_file_than_the_one_before_is_not_given(
    open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, ranges=True)
    client = client_of(door)
    first = client.stream(PATH, lambda data: None, end=10)
    door.files[PATH] = payload[::-1]
    given = bytearray()

    with pytest.raises(IntegrityError, match="changed"):
        client.stream(PATH, given.extend, start=10, end=20, if_match=first.etag)

    assert not given


@pytest.mark.parametrize("size", [SIZE, 10, 0])
def test_a_whole_file_is_verified(size: int, open_door: Open, client_of: Client, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload[:size]}, checksums=True)
    client = client_of(door)
    whole = client.stream(PATH, lambda data: None)
    part = client.stream(PATH, lambda data: None, end=5)
    info = client.stat(PATH)
    door.files[PATH] = b"x" * size

    assert whole.verified
    assert part.verified is (size == 0)
    if size:
        with pytest.raises(IntegrityError, match=r"adler32 .* what has been given is not to be used"):
            client.stream(PATH, lambda data: None, info=info)


@pytest.mark.parametrize("by", [-1, 1])
def test_a_file_of_another_size_than_the_listing_says_is_an_error_before_a_byte(
    by: int, open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.sizes[PATH] = SIZE + by
    client = client_of(door)
    given = bytearray()

    with pytest.raises(IntegrityError, match="announces"):
        client.stream(PATH, given.extend)

    assert not given


def test_what_the_sink_raises_ends_it_and_is_raised(open_door: Open, client_of: Client, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload})

    def full(data: bytes) -> None:
        raise BrokenPipeError

    client = client_of(door)

    with pytest.raises(BrokenPipeError):
        client.stream(PATH, full)

    assert len(door.requests("GET")) == 1


def test_a_whole_file_needs_a_checksum_where_one_is_required(
    open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    client = client_of(door, checksum="require")
    given = bytearray()
    client.stream(PATH, given.extend, start=5, end=10)

    assert given == payload[5:10]
    with pytest.raises(IntegrityError, match="a checksum is required"):
        client.stream(PATH, given.extend)


def test_a_part_over_plain_http_is_not_given(open_door: Open, client_of: Client, payload: bytes) -> None:
    door = open_door(files={PATH: payload}, checksums=True)
    plain = open_door(tls=False, files={PATH: payload})
    door.fault("GET", acts.redirect(plain.url + PATH))
    client = client_of(door, allow_http_pools=True)
    given = bytearray()

    with pytest.raises(UnsupportedError, match="plain http"):
        client.stream(PATH, given.extend, start=10, end=20)
    result = client.stream(PATH, given.extend)

    assert given == payload
    assert result.verified


def test_a_folder_is_told_at_once(open_door: Open, client_of: Client, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload}, folders={"/night"})
    client = client_of(door)

    with pytest.raises(StorageError, match="cannot read /night: it is a folder"):
        client.stream("/night", lambda data: None)

    assert door.requests("GET") == []


def test_a_checksum_that_no_server_tells_is_not_computed_unless_asked_for(
    open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    client = client_of(door)
    with pytest.raises(UnsupportedError, match="does not tell the adler32"):
        client.checksum(PATH, compute=False)

    assert asked_bytes(door, PATH) == []
    assert client.checksum(PATH) == f"{zlib.adler32(payload):08x}"

"""Parts of files that are read into memory: the right bytes, or an error of each, whatever the server does."""

import random
import re
from collections.abc import Callable, Iterator

import pytest

from ctadata_providers import CtaClient, FileInfo, IntegrityError, TransientError
from ctadata_providers.filesystem import CtaFileSystem
from ctadata_providers.transfer import Version
from tests.faults.ranged import asked_bytes, ranged, span_of
from tests.faults.ranges import etag
from tests.faults.scripted import Door, Exchange

PATH = "/night/events.fits"
SIZE = 1_000_000
STEP = 100_000
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture
def payload() -> bytes:
    return random.Random(7).randbytes(SIZE)


def announcing_too_much(exchange: Exchange) -> None:
    """Announce all bytes of a range and send those that there are, as XRootD 5.5 does (none, where any is missing)."""
    data = exchange.door.files[exchange.asked.path]
    start, last = (int(text) for text in re.findall(r"\d+", exchange.asked.headers["range"]))
    exchange.head(206, f"Content-Length: {last + 1 - start}", f"Content-Range: bytes {start}-{last}/{len(data)}")
    if last < len(data):
        exchange.send(data[start : last + 1])
    else:
        exchange.end()


def several(exchange: Exchange) -> None:
    """Send several ranges with one answer."""
    data = exchange.door.files[exchange.asked.path]
    spans = [(int(a), int(b)) for a, b in re.findall(r"(\d+)-(\d+)", exchange.asked.headers["range"])]
    parts = [f"\r\n--x\r\nContent-Range: bytes {a}-{b}/{SIZE}\r\n\r\n".encode() + data[a : b + 1] for a, b in spans]
    body = b"".join(parts) + b"\r\n--x--\r\n"
    exchange.answer(206, "Content-Type: multipart/byteranges; boundary=x", body=body)


def breaking_off(exchange: Exchange) -> None:
    exchange.head(206, "Content-Type: multipart/byteranges; boundary=x", "Content-Length: 10000")
    exchange.send(b"--x\r\nContent-Range: bytes 0-99/1000000\r\n\r\n" + b"x" * 50)
    exchange.end()


def test_what_is_behind_the_end_is_not_there(open_door: Open, client_of: Client, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", announcing_too_much)

    assert client_of(door).read(PATH, start=10, end=SIZE + 10) == payload[10:]
    assert len(door.requests("GET")) == 2


def test_several_ranges_come_with_one_request_for_each_connection(
    open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", several)
    ranges = [(PATH, at, at + 100) for at in range(0, SIZE, STEP)]

    outcomes = client_of(door, max_parallel=2).read_ranges(ranges)

    assert [outcome.result() for outcome in outcomes] == [payload[start:end] for _, start, end in ranges]
    assert len(door.requests("GET")) == 2


@pytest.mark.parametrize("fault", [breaking_off, ranged(), Exchange.reset], ids=["breaks off", "only one", "reset"])
def test_where_several_do_not_come_each_is_asked_for(
    fault: Callable[[Exchange], None], open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, ranges=True)
    door.fault("GET", fault, times=1)
    ranges = [(PATH, at, at + 100) for at in range(0, SIZE, STEP)]

    outcomes = client_of(door, max_parallel=1).read_ranges(ranges)

    assert [outcome.result() for outcome in outcomes] == [payload[start:end] for _, start, end in ranges]
    assert asked_bytes(door, PATH)[1:] == [(start, end) for _, start, end in ranges]


def test_the_error_of_one_file_is_its_own(open_door: Open, client_of: Client, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload, "/night/bad": payload}, ranges=True)
    door.fault("GET", Exchange.reset, path="/night/bad")
    good, bad, changed = (
        *client_of(door).read_ranges([(PATH, 5, 10), ("/night/bad", 5, 10)]),
        *client_of(door).read_ranges([(PATH, 5, 10)], if_match='"another"'),
    )

    assert good.result() == payload[5:10]
    assert isinstance(bad.exception(), TransientError)
    assert isinstance(changed.exception(), IntegrityError)


def replacing(contents: Iterator[bytes], *, tagged: bool) -> Callable[[Exchange], None]:
    """Serve a range, and let somebody replace the file behind it as long as there are contents."""

    def act(exchange: Exchange) -> None:
        ranged(etag=etag(exchange.door.files[PATH]) if tagged else None)(exchange)
        if span_of(exchange.asked, SIZE) is not None:  # several ranges it does not send at once
            exchange.door.files[PATH] = next(contents, exchange.door.files[PATH])

    return act


@pytest.mark.parametrize("tagged", [True, False])
def test_parts_of_a_file_that_is_replaced_meanwhile_are_read_anew(
    tagged: bool, open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload, "/night/other": payload})
    new = payload[::-1] if tagged else payload[:1:-1]  # without a tag its size tells
    door.fault("GET", replacing(iter([new]), tagged=tagged), path=PATH)
    ranges = [(PATH, at, at + 100) for at in range(0, SIZE // 2, STEP)]

    outcomes = client_of(door, max_parallel=1).read_ranges([*ranges, ("/night/other", 3, 9)], max_gap=-1)

    assert [outcome.result() for outcome in outcomes] == [*(new[a:b] for _, a, b in ranges), payload[3:9]]
    assert asked_bytes(door, PATH)[1:3] == [(0, 100), (STEP, STEP + 100)]
    assert len(door.requests("GET")) == 4 + len(ranges)


def test_parts_of_a_file_that_is_replaced_on_and_on_are_of_one_version(
    open_door: Open, client_of: Client, payload: bytes
) -> None:
    versions = [random.Random(seed).randbytes(SIZE) for seed in range(20)]
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", replacing(iter(versions), tagged=True))
    ranges = [(PATH, at, at + 100) for at in range(0, SIZE // 2, STEP)]

    outcomes = client_of(door, max_parallel=1).read_ranges(ranges, max_gap=-1)

    errors = [outcome.exception() for outcome in outcomes]
    assert [isinstance(error, IntegrityError) for error in errors] == [False, *[True] * 4]


def test_what_several_readings_share_is_of_one_version(open_door: Open, client_of: Client, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload}, ranges=True)
    client, version = client_of(door), Version(PATH)
    first = client.read(PATH, start=5, end=10, version=version)
    door.files[PATH] = payload[::-1]

    with pytest.raises(IntegrityError, match="changed"):
        client.read(PATH, start=10, end=20, version=version)
    (outcome,) = client.read_ranges([(PATH, 10, 20)], version=version)
    assert isinstance(outcome.exception(), IntegrityError)
    assert first == payload[5:10]


def test_an_open_file_that_is_replaced_is_an_error_where_the_listing_has_no_tag(
    open_door: Open, client_of: Client, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, ranges=True)
    client = client_of(door)
    client.stat = lambda path: FileInfo(path, is_dir=False, size=SIZE)  # type: ignore[method-assign]  # as nginx tells
    with CtaFileSystem(client=client).open(PATH, block_size=1000) as file:
        begin = file.read(10)
        door.files[PATH] = payload[::-1]
        file.seek(SIZE // 2)

        with pytest.raises(IntegrityError, match="changed"):
            file.read(10)
    assert begin == payload[:10]


HTML = b"<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN'><html>" + b"x" * 1000


@pytest.mark.parametrize("span", [(0, None), (0, 4), (100, 200), (5000, 6000)])
def test_the_page_that_a_server_sends_for_a_folder_is_not_its_content(
    span: tuple[int, int | None], open_door: Open, client_of: Client
) -> None:
    door = open_door(tls=False, files={"/night/page.html": HTML, "/night/sub/x": b"x"})
    door.fault("GET", lambda exchange: exchange.answer(200, body=HTML), path="/night/sub")
    client = client_of(door)
    start, end = span

    with pytest.raises(IsADirectoryError):
        client.read("/night/sub", start=start, end=end)
    assert client.read("/night/page.html", start=start, end=end) == HTML[start:end]

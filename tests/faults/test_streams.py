"""One large file in several streams, and what servers do to the second of them."""

import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer
from zlib import adler32

import pytest

from ctadata_providers import CtaClient, IntegrityError, TransientError
from ctadata_providers.session.tasks import spawn
from ctadata_providers.transfer import download
from ctadata_providers.transfer.parts import ramp
from tests.faults import acts
from tests.faults.cells import assert_absent, assert_whole
from tests.faults.ranged import asked_bytes, left_in, ranged
from tests.faults.scripted import Act, Door, Exchange, get

PATH = "/night/events.fits"
SIZE = 24 << 20
PAUSE = 0.004
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture(scope="module")
def payload() -> bytes:
    return random.Random(7).randbytes(SIZE)


def others(door: Door, act: Act, *, first: Act | None = None, times: int = 1) -> None:
    """Let the GET of the whole file take its time, so many for a range go wrong, and what comes then be right."""
    left = [act] * times

    def choose(exchange: Exchange) -> None:
        if "range" not in exchange.asked.headers:
            (first or ranged(pause=PAUSE))(exchange)
        else:
            (left.pop() if left else ranged(pause=PAUSE / 2))(exchange)

    door.fault("GET", choose)


@pytest.mark.parametrize("streams", [1, 2, 4, 7])
@pytest.mark.parametrize("tls", [False, True])
def test_so_many_streams_as_are_wanted_carry_the_file(
    tls: bool, streams: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=tls, files={PATH: payload}, checksums=True)
    door.fault("GET", ranged(etag='"one"', pause=PAUSE / 4))
    passed: list[int] = []

    result = client_of(door, streams=streams).download(PATH, target, progress=passed.append)

    assert_whole(target, payload)
    assert (result.streams, result.retries, result.resumed) == (streams, 0, 0)
    assert result.checksums == {"adler32": f"{adler32(payload):08x}"}
    assert sum(passed) == SIZE
    asked = asked_bytes(door, PATH)
    starts = [span[0] for span in asked if span]
    assert asked.count(None) == 1
    assert len(starts) == len(set(starts)) >= streams - 1


def test_a_flipped_bit_in_any_stream_is_found(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    client = client_of(door, streams=4)
    client.stat(PATH)

    def flipped(exchange: Exchange) -> None:
        door.files[PATH] = payload[: SIZE // 2] + bytes([payload[SIZE // 2] ^ 1]) + payload[SIZE // 2 + 1 :]
        ranged(pause=PAUSE / 4)(exchange)

    info = client.stat(PATH)
    door.fault("GET", flipped)

    assert_absent(lambda: client.download(PATH, target, info=info), IntegrityError, PATH, target)


def test_a_server_that_ignores_ranges_is_left_with_one_stream(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    others(door, get, times=100)
    passed: list[int] = []

    result = client_of(door, streams=2).download(PATH, target, progress=passed.append)

    assert_whole(target, payload)
    assert result.retries == 0
    assert len(door.requests("GET")) == 2
    assert min(passed) > 0
    assert sum(passed) == SIZE


@pytest.mark.parametrize("code", [429, 503, 500, 403, 404])
def test_a_server_without_a_place_for_another_stream_is_met_with_fewer(
    code: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    others(door, acts.status(code, "Retry-After: 60"), times=1000)

    result = client_of(door, streams=4, retries=0).download(PATH, target)

    assert_whole(target, payload)
    assert result.retries == 0
    assert len(door.requests("GET")) <= 5


def test_a_stream_that_is_refused_later_waits_as_it_is_told(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    refused: list[float] = []
    begun: list[float] = []

    def refuse(exchange: Exchange) -> None:
        refused.append(time.monotonic())
        exchange.head(503, "Retry-After: 1", "Content-Length: 0")

    def right(exchange: Exchange) -> None:
        begun.append(time.monotonic())
        ranged()(exchange)

    answers = [right, right, right, refuse]
    first = ranged(stop=lambda sent: sent >= 9 << 20, pause=PAUSE)
    others(door, lambda exchange: answers.pop()(exchange), first=first, times=4)

    client_of(door, streams=2).download(PATH, target)

    assert_whole(target, payload)
    assert begun[0] - refused[0] >= 0.99


@pytest.mark.parametrize(
    "fault",
    {
        "reset before the answer": acts.reset_after(None),
        "reset in the answer": ranged(stop=lambda sent: sent >= 1 << 20, then=Exchange.reset),
        "ended early": ranged(stop=lambda sent: sent >= 1 << 20),
        "other range": ranged(told=lambda start, end, size: f"bytes {start + 1}-{end}/{size}"),
        "no range told": ranged(told=lambda start, end, size: ""),
        "nothing": ranged(stop=lambda sent: True),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_fault_of_one_stream_costs_only_its_piece(
    fault: tuple[str, Act], open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    others(door, fault[1], times=2)
    passed: list[int] = []

    client_of(door, streams=3).download(PATH, target, progress=passed.append)

    assert_whole(target, payload)
    assert min(passed) > 0


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("answer", [ranged(), get], ids=["range", "whole file"])
def test_the_first_piece_comes_again_when_the_first_stream_brought_nothing(
    answer: Act, alone: bool, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    second, again, ended = Event(), Event(), Event()

    def choose(exchange: Exchange) -> None:
        asked = exchange.asked.headers.get("range", "whole")
        if asked == "whole":
            second.wait(10)
            exchange.head(500, "Content-Length: 0")
        elif asked.startswith("bytes=0-"):
            again.set()
            if alone:
                ended.wait(10)
                time.sleep(0.2)  # until the other stream has been seen to end
            answer(exchange)
        else:
            second.set()
            ranged(stop=lambda sent: sent >= 8 << 20 and not again.wait(10))(exchange)
            ended.set()

    door.fault("GET", choose)

    result = client_of(door, streams=2).download(PATH, target)

    assert_whole(target, payload)
    assert [asked.headers.get("range", "")[:8] for asked in door.requests("GET")].count("bytes=0-") == 1
    assert result.streams == 2


def test_streams_of_two_versions_of_a_file_are_never_mixed(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    newer = payload[::-1]

    def change(exchange: Exchange) -> None:
        door.files[PATH] = newer
        ranged(etag='"two"')(exchange)

    def first(exchange: Exchange) -> None:
        ranged(etag='"one"' if door.files[PATH] is payload else '"two"', pause=PAUSE)(exchange)

    others(door, change, first=first, times=100)

    client_of(door, streams=2).download(PATH, target)

    assert_whole(target, newer)


def test_without_tags_and_checksums_a_file_that_changes_is_found_at_the_end(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    others(door, ranged())
    client = client_of(door, streams=2)

    error = assert_absent(
        lambda: client.download(PATH, target, progress=lambda _: door.sizes.update({PATH: SIZE + 1})),
        IntegrityError,
        PATH,
        target,
    )

    assert "changed" in str(error)


def test_a_file_that_is_removed_under_way_is_finished_by_who_has_it_open(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    others(door, acts.status(404), times=100)

    client_of(door, streams=2).download(PATH, target)

    assert_whole(target, payload)


def test_a_line_that_gives_each_connection_little_gets_several(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ramp, "FROM_BYTES", 1 << 20)
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    door.fault("GET", ranged(pause=0.01))

    result = client_of(door).download(PATH, target)

    assert_whole(target, payload)
    assert result.streams >= 2


def test_under_a_limit_of_the_rate_more_connections_are_not_tried(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ramp, "FROM_BYTES", 1 << 20)
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    door.fault("GET", ranged(pause=0.002))

    result = client_of(door, limit_rate="20M").download(PATH, target)

    assert result.streams == 1


def test_a_fast_line_gets_one(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ramp, "FAST", 1e6)  # so that this machine has it, whatever else it does
    door = open_door(tls=False, files={PATH: payload * 3}, checksums=True)
    door.fault("GET", ranged())

    result = client_of(door).download(PATH, target)

    assert result.streams == 1
    assert len(door.requests("GET")) == 1


def test_a_batch_leaves_no_places_for_further_streams(
    open_door: Open, client_of: Client, tmp_path: Path, payload: bytes
) -> None:
    files = {f"/n/{number}": payload[: 8 << 20] for number in range(4)}
    door = open_door(tls=False, files=files, checksums=True)
    door.fault("GET", ranged(pause=PAUSE))
    client = client_of(door, max_parallel=4, streams=4)

    results = [
        future.result()
        for _, future in client.download_many((client.stat(path), tmp_path / path[3:]) for path in files)
    ]

    assert max(result.streams for result in results) <= 4
    assert len(door.requests("GET")) <= 16
    assert client._transfers.places.used == 0


@pytest.mark.parametrize("algorithm", ["md5", "sha", "sha-256", "sha-512"])
@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("streams", [1, 3])
def test_a_dear_checksum_of_the_listing_is_compared(
    streams: int, right: bool, algorithm: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(pause=PAUSE / 4))
    client = client_of(door, streams=streams)
    digest = hashlib.new({"sha": "sha1"}.get(algorithm, algorithm.replace("-", "")), payload).hexdigest()
    told = digest if right else digest[::-1]
    info = replace(client.stat(PATH), checksums={algorithm: told})

    if right:
        result = client.download(PATH, target, info=info)
        assert result.checksums == {algorithm: digest}
        assert_whole(target, payload)
    else:
        assert_absent(lambda: client.download(PATH, target, info=info), IntegrityError, PATH, target)


@pytest.mark.parametrize("after", [None, 0, 3 << 20])
@pytest.mark.parametrize("streams", [1, 4])
def test_a_stop_is_at_once_and_leaves_what_is_worth_it(
    streams: int, after: int | None, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", acts.stall_after(after))
    client = client_of(door, streams=streams, timeout=60.0)
    info = client.stat(PATH)
    future = spawn(download(client._transfers, info, target))
    while len(door.requests("GET")) < streams:
        time.sleep(0.01)
    asked = time.monotonic()

    Timer(0.0, future.cancel).start()
    with pytest.raises(BaseException):  # noqa: B017 (CancelledError is one)
        future.result(5)
    took = time.monotonic() - asked

    assert took < 0.2
    assert target.read_bytes() == b"old"
    assert len(left_in(target.parent)) == (2 if after else 0)
    assert client._transfers.places.used == 0


def test_what_several_streams_have_brought_is_for_the_next_run(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    door.fault("GET", ranged(stop=lambda sent: sent >= 2 << 20, pause=PAUSE), times=4)
    door.fault("GET", acts.reset_after(None), times=20)
    first = client_of(door, streams=4, retries=0)
    with pytest.raises(TransientError, match="run it again"):
        first.download(PATH, target)
    kept = left_in(target.parent)
    asked = len(door.requests("GET"))
    again = Door(tls=False, files={PATH: payload}, checksums=True, fixed_port=door.port)
    door.close()
    with again:
        again.fault("GET", ranged())
        result = client_of(again, streams=4).download(PATH, target)
        fetched = sum(span[1] - span[0] for span in asked_bytes(again, PATH) if span)

    assert len(kept) == 2
    assert asked >= 4
    assert_whole(target, payload)
    assert result.resumed >= 4 << 20
    assert None not in asked_bytes(again, PATH)
    assert fetched >= SIZE - result.resumed

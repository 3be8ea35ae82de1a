"""A large download is stopped in any state within 0.2 s, and what has come is for the next run."""

import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from hashlib import md5
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, CredentialError, CtaClient, FileInfo, TransientError
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import spawn
from ctadata_providers.testing import FakeCta
from ctadata_providers.transfer import download
from ctadata_providers.transfer.parts import hashing
from tests.faults import acts
from tests.faults.cells import assert_whole
from tests.faults.ranged import asked_bytes, left_in, ranged
from tests.faults.scripted import Door, Exchange
from tests.faults.services.scripted import HOME, TOKEN, Service
from tests.faults.services.scripted import PATH as AT_SERVICE

PATH = "/night/events.fits"
SIZE = 12 << 20
EACH = 2 << 20
"""Bytes that come in each attempt that is stopped, in one stream or in several."""
GATHERED = 1 << 17
"""Bytes of a stream that may not yet have been written."""
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture(scope="module")
def payload() -> bytes:
    return random.Random(4).randbytes(SIZE)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A disk that takes its time to give back what was written; the list grows with what it gave."""
    real = hashing._block
    given: list[int] = []

    def slow(*arguments: Any) -> memoryview:
        time.sleep(0.05)  # the speed of the disk is what is tested
        given.append(1)
        return real(*arguments)

    monkeypatch.setattr(hashing, "_block", slow)
    return given


def wait_for(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def stopped(client: CtaClient, target: Path, ready: Callable[[], object], *, kept: int = 2, **changed: Any) -> float:
    """Begin a download, stop it when a state has come, and return the seconds to its end.

    Args:
        client: Downloads it.
        target: Where an old file is.
        ready: Tells whether the state has come.
        kept: How many files are left beside the target: a part of 1 MiB and more, with its sidecar.
        changed: What is not as the server tells of the file.
    """
    info = replace(client.stat(PATH), **changed)
    future = spawn(download(client._transfers, info, target))
    seconds = cancelled(future, ready)
    assert target.read_bytes() == b"old"
    assert len(left_in(target.parent)) == kept
    assert client._transfers.places.used == 0
    return seconds


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("streams", [1, 4])
def test_what_has_come_is_for_the_next_run_and_is_one_part_however_often_it_is_stopped(
    streams: int, times: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    door.fault("GET", ranged(stop=lambda sent: sent >= EACH // streams, then=Exchange.stall), times=streams * times)
    least = 0
    for attempt in range(1, times + 1):
        least = attempt * EACH - streams * GATHERED
        client, passed = client_of(door, streams=streams, timeout=60.0), [0]
        future = spawn(download(client._transfers, client.stat(PATH), target, progress=passed.append))
        wait_for(lambda passed=passed, least=least: sum(passed) >= least)

        assert cancelled(future) < 0.2
        assert len(left_in(target.parent)) == 2
    asked = len(door.requests("GET"))
    door.fault("GET", ranged())

    result = client_of(door, streams=1).download(PATH, target)

    assert_whole(target, payload)
    assert result.resumed >= least
    assert sum(span[1] - span[0] for span in asked_bytes(door, PATH)[asked:] if span) == SIZE - result.resumed


@pytest.mark.parametrize("streams", [1, 4])
def test_less_than_1_mib_is_not_kept(
    streams: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    door.fault("GET", ranged(stop=lambda sent: sent >= 1 << 17, then=Exchange.stall))

    client = client_of(door, streams=streams, timeout=60.0)
    seconds = stopped(client, target, lambda: len(door.requests("GET")) == streams, kept=0)

    assert seconds < 0.2


def test_nor_is_what_has_changed_meanwhile(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    door.fault("GET", ranged(stop=lambda sent: sent >= SIZE // 2, then=Exchange.stall), times=1)
    stopped(client_of(door, streams=1), target, lambda: big_parts(target.parent))
    door.files[PATH] = payload[::-1]
    door.fault("GET", Exchange.stall)

    stopped(client_of(door, streams=1), target, lambda: len(door.requests("GET")) == 2, kept=0)


def big_parts(folder: Path) -> list[Path]:
    return [place for place in folder.glob("*.ctapart") if place.stat().st_size >= SIZE // 2]


@pytest.mark.parametrize("streams", [1, 4])
def test_while_it_waits_for_the_next_attempt(
    streams: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(stop=lambda sent: sent >= 1 << 20), times=streams)
    door.fault("GET", acts.status(503, "Retry-After: 100"))

    seconds = stopped(client_of(door, streams=streams), target, lambda: len(door.requests("GET")) > streams)

    assert seconds < 0.2


def test_while_it_reads_again_what_was_left(
    open_door: Open, client_of: Client, target: Path, payload: bytes, slow_disk: list[int]
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    door.fault("GET", ranged(stop=lambda sent: sent >= SIZE - (1 << 20)), times=1)
    door.fault("GET", acts.reset_after(None), times=1)
    with pytest.raises(TransientError):
        client_of(door, retries=1).download(PATH, target)
    asked = len(door.requests("GET"))

    seconds = stopped(client_of(door), target, lambda: slow_disk)

    assert seconds < 0.2
    assert len(door.requests("GET")) == asked


@pytest.mark.parametrize("given", [1, 9])
def test_while_a_dear_checksum_is_computed(
    given: int, open_door: Open, client_of: Client, target: Path, payload: bytes, slow_disk: list[int]
) -> None:
    door = open_door(tls=False, files={PATH: payload})
    digest = {"md5": md5(payload).hexdigest()}

    seconds = stopped(client_of(door), target, lambda: len(slow_disk) >= given, checksums=digest)

    assert seconds < 0.2


def test_while_the_disk_takes_its_time_to_close_what_has_arrived(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, free = os.close, threading.Event()

    def slow(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        if ".ctapart" in place.name and os.fstat(descriptor).st_size > SIZE // 2:
            free.wait(10)
        real(descriptor)

    monkeypatch.setattr(os, "close", slow)
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(stop=lambda sent: sent >= SIZE - (1 << 20)), times=1)
    door.fault("GET", acts.status(503, "Retry-After: 100"))

    try:
        seconds = stopped(client_of(door, streams=1), target, lambda: len(door.requests("GET")) > 1)
    finally:
        free.set()

    assert seconds < 1


def open_parts() -> list[Path]:
    """Return the parts that are open here, removed or not: their space is taken, and on NFS their folder not empty."""
    open_files = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            open_files.append(link.readlink())
    return [place for place in open_files if ".ctapart" in place.name]


def test_where_the_disk_is_quick_nothing_of_it_is_open_any_more(
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
    late_close: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(import_module("ctadata_providers.transfer.download"), "MOMENT", 5.0)
    late_close(0.2)
    door = open_door(tls=False, files={PATH: payload})
    door.fault("GET", ranged(stop=lambda sent: sent >= SIZE - (1 << 20)), times=1)
    door.fault("GET", acts.status(503, "Retry-After: 100"))
    client = client_of(door, streams=1)
    future = spawn(download(client._transfers, client.stat(PATH), target))
    wait_for(lambda: len(door.requests("GET")) > 1)
    future.cancel()
    with pytest.raises(CancelledError):
        future.result(5)

    assert open_parts() == []


@pytest.fixture
def late_close(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the disk need some seconds to free a part."""
    real = os.close

    def begin(seconds: float) -> None:
        def slow(descriptor: int) -> None:
            place = Path(f"/proc/self/fd/{descriptor}").readlink()
            if ".ctapart" in place.name and os.fstat(descriptor).st_size > SIZE // 2:
                time.sleep(seconds)  # the speed of the disk is what is tested
            real(descriptor)

        monkeypatch.setattr(os, "close", slow)

    return begin


def test_while_the_server_is_asked_for_a_checksum(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctadata_providers.backends.asked_checksums.PATIENCE", 5.0)
    door = open_door(tls=False, files={PATH: payload})
    door.fault("HEAD", Exchange.stall)

    seconds = stopped(client_of(door), target, lambda: door.requests("HEAD"))

    assert seconds < 0.2


def test_while_a_token_is_asked_for(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door = open_door(files={PATH: payload})
    asked = target.with_name("asked")
    client = client_of(door, token_command=("sh", "-c", f"touch {asked}; sleep 10"))
    info = FileInfo(PATH, is_dir=False, size=3)

    assert cancelled(spawn(download(client._transfers, info, target)), asked.exists) < 1
    asked.unlink()


def test_while_a_service_is_asked_about_the_file(ca: Path, target: Path, payload: bytes) -> None:
    with Service(files={AT_SERVICE: payload}, folders={HOME}, ranges=True) as service:
        settings = {"service_url": service.service_url, "ca_path": ca, "hub_token": TOKEN}
        with CtaClient(**settings) as client:
            service.fault("PROPFIND", Exchange.stall)
            info = FileInfo(AT_SERVICE, is_dir=False, size=3)
            future = spawn(download(client._transfers, info, target))

            assert cancelled(future, lambda: service.requests("PROPFIND")) < 1


def cancelled(future: Future[Any], ready: Callable[[], object] = lambda: True) -> float:
    """Stop what is under way when a state has come, and return the seconds to its end."""
    wait_for(ready)
    begun = time.monotonic()
    future.cancel()
    with pytest.raises(CancelledError):
        future.result(5)
    return time.monotonic() - begun


def test_a_disk_that_cannot_give_back_what_was_left_costs_only_the_bytes(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    door.fault("GET", ranged(stop=lambda sent: sent >= SIZE // 2), times=1)
    door.fault("GET", acts.reset_after(None), times=1)
    with pytest.raises(TransientError):
        client_of(door, retries=1).download(PATH, target)

    def broken(*_: Any) -> memoryview:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(hashing, "_block", broken)
    result = client_of(door).download(PATH, target)

    assert_whole(target, payload)
    assert result.resumed == 0


@pytest.mark.parametrize("streams", [1, 4])
def test_a_dcache_serves_streams_and_keeps_no_mover(
    streams: int, fake_cta: FakeCta, target: Path, payload: bytes
) -> None:
    fake_cta.put(PATH, payload)
    with CtaClient(Config.from_mapping({**fake_cta.settings(), "streams": streams})) as client:
        result = client.download(PATH, target)

    assert_whole(target, payload)
    assert (result.streams, result.retries) == (streams, 0)
    assert [len(pool._movers) for pool in fake_cta._parts.pools] == [0] * len(fake_cta._parts.pools)


def test_a_dcache_that_cuts_a_download_is_asked_for_the_rest_at_the_door(
    fake_cta: FakeCta, target: Path, payload: bytes
) -> None:
    fake_cta.put(PATH, payload)
    fake_cta.faults.add("truncate", after=SIZE // 2)
    with CtaClient(Config.from_mapping({**fake_cta.settings(), "retries": 3})) as client:
        result = client.download(PATH, target)

    assert_whole(target, payload)
    assert result.retries == 1


def test_what_has_arrived_when_the_credential_ends_is_for_the_next_run(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload}, checksums=True)
    door.fault("GET", ranged(stop=lambda sent: sent >= SIZE // 2), times=1)
    door.fault("GET", acts.status(401), times=1)
    door.fault("GET", ranged())
    with pytest.raises(CredentialError, match="it goes on from the"):
        client_of(door, token="abcdefghijkl").download(PATH, target)
    old = target.read_bytes()

    result = client_of(door, token="mnopqrstuvwx").download(PATH, target)

    assert old == b"old"
    assert_whole(target, payload)
    assert result.resumed >= SIZE // 2

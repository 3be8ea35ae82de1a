"""kill -9 at any moment of a download: the next run is whole, fetches nothing twice, and leaves nothing."""

import contextlib
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import CtaClient
from ctadata_providers.transfer.parts import owners, sidecar
from ctadata_providers.transfer.parts.resumable import TELL_EVERY
from tests.faults import children
from tests.faults.cells import assert_whole
from tests.faults.ranged import asked_bytes, left_in, ranged
from tests.faults.scripted import Door

PATH = "/night/events.fits"
SIZE = 24 << 20
Open = Callable[..., Door]
Client = Callable[..., CtaClient]

DOWNLOAD = "client.download(*sys.argv[1:])"
TREE = "client.download_tree(*sys.argv[1:])"


@pytest.fixture(scope="module")
def payload() -> bytes:
    return random.Random(9).randbytes(SIZE)


@pytest.fixture
def slow(open_door: Open, payload: bytes) -> Door:
    door = open_door(tls=False, files={PATH: payload}, checksums=True)
    door.fault("GET", ranged(pause=0.004))
    return door


def kill_in(door: Door, target: Path, streams: int, bytes_there: int) -> None:
    """Kill a download when so many bytes are on the disk."""
    child = children.start(DOWNLOAD, {"door_url": door.url, "streams": streams}, PATH, target)
    children.wait_until(lambda: on_disk(target.parent) >= bytes_there or child.poll() is not None)
    child.kill()
    children.finish(child)


def on_disk(folder: Path) -> int:
    """Return the bytes that parts really hold; what was skipped takes no space."""
    found = 0
    for name in left_in(folder):
        if "json" not in name:
            with contextlib.suppress(FileNotFoundError):
                found += (folder / name).stat().st_blocks * 512
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("streams", [1, 4])
def test_a_killed_download_is_gone_on_with(
    streams: int, seed: int, slow: Door, client_of: Client, target: Path
) -> None:
    kill_in(slow, target, streams, random.Random(seed).randrange(2 << 20, SIZE - (4 << 20)))
    there, before = on_disk(target.parent), left_in(target.parent)
    killed = len(slow.requests("GET"))
    told = sidecar.read(target.parent / next(name for name in before if "json" in name))
    length = next(target.parent / name for name in before if "json" not in name).stat().st_size

    result = client_of(slow, streams=2).download(PATH, target)
    again = asked_bytes(slow, PATH)[killed:]

    assert len(before) == 2
    assert told is not None
    assert result.resumed == sum(stop - start for start, stop in told.written(length))
    assert result.resumed >= min(there, SIZE) - streams * (TELL_EVERY + (1 << 16))
    assert None not in again
    assert_whole(target, slow.files[PATH])
    if streams == 1:
        assert result.resumed == length
        assert min(span[0] for span in again if span) == length


def test_a_run_that_is_killed_again_and_again_comes_to_an_end(slow: Door, client_of: Client, target: Path) -> None:
    chance = random.Random(3)
    there = 0
    for _ in range(5):
        there = min(there + chance.randrange(1 << 20, 5 << 20), SIZE - 1)
        kill_in(slow, target, chance.choice([1, 3]), there)
        assert len([name for name in left_in(target.parent) if "json" not in name]) <= 1

    result = client_of(slow).download(PATH, target)

    assert result.resumed > 0
    assert_whole(target, slow.files[PATH])


def test_the_small_parts_of_a_killed_tree_are_gone_after_the_next_run(
    open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    files = {f"/tree/{folder}/{number}": b"x" * 300_000 for folder in "ab" for number in range(8)}
    door = open_door(tls=False, files=files, checksums=True)
    door.fault("GET", ranged(stop=lambda sent: sent > 1 << 16, then=lambda exchange: exchange.stall()), times=16)
    local = tmp_path / "tree"
    child = children.start(TREE, {"door_url": door.url}, "/tree", local)
    children.wait_until(lambda: len(list(local.rglob("*.ctapart"))) == 16)
    child.kill()
    children.finish(child)
    left = len(list(local.rglob("*.ctapart")))

    client_of(door).download_tree("/tree", local)

    assert left == 16
    assert {place.name for place in local.rglob("*") if place.is_file()} == {str(number) for number in range(8)}
    assert all(place.read_bytes() == b"x" * 300_000 for place in local.rglob("*") if place.is_file())


def test_two_processes_download_one_file_to_one_target_and_share_nothing(
    slow: Door, target: Path, client_of: Client
) -> None:
    kill_in(slow, target, 1, 4 << 20)
    both = [children.start(DOWNLOAD, {"door_url": slow.url, "streams": 1}, PATH, target) for _ in range(2)]
    seen: set[str] = set()
    while any(child.poll() is None for child in both):
        seen.update(name for name in left_in(target.parent) if "json" not in name)
        time.sleep(0.005)
    for child in both:
        out, said = children.finish(child)
        assert (child.returncode, out, said) == (0, "", "")
    makers = [known.digits[8:16] for name in seen if (known := owners.parsed(name))]

    assert_whole(target, slow.files[PATH])
    assert {f"{child.pid:08x}" for child in both} <= set(makers)
    assert sum(span is None for span in asked_bytes(slow, PATH)) == 2  # the killed one, and whoever came too late

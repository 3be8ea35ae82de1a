"""The name of the server cannot be resolved for a while, for either of the two libraries that speak HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import acts, children
from tests.faults.matrix.cells import Way
from tests.faults.scripted import RIGHT, Door, Exchange
from tests.real.preloaded import Hosts

pytestmark = pytest.mark.real

NAME = "door.cta.test"
PATH = "/night/events.fits"
SIZES = dict.fromkeys(Way, 256_000) | {Way.LARGE_DOWN: 3 << 20, Way.LARGE_UP: 3 << 20}
TRANSFER = """
    import logging
    logging.basicConfig(level=logging.WARNING)
    print(getattr(client, sys.argv[1])(*sys.argv[2:]).retries)
"""
SECONDS = 0.4


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path / "hosts")


@pytest.fixture
def door() -> Iterator[Door]:
    with Door(tls=False, ranges=True, folders={"/night"}) as opened:
        yield opened


def settings(door: Door) -> dict[str, object]:
    return {"door_url": f"http://{NAME}:{door.port}", "retries": 5}


@contextmanager
def known_after(seconds: float, hosts: Hosts) -> Iterator[None]:
    timer = threading.Timer(seconds, lambda: hosts.know(NAME))
    timer.start()
    try:
        yield
    finally:
        timer.join()


def test_a_name_that_is_unknown_at_first_is_asked_for_again_by_requests(
    door: Door, hosts: Hosts, tmp_path: Path
) -> None:
    door.files[PATH] = b"data"
    with known_after(4 * SECONDS, hosts):
        child = children.start(TRANSFER, settings(door), "download", PATH, tmp_path / "copy", under=hosts.under)
        output, said = children.finish(child, 60)

    assert output.split() == ["0"], said  # it was the look-up before it that was tried again
    assert "could not resolve the host name" in said
    assert (tmp_path / "copy").read_bytes() == b"data"


@pytest.mark.parametrize("way", [way for way in Way if way.is_down])
def test_a_name_that_is_lost_before_the_bytes_is_asked_for_again_by_libcurl(
    way: Way, door: Door, hosts: Hosts, tmp_path: Path
) -> None:
    door.files[PATH] = bytes(SIZES[way])
    hosts.know(NAME)

    def lose_it(exchange: Exchange) -> None:
        hosts.know()
        RIGHT["PROPFIND"](exchange)

    door.fault("PROPFIND", lose_it, times=1)
    what = ("download_tree", "/night", tmp_path / "local") if way is Way.TREE_DOWN else ("download", PATH)
    where = () if way is Way.TREE_DOWN else (tmp_path / "local" / "events.fits",)
    child = children.start(TRANSFER, settings(door), *what, *where, under=hosts.under)
    children.wait_until(lambda: door.asked)
    with known_after(2 * SECONDS, hosts):
        output, said = children.finish(child, 60)

    assert output.strip() in ("1", "2", "3", "4", "5"), said
    assert "Could not resolve host" in said
    assert (tmp_path / "local" / "events.fits").read_bytes() == door.files[PATH]


@pytest.mark.parametrize("way", [way for way in Way if not way.is_down])
def test_an_upload_to_a_name_that_is_unknown_at_first_is_whole(
    way: Way, door: Door, hosts: Hosts, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(SIZES[way]))
    if way is Way.DIRECT_UP:
        door.fault("MOVE", acts.status(405))
    with known_after(4 * SECONDS, hosts):
        child = children.start(TRANSFER, settings(door), "upload", source, PATH, under=hosts.under)
        output, said = children.finish(child, 60)

    assert output.strip() in ("1", "2", "3", "4", "5"), said
    assert door.files == {PATH: source.read_bytes()}

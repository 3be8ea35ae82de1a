"""The name of the server cannot be resolved for a while, for either of the two libraries that speak HTTP."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import children
from tests.faults.scripted import RIGHT, Door, Exchange
from tests.real.preloaded import Hosts

pytestmark = pytest.mark.real

NAME = "door.cta.test"
PATH = "/night/events.fits"
PAYLOAD = bytes(range(256)) * 1000
TRANSFER = """
    import logging
    logging.basicConfig(level=logging.WARNING)
    result = getattr(client, sys.argv[1])(*sys.argv[2:])
    print(result.retries)
"""
SECONDS = 0.4


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path / "hosts")


@pytest.fixture
def door() -> Iterator[Door]:
    with Door(tls=False, files={PATH: PAYLOAD}) as opened:
        yield opened


def settings(door: Door) -> dict[str, object]:
    return {"door_url": f"http://{NAME}:{door.port}", "retries": 5}


def test_a_name_that_is_unknown_at_first_is_asked_for_again_by_requests(
    door: Door, hosts: Hosts, tmp_path: Path
) -> None:
    child = children.start(TRANSFER, settings(door), "download", PATH, tmp_path / "copy", **hosts.environ)
    timer = threading.Timer(4 * SECONDS, lambda: hosts.know(NAME))
    timer.start()
    output, said = children.finish(child)
    timer.join()

    assert output.split() == ["0"], said
    assert "could not resolve the host name" in said
    assert (tmp_path / "copy").read_bytes() == PAYLOAD


@pytest.mark.parametrize("act", ["download", "upload"])
def test_a_name_that_is_lost_before_the_bytes_is_asked_for_again_by_libcurl(
    act: str, door: Door, hosts: Hosts, tmp_path: Path
) -> None:
    hosts.know(NAME)
    local = tmp_path / "local"
    local.write_bytes(PAYLOAD * 80)  # large enough that an upload looks at its target first
    timers: list[threading.Timer] = []

    def lose_it(exchange: Exchange) -> None:
        hosts.know()
        timers.append(threading.Timer(SECONDS, lambda: hosts.know(NAME)))
        timers[0].start()
        RIGHT["PROPFIND"](exchange)

    door.fault("PROPFIND", lose_it, times=1)
    where = (PATH, local) if act == "download" else (local, PATH)
    child = children.start(TRANSFER, settings(door), act, *where, **hosts.environ)
    output, said = children.finish(child)
    timers[0].join()

    assert output and int(output) >= 1, said
    assert "could not resolve the host name" in said
    assert local.read_bytes() == door.files[PATH]

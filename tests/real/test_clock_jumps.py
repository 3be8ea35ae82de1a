"""The clock of the machine is set while bytes pass: for the whole process, OpenSSL and libcurl included."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import children
from tests.faults.pki import ca_file
from tests.faults.scripted import RIGHT, Door, Exchange
from tests.real.preloaded import FAKETIME, library

pytestmark = pytest.mark.real

PATH = "/night/events.fits"
PAYLOAD = bytes(3 << 20)
TRANSFER = """
    import time
    begun = time.time()
    result = getattr(client, sys.argv[1])(*sys.argv[2:])
    print(result.retries, round(time.time() - begun), result.seconds < 10)
"""
A_DAY = 86_400


@pytest.mark.parametrize("days", [1, -1], ids=["forward", "back"])
@pytest.mark.parametrize("act", ["download", "upload"])
def test_a_transfer_is_whole_although_the_clock_was_set(act: str, days: int, tmp_path: Path) -> None:
    clock, local = tmp_path / "clock", tmp_path / "local"
    clock.write_text("+0")
    environ = {
        "LD_PRELOAD": library(*FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    method = "GET" if act == "download" else "PUT"
    local.write_bytes(PAYLOAD)

    def setting_it(right: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
        def set_it(exchange: Exchange) -> None:
            clock.write_text(f"{days * A_DAY:+d}")
            right(exchange)

        return set_it

    with Door(files={PATH: PAYLOAD}, ranges=True) as door:
        door.fault(method, setting_it(RIGHT[method]), times=1)
        where = (PATH, tmp_path / "copy") if act == "download" else (local, "/night/new.fits")
        child = children.start(TRANSFER, {"door_url": door.url, "ca_path": ca_file(tmp_path)}, act, *where, **environ)
        output, said = children.finish(child)

        assert output, said
        retries, passed, is_short = output.split()
        assert abs(int(passed) - days * A_DAY) < 60  # it was really set
        assert (retries, is_short) == ("0", "True")
        assert (tmp_path / "copy" if act == "download" else local).read_bytes() == PAYLOAD
        assert act == "download" or door.files["/night/new.fits"] == PAYLOAD

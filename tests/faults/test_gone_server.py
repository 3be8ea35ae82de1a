"""A server that is gone for 20 s, with the waits that users have: in a process whose backoff nobody hurries."""

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults import children
from tests.faults.matrix.wire import down_to, up_to
from tests.faults.scripted import Door, Exchange

PATH = "/night/events.fits"
SECONDS = 20.0
TRANSFER = "print(getattr(client, sys.argv[1])(*sys.argv[2:]).retries)"


@pytest.mark.soak
@pytest.mark.parametrize("size", [200_000, 3 << 20], ids=["small", "large"])
@pytest.mark.parametrize("act", ["download", "upload"])
def test_a_server_that_is_gone_for_20_s_is_waited_for(act: str, size: int, target: Path, ca: Path) -> None:
    payload = bytes(range(256)) * (size // 256)
    files, local = {PATH: payload}, target.with_name("local")
    local.write_bytes(payload if act == "upload" else b"old")
    with ExitStack() as stack:
        door = stack.enter_context(Door(files=files, folders={"/night"}, ranges=True))
        again = Door(files=files, folders={"/night"}, ranges=True, fixed_port=door.port)

        def go(exchange: Exchange) -> None:
            threading.Thread(target=door.close).start()
            timer = threading.Timer(SECONDS, lambda: stack.enter_context(again))
            timer.start()
            stack.callback(timer.join)
            exchange.reset()

        method, act_then = ("GET", down_to("middle", go)) if act == "download" else ("PUT", up_to("middle", go))
        door.fault(method, act_then, times=1)
        where = (PATH, local) if act == "download" else (local, PATH)
        child = children.start(TRANSFER, {"door_url": door.url, "ca_path": ca}, act, *where)
        output, said = children.finish(child, 90)

    assert output.strip() in ("4", "5"), said
    assert local.read_bytes() == payload
    assert files == {PATH: payload}

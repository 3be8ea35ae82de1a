"""A credential goes alone until a door has accepted it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from ctadata_providers import CtaClient
from ctadata_providers.session import gates
from tests.faults import acts, children
from tests.faults.guarded import jwt
from tests.faults.scripted import RIGHT, Door, Exchange

PATH = "/night/events.fits"
TOKEN = "an-opaque-token-0123456789"
WORKERS = 8
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


class Holding:
    """An act that is held up until the test has seen enough."""

    def __init__(self, before: Callable[[Exchange], object], after: Callable[[Exchange], object]) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._before, self._after = before, after

    def __call__(self, exchange: Exchange) -> None:
        self._before(exchange)
        self.begun.set()
        assert self.go_on.wait(10)
        self._after(exchange)


def test_an_unknown_token_goes_out_alone(open_door: Open, client_of: Client) -> None:
    door = open_door(files={PATH: b"x"})
    holding = Holding(lambda _: None, RIGHT["PROPFIND"])
    door.fault("PROPFIND", holding, times=1)

    with ThreadPoolExecutor(WORKERS) as pool:
        asking = [pool.submit(client_of(door, token=TOKEN).stat, PATH) for _ in range(WORKERS)]
        assert holding.begun.wait(10)
        time.sleep(0.1)  # what must not happen would happen now
        meanwhile = len(door.asked)
        holding.go_on.set()
        sizes = [future.result(10).size for future in asking]

    assert meanwhile == 1
    assert sizes == [1] * WORKERS
    assert len(door.asked) == WORKERS


def test_a_token_that_was_accepted_goes_out_at_once(open_door: Open, client_of: Client) -> None:
    door = open_door(files={PATH: b"x"})
    client = client_of(door, token=TOKEN)
    client.stat(PATH)
    holding = Holding(lambda _: None, RIGHT["PROPFIND"])
    door.fault("PROPFIND", holding)

    with ThreadPoolExecutor(WORKERS) as pool:
        asking = [pool.submit(client.stat, PATH) for _ in range(WORKERS)]
        children.wait_until(lambda: len(door.asked) == 1 + WORKERS)
        holding.go_on.set()

        assert [future.result(10).size for future in asking] == [1] * WORKERS


def send_head(exchange: Exchange) -> None:
    exchange.head(200, f"Content-Length: {len(exchange.door.files[exchange.asked.path])}")


def send_body(exchange: Exchange) -> None:
    exchange.send(exchange.door.files[exchange.asked.path])


def unknown_again() -> None:
    """Forget what is known of every credential, as another process would not know it."""
    gates._gates.clear()


def run_beside(first: Callable[[], object], holding: Holding, second: Callable[[], object]) -> Future[object]:
    """Start an act that is held up, end another one meanwhile, and let the first one go on."""
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(first)
        assert holding.begun.wait(10)
        try:
            pool.submit(second).result(10)
        finally:
            holding.go_on.set()
    return slow


def test_others_wait_for_the_head_of_the_first_answer_and_not_for_its_body(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door, token=TOKEN, timeout=10.0)
    info = client.stat(PATH)
    unknown_again()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    holding = Holding(send_head, send_body)
    door.fault("GET", holding, times=1)

    slow = run_beside(lambda: client.download(PATH, target, info=info), holding, lambda: client.stat(PATH))

    assert slow.exception() is None
    assert target.read_bytes() == payload


def test_others_wait_until_the_first_upload_is_invited_and_not_for_its_end(
    open_door: Open, client_of: Client, source: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source.write_bytes(payload * 4)  # from 1 MiB on the door is asked first
    door = open_door(files={PATH: b"x"}, folders={"/night"})
    client = client_of(door, token=TOKEN, timeout=10.0)
    client.stat(PATH)
    unknown_again()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    holding = Holding(lambda exchange: exchange.invite(), RIGHT["PUT"])
    holding._after = lambda exchange: (exchange.asked.headers.pop("expect"), RIGHT["PUT"](exchange))
    door.fault("PUT", holding, times=1)

    slow = run_beside(lambda: client.upload(source, "/night/new"), holding, lambda: client.stat(PATH))

    assert slow.exception() is None
    assert door.files["/night/new"] == payload * 4


def test_a_first_answer_that_does_not_come_holds_the_others_up_for_a_while_only(
    open_door: Open, client_of: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "PROBE_PATIENCE", 0.2)
    door = open_door(files={PATH: b"x", "/tape": b"y"})
    holding = Holding(lambda _: None, RIGHT["PROPFIND"])
    door.fault("PROPFIND", holding, path="/tape", times=1)
    client = client_of(door, token=TOKEN, timeout=10.0)

    slow = run_beside(lambda: client.stat("/tape"), holding, lambda: client.stat(PATH))

    assert slow.exception() is None


@pytest.mark.parametrize("fault", ["reset", "503"])
def test_a_fault_of_the_first_request_leaves_the_turn_to_the_next(
    fault: str, open_door: Open, client_of: Client
) -> None:
    door = open_door(files={PATH: b"x"})
    act = acts.reset_after(None) if fault == "reset" else acts.status(503, "Retry-After: 0")
    door.fault("PROPFIND", act, times=3)
    client = client_of(door, token=TOKEN, retries=5)

    with ThreadPoolExecutor(WORKERS) as pool:
        sizes = [info.size for info in pool.map(client.stat, [PATH] * WORKERS)]

    assert sizes == [1] * WORKERS


FORK = """
import time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of fork with threads: that is what is tried
signal_file, answer_file, state = sys.argv[1:]
asking = threading.Thread(target=lambda: client.stat("/slow"))
asking.start()
while not os.path.exists(signal_file):
    time.sleep(0.01)
pid = os.fork()
if pid == 0:
    os.environ["XDG_STATE_HOME"] = state
    os._exit(0 if CtaClient(client.config).stat("/night/events.fits").size == 1 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
open(answer_file, "w").close()
asking.join()
"""


def test_a_forked_child_does_not_wait_for_its_parents_first_request(open_door: Open, ca: Path, tmp_path: Path) -> None:
    door = open_door(files={PATH: b"x", "/slow": b"x"})
    holding = Holding(lambda _: None, RIGHT["PROPFIND"])
    door.fault("PROPFIND", holding, path="/slow", times=1)
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    settings = {"door_url": door.url, "ca_path": ca, "token": jwt(), "timeout": 10}

    child = children.start(FORK, settings, begun, ended, tmp_path / "elsewhere")
    assert holding.begun.wait(10)
    begun.touch()
    children.wait_until(ended.exists)
    holding.go_on.set()

    assert children.finish(child) == ("0\n", "")

"""Uploads are cancelled: the call ends at once; what tidies up on the server goes on, and others wait for it."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, PermissionDeniedError
from ctadata_providers.session import tasks
from ctadata_providers.session.futures import Future
from ctadata_providers.transfer import background, notes, parallel
from tests.faults import acts, children
from tests.faults.cells import parts_at
from tests.faults.scripted import Act, Door, Exchange, delete, move
from tests.faults.test_ends import BIG, UPLOAD, bottomless, interrupted

PATH = "/night/events.fits"
OLD = {PATH: b"old one"}
SOON = 5.0
"""Seconds: far more than anything takes here, also on a machine that does other things, too."""
LONGEST = 20.0
"""Seconds that it takes if anybody waits for an answer that the test holds back; to clean up, 10 at least."""
ENDED = 4.0
"""Seconds in which a process ends: 2, on a machine that does nothing else."""
Client = Callable[..., CtaClient]
Open = Callable[..., Door]


class Held:
    """An answer that the server gives only when the test lets it."""

    def __init__(self, act: Act) -> None:
        self.asked, self.may = threading.Event(), threading.Event()
        self._act = act

    def __call__(self, exchange: Exchange) -> None:
        self.asked.set()
        assert self.may.wait(LONGEST)
        self._act(exchange)


Hold = Callable[[Act], Held]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Hold answers back, until the end of the test at most."""
    made: list[Held] = []

    def held(act: Act) -> Held:
        made.append(Held(act))
        return made[-1]

    yield held
    for one in made:
        one.may.set()


@pytest.fixture
def nobody_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends, ends by itself."""
    monkeypatch.setattr(tasks, "STOP_PATIENCE", LONGEST)
    monkeypatch.setattr(parallel, "STOP_PATIENCE", LONGEST)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of 1 GiB that takes no space."""
    file = tmp_path / "large"
    with file.open("wb") as opened:
        opened.truncate(BIG)
    return file


@pytest.fixture
def started(door: Door) -> list[int]:
    """What is uploaded never ends; the list grows with what has come of it."""
    pieces: list[int] = []
    door.fault("PUT", bottomless(pieces))
    return pieces


def noted(door: Door) -> list[str]:
    return [remembered.path for remembered in notes.noted(f"{door.url}/")]


def cancel(future: Future[object]) -> None:
    """Cancel what is under way, which is to end."""
    future.cancel()
    with pytest.raises(CancelledError):
        future.result(SOON)


def test_a_cancelled_upload_ends_before_its_part_is_gone_and_close_waits_for_that(
    door: Door, client_of: Client, large: Path, started: list[int], hold: Hold
) -> None:
    door.fault("DELETE", removal := hold(delete))
    client = client_of(door, timeout=LONGEST)
    future = client.begin_upload(large, PATH)
    children.wait_until(lambda: len(started) > 3)
    cancel(future)

    assert removal.asked.wait(LONGEST)
    assert parts_at(door) == noted(door) != []
    threading.Timer(0.2, removal.may.set).start()
    client.close()

    assert door.files == OLD
    assert noted(door) == []


@pytest.mark.parametrize("way", ["upload", "upload_tree", "upload_many"])
@pytest.mark.usefixtures("nobody_gives_up")
def test_an_interrupted_call_ends_before_its_parts_are_gone_and_close_waits_for_that(
    way: str, door: Door, client_of: Client, large: Path, started: list[int], hold: Hold, tmp_path: Path
) -> None:
    door.fault("DELETE", removal := hold(delete))
    client, main, fired = client_of(door, timeout=LONGEST, max_parallel=4), threading.get_ident(), [0.0]
    (tree := tmp_path / "tree").mkdir()
    for number in range(8):
        (tree / str(number)).symlink_to(large)
    calls: dict[str, Callable[[], object]] = {
        "upload": lambda: client.upload(large, "/night/one"),
        "upload_tree": lambda: client.upload_tree(tree, "/night"),
        "upload_many": lambda: list(client.upload_many((file, f"/night/{file.name}") for file in tree.iterdir())),
    }
    count = 1 if way == "upload" else 4

    def interrupt() -> None:
        children.wait_until(lambda: len(parts_at(door)) == count)
        fired[0] = time.monotonic()
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        calls[way]()
    seconds = time.monotonic() - fired[0]

    assert seconds < SOON
    assert len(parts_at(door)) == len(noted(door)) == count
    removal.may.set()
    client.close()

    assert door.files == OLD
    assert noted(door) == []


@pytest.mark.usefixtures("nobody_gives_up")
def test_the_error_of_a_tree_is_told_before_the_parts_of_its_other_files_are_gone_and_close_waits_for_that(
    door: Door, client_of: Client, large: Path, hold: Hold, tmp_path: Path
) -> None:
    (tree := tmp_path / "tree").mkdir()
    for number in range(4):
        (tree / str(number)).symlink_to(large)
    goes_on, removal = bottomless([]), hold(delete)

    def is_refused(exchange: Exchange) -> bool:
        return "/.3." in exchange.asked.path

    def take(exchange: Exchange) -> None:
        if is_refused(exchange):
            children.wait_until(lambda: len(parts_at(door)) == 3)
            acts.refuse_body(403)(exchange)
        goes_on(exchange)

    door.fault("PUT", take)
    door.fault("DELETE", lambda exchange: (delete if is_refused(exchange) else removal)(exchange))
    client = client_of(door, timeout=LONGEST, max_parallel=4)
    begun = time.monotonic()
    with pytest.raises(PermissionDeniedError):
        client.upload_tree(tree, "/night")
    seconds = time.monotonic() - begun

    assert seconds < SOON
    assert len(parts_at(door)) == 3
    removal.may.set()
    client.close()

    assert door.files == OLD
    assert noted(door) == []


def test_close_waits_no_longer_than_ctrl_c_allows_and_what_remains_is_for_the_next_upload(
    door: Door, client_of: Client, large: Path, started: list[int], hold: Hold, source: Path, payload: bytes
) -> None:
    door.fault("DELETE", hold(delete))
    client = client_of(door, timeout=LONGEST)
    future = client.begin_upload(large, PATH)
    children.wait_until(lambda: len(started) > 3)
    begun = time.monotonic()
    cancel(future)
    client.close()
    seconds = time.monotonic() - begun
    left, notes = parts_at(door), noted(door)
    client.close()
    door.mend()
    client_of(door).upload(source, PATH)

    assert 1 < seconds < SOON
    assert left == notes != []
    assert door.files == {PATH: payload}
    assert noted(door) == []


def test_a_stop_that_comes_while_it_cleans_up_does_not_wait_for_its_end_either(
    door: Door, client_of: Client, source: Path, payload: bytes, hold: Hold
) -> None:
    door.fault("PUT", acts.keep_a_part(acts.status(507)), times=1)
    door.fault("DELETE", removal := hold(lambda exchange: exchange.reset()), times=1)
    client = client_of(door, timeout=LONGEST)
    future = client.begin_upload(source, PATH)
    assert removal.asked.wait(LONGEST)
    cancel(future)
    removal.may.set()
    client.close()
    left = noted(door)
    client.upload(source, PATH)

    assert left != []
    assert door.files == {PATH: payload}
    assert noted(door) == []


def test_an_upload_that_is_cancelled_while_it_is_renamed_ends_at_once(
    door: Door, client_of: Client, source: Path, payload: bytes, hold: Hold
) -> None:
    del door.files[PATH]
    door.fault("MOVE", renaming := hold(move))
    client = client_of(door, timeout=LONGEST)
    future = client.begin_upload(source, PATH)
    assert renaming.asked.wait(LONGEST)
    cancel(future)

    assert noted(door) != []
    renaming.may.set()
    client.close()

    assert door.files == {PATH: payload}
    assert noted(door) == []
    assert door.requests("DELETE") == []


def test_an_upload_that_was_cancelled_replaces_nothing_any_more(
    door: Door, client_of: Client, source: Path, hold: Hold
) -> None:
    door.fault("MOVE", renaming := hold(move))
    client = client_of(door, timeout=LONGEST)
    future = client.begin_upload(source, PATH)
    assert renaming.asked.wait(LONGEST)
    cancel(future)
    renaming.may.set()
    client.close()

    assert door.files == OLD
    assert len(door.requests("MOVE")) == 1
    assert noted(door) == []


def test_a_direct_upload_that_is_cancelled_ends_before_what_is_there_is_gone(
    open_door: Open, client_of: Client, large: Path, source: Path, hold: Hold
) -> None:
    pieces: list[int] = []
    door = open_door(folders={"/night"})
    door.fault("MOVE", acts.status(403))
    client = client_of(door, timeout=LONGEST)
    client.upload(source, "/night/first")
    door.fault("PUT", bottomless(pieces))
    door.fault("DELETE", removal := hold(delete))
    future = client.begin_upload(large, PATH)
    children.wait_until(lambda: len(pieces) > 3)
    cancel(future)

    assert PATH in door.files
    removal.may.set()
    client.close()

    assert PATH not in door.files


def test_close_waits_for_nothing_in_the_thread_of_an_event_loop(
    door: Door, client_of: Client, large: Path, started: list[int], hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "PATIENCE", LONGEST)
    door.fault("DELETE", hold(delete))
    client = client_of(door, timeout=LONGEST)

    async def stop() -> float:
        task = asyncio.ensure_future(client.begin_upload(large, PATH))
        while len(started) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        begun = time.monotonic()
        client.close()
        return time.monotonic() - begun

    assert asyncio.run(stop()) < SOON


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_waits_for_nothing_of_its_parent(
    door: Door, client_of: Client, large: Path, started: list[int], hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "PATIENCE", SOON)
    door.fault("DELETE", hold(delete))
    client = client_of(door, timeout=LONGEST)
    future = client.begin_upload(large, PATH)
    children.wait_until(lambda: len(started) > 3)
    cancel(future)
    child = os.fork()
    if child == 0:
        signal.alarm(int(LONGEST))
        try:
            begun = time.monotonic()
            client._transfers.background.wait()
            os._exit(7 if time.monotonic() - begun < SOON / 2 else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7


# The end of the process.

CLOSED = """
with client:
    client.upload(*sys.argv[1:])
"""
TASK = """
import atexit
task = os.fork()
if task:
    signal.signal(signal.SIGINT, lambda *_: os.kill(task, signal.SIGINT))
    os.waitpid(task, 0)
    raise KeyboardInterrupt
atexit._clear()
from ctadata_providers import CtaClient, PermissionDeniedError
try:
    client.upload(*sys.argv[1:])
finally:
    atexit._run_exitfuncs()  # as Airflow ends a task
    os._exit(0)
"""


def late(act: Act) -> Act:
    """Answer after half a second: a line to the other side of the world."""

    def answer(exchange: Exchange) -> None:
        exchange.door.stopping.wait(0.5)
        act(exchange)

    return answer


@pytest.mark.parametrize("program", [UPLOAD, CLOSED, TASK], ids=["left open", "closed", "a task of Airflow"])
def test_a_slow_server_still_removes_the_part_of_a_process_that_ends(
    program: str, door: Door, large: Path, started: list[int], ca: Path, clean_environment: Path
) -> None:
    door.fault("DELETE", late(delete))
    child = children.start(program, {"ca_path": ca, "timeout": LONGEST, "door_url": door.url}, large, PATH)
    children.wait_until(lambda: len(started) > 3)

    assert interrupted(child) < ENDED
    assert door.files == OLD
    assert not list(clean_environment.rglob("*.json"))


def test_the_command_line_ends_within_2_seconds_and_a_slow_server_still_removes_the_part(
    door: Door, large: Path, started: list[int], ca: Path, clean_environment: Path
) -> None:
    door.fault("DELETE", late(delete))
    program = "from ctadata_providers.cli import main; sys.exit(main(sys.argv[1:]))"
    child = children.start(program, {}, "put", "--door-url", door.url, "--ca-path", ca, large, PATH)
    children.wait_until(lambda: len(started) > 3)
    begun = time.monotonic()
    child.send_signal(signal.SIGINT)
    _, said = children.finish(child)
    seconds = time.monotonic() - begun

    assert (child.returncode, said) == (130, "ctadata: interrupted\n")
    assert seconds < ENDED
    assert door.files == OLD
    assert not list(clean_environment.rglob("*.json"))

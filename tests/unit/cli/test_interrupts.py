"""Ctrl-C in every phase of a command: it ends within 2 s with code 130, and leaves only parts that are gone on with."""

import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ctadata_providers import TreeResult
from ctadata_providers.cli.copies import Copy, _how_to_go_on
from ctadata_providers.testing import FakeCta
from ctadata_providers.uri import Address

PATIENCE = 20.0
EACH = 3 << 19
"""Bytes that come in each attempt."""
GATHERED = 1 << 17
"""Bytes that may not yet have been written."""
ON_BY_SYNC = "to go on where it stopped: ctadata sync cta://lst copy"
CTADATA = [sys.executable, "-m", "ctadata_providers.cli"]


@pytest.fixture
def state(cta_environ: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary names are remembered; the working folder is empty."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "state"


@contextmanager
def started(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen([*CTADATA, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupted(
    arguments: list[str],
    ready: Callable[[], object],
    *,
    says: str | None = None,
    kept: int | None = 0,
    number: signal.Signals = signal.SIGINT,
) -> str:
    """Run a command, send it a signal at a point, and return what it said, which must end in time.

    Args:
        arguments: Those of the command.
        ready: Tells whether it has come to the point.
        says: What it says of how to go on; by default that of a folder that is fetched, else nothing.
        kept: How many downloads leave what has come, None when it may be any.
        number: The signal.
    """
    with started(*arguments) as process:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)  # another process comes to a point that only polling shows
        begun = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        seconds = time.monotonic() - begun

    assert process.returncode == 128 + number, said
    if says is None:
        says = ON_BY_SYNC if arguments[:2] == ["get", "-r"] else ""
    what = "interrupted" if number == signal.SIGINT else "ended by SIGTERM"
    assert said.endswith(f"ctadata: {what}; {says}\n" if says else f"ctadata: {what}\n")
    assert "Traceback" not in said
    assert seconds < 2
    assert kept is None or len(list(Path().rglob("*.ctapart"))) == 2 * kept
    return said


def remote_parts(cta: FakeCta) -> list[str]:
    return [path for path in cta.paths() if path.endswith(".ctapart")]


@pytest.fixture
def many(state: Path, fake_cta: FakeCta) -> FakeCta:
    """Many small files, there and here."""
    for folder in range(8):
        for number in range(20):
            fake_cta.put(f"/lst/n{folder}/{number}", b"12345")
            place = Path(f"own/n{folder}/{number}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"12345")
    fake_cta.clear_requests()
    return fake_cta


@pytest.mark.parametrize("command", [["list", "-r", "lst"], ["get", "-r", "lst", "copy"], ["list", "lst/**/1"]])
def test_while_folders_are_listed(command: list[str], many: FakeCta) -> None:
    fault = many.faults.add("stall", path="/lst/n1*", method="PROPFIND")
    interrupted(command, lambda: fault.hits)


@pytest.mark.parametrize("command", [["list", "-r", "lst"], ["get", "-r", "lst", "copy"]])
def test_while_a_listing_is_tried_again(command: list[str], many: FakeCta) -> None:
    fault = many.faults.add("unavailable", path="/lst/n1", method="PROPFIND", retry_after=60)
    interrupted(command, lambda: fault.hits)


def test_while_many_small_files_come(many: FakeCta) -> None:
    many.faults.add("slow-redirect", method="GET", seconds=0.2)
    interrupted(["get", "-r", "lst", "copy"], lambda: sum(place.is_file() for place in Path().glob("copy/*/*")) > 30)

    assert {place.read_bytes() for place in Path().glob("copy/**/*") if place.is_file()} == {b"12345"}


def test_while_many_small_files_go(many: FakeCta, state: Path) -> None:
    many.faults.add("slow-redirect", method="PUT", seconds=0.2)
    interrupted(["put", "-r", "own", "up"], lambda: sum(path.startswith("/up/") for path in many.paths()) > 30)

    assert remote_parts(many) == []
    assert [note.read_text() for note in state.rglob("*.json")] == []
    assert {many.get(path) for path in many.paths() if path.startswith("/up/")} == {b"12345"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["get", "sync"])
def test_the_same_command_goes_on(command: str, number: signal.Signals, state: Path, fake_cta: FakeCta) -> None:
    content = random.Random(7).randbytes(4 << 20)
    fake_cta.put("/lst/night/big", content)
    arguments = ["get", "lst/night/big", "big"] if command == "get" else ["sync", "cta://lst/night", "."]

    says = "the same command goes on where it stopped"
    for attempt in (1, 2):
        fault = fake_cta.faults.add("stall", path="/lst/night/big", method="GET", server="pool", after=EACH)
        least = attempt * EACH - GATHERED
        interrupted(arguments, lambda least=least: bytes_here() >= least, says=says, kept=1, number=number)
        fake_cta.faults.remove(fault)
    there = bytes_here()
    fake_cta.clear_requests()

    with started(*arguments) as process:
        assert process.wait(PATIENCE) == 0
    assert Path("big").read_bytes() == content
    assert not list(Path().glob(".*"))
    assert [one.headers["range"] for one in fake_cta.requests if one.server == "pool"] == [
        f"bytes={there}-{len(content) - 1}"
    ]


def bytes_here() -> int:
    return sum(place.stat().st_size for place in Path().glob(".big.*.ctapart") if ".json." not in place.name)


def test_while_one_big_file_comes(state: Path, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/big", bytes(1 << 20))
    fake_cta.faults.add("slow", path="/lst/big", method="GET")
    interrupted(["get", "lst/big"], lambda: any(place.stat().st_size for place in Path().glob(".*.ctapart")))


def test_while_one_big_file_goes(state: Path, fake_cta: FakeCta) -> None:
    Path("big").write_bytes(bytes(1 << 22))
    fake_cta.put("/lst/big", b"old")
    fault = fake_cta.faults.add("slow", path="/lst/*", method="PUT")
    interrupted(["put", "big", "lst/big"], lambda: fault.hits)

    assert fake_cta.get("/lst/big") == b"old"
    assert remote_parts(fake_cta) == []
    assert [note.read_text() for note in state.rglob("*.json")] == []


@pytest.mark.parametrize(
    ("method", "command"), [("GET", ["get", "-r", "lst", "copy"]), ("PUT", ["put", "-r", "own", "up"])]
)
def test_while_files_are_tried_again(method: str, command: list[str], many: FakeCta, state: Path) -> None:
    fault = many.faults.add("unavailable", method=method, server="door", retry_after=60)
    interrupted(command, lambda: fault.hits >= 16)

    assert remote_parts(many) == []
    assert [note.read_text() for note in state.rglob("*.json")] == []


@pytest.mark.parametrize("fault", ["stall", "unavailable"])
def test_while_folders_are_made(fault: str, many: FakeCta) -> None:
    options = {"retry_after": 60} if fault == "unavailable" else {}
    struck = many.faults.add(fault, path="/up/*", method="MKCOL", **options)  # type: ignore[arg-type]  # by name
    interrupted(["put", "-r", "own", "up"], lambda: struck.hits >= 4)

    assert [path for path in many.paths() if path.startswith("/up/")] == []


@pytest.mark.parametrize(
    ("method", "server"), [("PUT", "door"), ("PUT", "pool"), ("PROPFIND", "door"), ("MOVE", "door")]
)
def test_while_a_server_is_silent_to_uploads(method: str, server: str, many: FakeCta, state: Path) -> None:
    fault = many.faults.add("stall", path="/up/*/*", method=method, server=server)  # type: ignore[arg-type]  # by name
    interrupted(["put", "-r", "own", "up"], lambda: fault.hits >= 8)
    remembered = "".join(note.read_text() for note in state.rglob("*.json"))

    assert [part for part in remote_parts(many) if part not in remembered] == []


def test_while_the_pools_are_silent_to_downloads(many: FakeCta) -> None:
    fault = many.faults.add("stall", method="GET", server="pool")
    interrupted(["get", "-r", "lst", "copy"], lambda: fault.hits >= 16)


def test_while_a_server_is_asked_for_checksums(state: Path, fake_cta: FakeCta) -> None:
    for number in range(8):
        fake_cta.put(f"/lst/{number}", bytes(1 << 20))
    fake_cta.faults.add("no-digest")
    fault = fake_cta.faults.add("stall", method="HEAD")
    interrupted(
        ["get", "-r", "--checksum", "require", "lst", "copy"],
        lambda: fault.hits >= 2,
        kept=None,
        says=ON_BY_SYNC.replace(":", ", with the same options:", 1),
    )


def test_what_failed_before_is_not_told_instead(many: FakeCta) -> None:
    many.set_locality("/lst/n0/0", "LOST")
    fault = many.faults.add("stall", path="/lst/n2/*", method="GET", server="pool")

    assert not re.search("LOST", interrupted(["get", "-r", "lst", "copy"], lambda: fault.hits))


@pytest.mark.parametrize(
    ("folders", "profile", "said"),
    [
        (["/lst/a b"], None, ["to go on where it stopped: ctadata sync 'cta://lst/a b' new"]),
        (["/lst/a"], "dev", ["to go on where it stopped: ctadata sync cta://dev@lst/a new"]),
        (["/lst/a", "/lst/b"], None, ["to go on with each folder where it stopped: ctadata sync SOURCE TARGET"]),
        ([], None, []),
    ],
)
def test_folders_go_on_with_the_command_that_is_told(folders: list[str], profile: str | None, said: list[str]) -> None:
    def tree(**_: object) -> TreeResult:
        raise NotImplementedError

    plan = {path: Copy(remote=path, local=Path("new"), tree=tree) for path in folders}
    addresses = [Address(path=path, name=profile) for path in folders]

    assert list(_how_to_go_on(plan, addresses, options=False)) == said

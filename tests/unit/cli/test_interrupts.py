"""Ctrl-C in every phase of a command: it ends within 2 s with code 130 and leaves no parts."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ctadata_providers.testing import FakeCta

PATIENCE = 20.0
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


def interrupted(arguments: list[str], ready: Callable[[], object]) -> str:
    """Run a command, send it Ctrl-C at a point, and return what it said, which must end in time."""
    with started(*arguments) as process:
        deadline = time.monotonic() + PATIENCE
        while not ready():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)  # another process comes to a point that only polling shows
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        seconds = time.monotonic() - begun

    assert process.returncode == 130, said
    assert said.endswith("ctadata: interrupted\n")
    assert "Traceback" not in said
    assert seconds < 2
    assert not list(Path().rglob("*.ctapart"))
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
    interrupted(["get", "-r", "--checksum", "require", "lst", "copy"], lambda: fault.hits >= 2)


def test_what_failed_before_is_not_told_instead(many: FakeCta) -> None:
    many.set_locality("/lst/n0/0", "LOST")
    fault = many.faults.add("stall", path="/lst/n2/*", method="GET", server="pool")

    assert not re.search("LOST", interrupted(["get", "-r", "lst", "copy"], lambda: fault.hits))

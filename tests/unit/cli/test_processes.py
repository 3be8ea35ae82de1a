"""Signals, pipes and terminals."""

import os
import pty
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.cli import main
from ctadata_providers.testing import FakeCta

Run = Callable[..., Any]
"""The fixture `ctadata`: runs a command, gives its `code`, `out`, `err`, `lines`, `records`, `error`, `one_line`."""

CTADATA = [sys.executable, "-m", "ctadata_providers.cli"]


@contextmanager
def started(*arguments: str, **options: object) -> "Iterator[subprocess.Popen[str]]":
    """Run a command as a process, which is gone afterwards."""
    process = subprocess.Popen([*CTADATA, *arguments], text=True, **options)  # type: ignore[call-overload]  # kwargs
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_closed_stdout_or_stderr_is_no_error(
    closed: str, cta_environ: object, fake_cta: FakeCta, tmp_path: Path
) -> None:
    fake_cta.put("/lst/a", b"12345")
    command = f"{shlex.join(CTADATA)} get -v lst/a {closed}>&- && {shlex.join(CTADATA)} list -q lst {closed}>&-"
    ran = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (0, "a\n" if closed == "2" else "")
    assert "unexpected" not in ran.stderr
    assert (tmp_path / "a").read_bytes() == b"12345"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_waiting_command_without_a_trace(number: int, code: int, tmp_path: Path) -> None:
    with socket.create_server(("localhost", 0)) as silent:
        door = f"https://localhost:{silent.getsockname()[1]}"
        silent.settimeout(30)
        with started("get", "--door-url", door, "lst/a", cwd=tmp_path, stderr=subprocess.PIPE) as process:
            connection, _ = silent.accept()
            process.send_signal(number)
            _, err = process.communicate(timeout=10)
            connection.close()

    assert process.returncode == code
    assert err == ("ctadata: interrupted\n" if number == signal.SIGINT else "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_python_wraps_into_another_error_is_one(
    number: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    class Field:
        def __set_name__(self, owner: type, name: str) -> None:
            signal.raise_signal(number)

    def load(arguments: Sequence[str]) -> int:
        """Define a class, as a lazy import does."""
        type("Record", (), {"field": Field()})
        return 0

    assert main([], run=load) == code
    assert capsys.readouterr().err == ("ctadata: interrupted\n" if number == signal.SIGINT else "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_comes_while_python_ignores_errors_is_not_lost(
    number: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    class Lock:
        """Something with a callback at its end, as the locks of the import system are."""

    def wait(arguments: Sequence[str]) -> int:
        lock = Lock()
        finished = weakref.ref(lock, lambda _: signal.raise_signal(number))
        del lock
        threading.Event().wait(30)
        return 0 if finished() is None else 1

    assert main([], run=wait) == code
    assert capsys.readouterr().err == ("ctadata: interrupted\n" if number == signal.SIGINT else "")


@pytest.mark.parametrize(
    ("arguments", "number", "code"),
    [
        (["lst/a.fits", "lst/b.fits", "night"], signal.SIGINT, 130),
        (["lst/a.fits", "lst/b.fits", "night"], signal.SIGTERM, 143),
        (["-r", "lst", "night"], signal.SIGINT, 130),
    ],
)
def test_a_signal_stops_all_transfers_and_leaves_nothing(
    arguments: list[str], number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Large enough to be still on its way, but empty blocks on disk.
    (tmp_path / "served" / "lst").mkdir(parents=True)
    for name in ("a.fits", "b.fits"):
        with (tmp_path / "served" / "lst" / name).open("wb") as file:
            file.truncate(2**28)
    with FakeCta(root=tmp_path / "served") as cta:
        for name, value in cta.environ().items():
            monkeypatch.setenv(name, value)
        with started("get", "--checksum", "off", *arguments, cwd=tmp_path, stderr=subprocess.PIPE) as process:
            while process.poll() is None and not any((tmp_path / "night").glob(".*.ctapart")):
                time.sleep(0.01)
            process.send_signal(number)
            begin = time.monotonic()
            _, err = process.communicate(timeout=20)
            seconds = time.monotonic() - begin

    assert process.returncode == code, err
    assert seconds < 2
    assert "Traceback" not in err
    assert list((tmp_path / "night").iterdir()) == []


def test_a_reader_that_goes_away_is_no_error(cta_environ: object, fake_cta: FakeCta) -> None:
    for number in range(800):
        fake_cta.put(f"/lst/{number:0100}", b"")
    with started("list", "lst", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=30)

    assert len(first) == 101
    assert (process.returncode, err) == (141, "")


@pytest.mark.parametrize(
    ("arguments", "full", "code", "said"),
    [
        (["list", "lst"], "stdout", 1, "ctadata: No space left on device\n"),
        (["--version"], "stdout", 1, "ctadata: No space left on device\n"),
        (["list", "nothing"], "stderr", 1, ""),
        (["list", "--nothing"], "stderr", 2, ""),
    ],
)
def test_what_cannot_be_written_is_an_error_with_a_code_of_ours(
    arguments: list[str], full: str, code: int, said: str, cta_environ: object, fake_cta: FakeCta
) -> None:
    fake_cta.put("/lst/a", b"1")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as device:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, full: device}
        with started(*arguments, env=environment, **streams) as process:
            out, err = process.communicate(timeout=30)

    assert (process.returncode, err or "", out or "") == (code, said, "")


@pytest.mark.parametrize(("options", "shown"), [([], True), (["-q"], False), (["--json"], False), (["-v"], False)])
def test_a_bar_is_shown_on_a_terminal_only(
    options: list[str], shown: bool, cta_environ: object, night: FakeCta, tmp_path: Path
) -> None:
    ours, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with started(
        "get", "lst/DL3/a.fits", *options, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=terminal
    ) as process:
        process.communicate(timeout=30)
    os.close(terminal)
    seen = os.read(ours, 65536) if shown or "-v" in options else b""
    os.close(ours)

    assert process.returncode == 0
    assert (b"\x1b[" in seen) is shown
    assert (b"a.fits" in seen) is (shown or "-v" in options)


def test_the_sandbox_prints_the_settings_that_reach_it(
    ctadata: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x.fits").write_bytes(b"x")
    monkeypatch.delenv("BEARER_TOKEN")
    with started("sandbox", "--root", str(tmp_path / "served"), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in iter(process.stdout.readline, ""):
            if not line.startswith("export "):
                break
            name, _, value = line.removeprefix("export ").strip().partition("=")
            monkeypatch.setenv(name, *shlex.split(value))
        listed = ctadata("list")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)

    assert listed.lines == ["x.fits"]
    assert process.returncode == 0

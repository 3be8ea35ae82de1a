"""Starting, waiting for and stopping a server program."""

import os
import sys
from pathlib import Path

import pytest

from tests.servers.process import ServerError, free_port, port_answers, program, require_file, running

_LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"


def test_a_missing_program_or_file_names_its_debian_package() -> None:
    with pytest.raises(ServerError, match=r"no-such-program.*Debian package its-package"):
        program("no-such-program", "its-package")
    with pytest.raises(ServerError, match=r"/no/such/module\.so.*Debian package its-package"):
        require_file("/no/such/module.so", "its-package")


def test_a_program_runs_while_it_is_used(tmp_path: Path) -> None:
    port = free_port()
    argv = [sys.executable, "-c", _LISTEN, str(port)]
    with running(argv, log=tmp_path / "log", ready=lambda: port_answers(port)) as pid:
        answered = port_answers(port)

    assert answered
    assert not port_answers(port)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_ends_early_shows_its_log(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "raise SystemExit('the port is taken')"]
    with (
        pytest.raises(ServerError, match=r"(?s)ended with status 1.*the port is taken"),
        running(argv, log=tmp_path / "log", ready=lambda: False),
    ):
        pytest.fail("it was not ready")


def test_a_program_that_never_gets_ready_is_stopped_and_shows_its_log(tmp_path: Path) -> None:
    argv = ["sh", "-c", "echo waiting for keys; exec sleep 60"]
    with (
        pytest.raises(ServerError, match=r"(?s)not ready.*waiting for keys"),
        running(argv, log=tmp_path / "log", ready=lambda: False, timeout=1),
    ):
        pytest.fail("it was not ready")

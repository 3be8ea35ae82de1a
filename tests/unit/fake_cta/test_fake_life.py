"""The life of the servers: started, closed, forked, and left alone; nothing stays behind."""

import gc
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Wire, asking


def test_it_is_up_and_down_in_under_a_second_each() -> None:
    start = time.perf_counter()
    with FakeCta() as cta:
        up = time.perf_counter()
        cta.put("/x", b"1")
        before_close = time.perf_counter()
    down = time.perf_counter()

    assert up - start < 1
    assert down - before_close < 1


def test_closing_ends_open_connections_and_leaves_nothing_unclosed() -> None:
    threads = set(threading.enumerate())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cta = FakeCta()
        cta.start()
        port = urlsplit(cta.door_url).port
        idle = Wire(cta, cta.door_url)
        asked = Wire(cta, cta.door_url)
        asked.send("PUT /x HTTP/1.1", f"Authorization: Bearer {cta.token}", "Content-Length: 500000", body=b"x")
        silent = socket.create_connection(("127.0.0.1", port))
        ca_file = Path(str(cta.ca_file))
        start = time.perf_counter()
        cta.close()
        seconds = time.perf_counter() - start
        cta.close()
        for wire in (idle, asked):
            wire.__exit__()
        silent.close()
        gc.collect()

    assert seconds < 1
    assert set(threading.enumerate()) <= threads
    assert not ca_file.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_it_is_not_usable_before_its_start_and_after_its_end() -> None:
    cta = FakeCta()
    with pytest.raises(ConfigError):
        _ = cta.door_url
    with pytest.raises(ConfigError):
        _ = cta.token
    with cta:
        url = cta.door_url
    with pytest.raises(ConfigError):
        cta.put("/x", b"")

    assert url.startswith("https://localhost:")


def test_it_can_be_started_again() -> None:
    cta = FakeCta()
    for _ in range(2):
        with cta, asking(cta) as ask:
            assert ask("OPTIONS", "/").status_code == 200
            assert cta.paths() == []
            cta.put("/x", b"")


def test_a_taken_port_is_an_error_and_leaves_nothing_running(fake_cta: FakeCta) -> None:
    threads = set(threading.enumerate())
    with pytest.raises(ConfigError, match="in use"):
        FakeCta(door_port=urlsplit(fake_cta.door_url).port or 0).start()

    assert set(threading.enumerate()) <= threads


def test_a_host_that_is_not_this_machine_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    program = """
import os, sys, tempfile
from ctadata_providers.errors import ConfigError
from ctadata_providers.testing import FakeCta

tempfile.tempdir = sys.argv[1]
for host in ("no.such.host.invalid", "203.0.113.1"):
    try:
        FakeCta(host=host).start()
    except ConfigError as error:
        print(host in error.message)
print(os.listdir(sys.argv[1]))
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "True", "[]"]


def test_a_forked_process_leaves_the_data_of_its_parent_alone() -> None:
    program = """
import os, sys
from ctadata_providers.testing import FakeCta

def alive(child):
    if not (pid := os.fork()):
        child()
        sys.exit()
    os.waitpid(pid, 0)
    return cta.exists("/x") and cta.ca_file.exists()

with FakeCta() as cta:
    cta.put("/x", b"1")
    print(alive(cta.close), alive(lambda: None))
    folders = [cta.ca_file.parent, cta._parts.storage.root]
print([folder.exists() for folder in folders])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == ["True True", "[False, False]"]


def test_connections_and_ports_end_although_a_fork_lives_on() -> None:
    program = """
import os, socket
from urllib.parse import urlsplit
from ctadata_providers.testing import FakeCta

def connect():
    return socket.create_connection(("localhost", urlsplit(url).port), timeout=5)

def ask(connection):
    connection.sendall(b"OPTIONS / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    return connection.recv(1000).partition(b"\\r")[0].decode()

def error(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__

cta = FakeCta(tls=False, anonymous=True)
cta.start()
url = cta.door_url
first, second = connect(), connect()
print(ask(first), ask(second), flush=True)
end, hold = os.pipe()
asked, done = os.pipe()
if not os.fork():
    os.close(hold)
    print(cta.requests[0].status, cta.exists("/x"), ask(connect()), flush=True)
    os.write(done, b"1")
    os.read(end, 1)
    os._exit(0)
os.read(asked, 1)
with cta.fault("reset"):
    print(error(lambda: ask(first)))
cta.close()
print(second.recv(1))
print(error(connect))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [
        "HTTP/1.1 200 OK HTTP/1.1 200 OK",
        "200 False HTTP/1.1 200 OK",
        "ConnectionResetError",
        "b''",
        "ConnectionRefusedError",
    ]


def test_what_is_not_closed_is_removed_at_the_end_of_the_process(tmp_path: Path) -> None:
    program = """
import pathlib, sys, tempfile
from ctadata_providers.testing import FakeCta

served, tempfile.tempdir = sys.argv[1:]
for root in (None, pathlib.Path(served)):
    cta = FakeCta(root=root)
    cta.start()
    cta.put("/x", b"1")
"""
    served, temporary = tmp_path / "served", tmp_path / "temporary"
    served.mkdir()
    temporary.mkdir()
    subprocess.run([sys.executable, "-c", program, str(served), str(temporary)], check=True)

    assert [path.name for path in served.iterdir()] == ["x"]
    assert list(temporary.iterdir()) == []

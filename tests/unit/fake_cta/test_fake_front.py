import gc
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ctadata_providers.errors import ConfigError, IsADirError, NotADirError, NotFoundError
from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, Wire, asking


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
    threads = threading.active_count()
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
    assert threading.active_count() == threads
    assert not ca_file.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_the_certificate_passes_strict_verification_for_every_loopback_name(fake_cta: FakeCta) -> None:
    context = ssl.create_default_context(cafile=str(fake_cta.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    versions = []
    for name in ("localhost", "127.0.0.1", "::1"):
        plain = socket.create_connection(("127.0.0.1", urlsplit(fake_cta.door_url).port), timeout=10)
        with context.wrap_socket(plain, server_hostname=name) as secured:
            versions.append(secured.version())

    assert versions == ["TLSv1.3"] * 3


def test_a_client_that_distrusts_the_certificate_does_not_harm_the_server(fake_cta: FakeCta, ask: Asker) -> None:
    plain = socket.create_connection(("127.0.0.1", urlsplit(fake_cta.door_url).port), timeout=10)
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
    plain.close()

    assert ask("OPTIONS", "/").status_code == 200


def test_an_ipv6_address_can_be_the_host() -> None:
    try:
        cta = FakeCta(host="::1")
        cta.start()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with cta, asking(cta) as ask:
        cta.put("/x", b"hello")
        location = ask.redirected("GET", "/x")
        content = ask.at("GET", location).content

    assert location.startswith("https://[::1]:")
    assert content == b"hello"


def test_the_storage_can_be_read_and_changed_without_http(fake_cta: FakeCta) -> None:
    fake_cta.put("/a/x", b"1")
    fake_cta.put("cta://b/y", b"2")
    fake_cta.make_dir("/a/c/d")
    fake_cta.make_dir("/a/c/d")

    assert fake_cta.paths() == ["/a/x", "/b/y"]
    assert (fake_cta.get("a/x"), fake_cta.get("/b/y")) == (b"1", b"2")
    assert [fake_cta.exists(path) for path in ("/a/c/d", "/a/x", "/a/y", "/")] == [True, True, False, True]
    assert fake_cta.requests == []


def test_what_cannot_be_is_an_error_of_its_class(fake_cta: FakeCta) -> None:
    fake_cta.put("/a/x", b"1")

    with pytest.raises(NotFoundError):
        fake_cta.get("/no")
    with pytest.raises(IsADirError):
        fake_cta.get("/a")
    with pytest.raises(IsADirError):
        fake_cta.put("/a", b"")
    with pytest.raises(NotADirError):
        fake_cta.put("/a/x/y", b"")
    with pytest.raises(NotADirError):
        fake_cta.make_dir("/a/x/y")
    with pytest.raises(ConfigError):
        fake_cta.put("/../x", b"")


def test_settings_and_environment_name_door_token_and_authority(fake_cta: FakeCta) -> None:
    settings, environ = fake_cta.settings(), fake_cta.environ()

    assert settings == {
        "door_url": fake_cta.door_url,
        "token": fake_cta.token,
        "ca_path": str(fake_cta.ca_file),
    }
    assert environ == {
        "CTA_DOOR_URL": fake_cta.door_url,
        "BEARER_TOKEN": fake_cta.token,
        "CTA_CA_PATH": str(fake_cta.ca_file),
    }
    assert Path(str(fake_cta.ca_file)).read_text().startswith("-----BEGIN CERTIFICATE-----")


def test_a_request_is_in_the_log_before_its_answer_arrives_and_holds_no_secret(fake_cta: FakeCta, ask: Asker) -> None:
    ask("PUT", "/a b", {"X-Mine": "1"}, data=b"hello")
    (logged,) = fake_cta.requests
    fake_cta.clear_requests()

    assert (logged.server, logged.method, logged.path, logged.query) == ("door", "PUT", "/a b", "")
    assert (logged.status, logged.sent) == (201, 5)
    assert logged.headers["x-mine"] == "1"
    assert logged.headers["authorization"].startswith("Bearer sha256:")
    assert fake_cta.token not in repr(logged)
    assert fake_cta.requests == []


def test_the_log_can_be_read_while_it_grows(fake_cta: FakeCta) -> None:
    def ask_often() -> None:
        with asking(fake_cta) as ask:
            for _ in range(50):
                ask("OPTIONS", "/")

    threads = [threading.Thread(target=ask_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    counts = []
    while any(thread.is_alive() for thread in threads):
        counts.append(len(fake_cta.requests))
        time.sleep(0.001)  # lets the other threads run
    for thread in threads:
        thread.join()

    assert counts == sorted(counts)
    assert len(fake_cta.requests) == 200


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


def test_a_given_folder_is_never_reset(tmp_path: Path) -> None:
    with FakeCta(root=tmp_path) as cta:
        cta.put("/x", b"1")
        with pytest.raises(ConfigError):
            cta.reset()

    assert (tmp_path / "x").read_bytes() == b"1"


def test_a_taken_port_is_an_error_and_leaves_nothing_running(fake_cta: FakeCta) -> None:
    threads = threading.active_count()
    with pytest.raises(ConfigError, match="in use"):
        FakeCta(door_port=urlsplit(fake_cta.door_url).port or 0).start()

    assert threading.active_count() == threads


def test_zero_pools_are_refused() -> None:
    with pytest.raises(ConfigError):
        FakeCta(pools=0)


def test_a_big_file_is_not_held_in_memory(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(5 << 30)
    program = """
import pathlib, resource, sys
from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import asking

with FakeCta(root=pathlib.Path(sys.argv[1])) as cta, asking(cta) as ask:
    url = ask.redirected("GET", "/big")
    print(ask.at("GET", url, {"Range": "bytes=5368709119-"}).headers["Content-Range"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ask.session.put(ask.redirected("PUT", "/new"), data=(bytes(1 << 20) for _ in range(200)))
    with ask.session.get(url, headers={"Range": "bytes=0-209715199"}, stream=True) as answer:
        print(sum(map(len, answer.iter_content(1 << 20))))
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    content_range, size, mebibytes = done.stdout.splitlines()

    assert content_range == "bytes 5368709119-5368709119/5368709120"
    assert size == "209715200"
    assert (tmp_path / "new").stat().st_size == 209715200
    assert int(mebibytes) < 60

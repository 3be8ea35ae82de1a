import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ctadata_providers.errors import ConfigError, IsADirError, NotADirError, NotFoundError
from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, Wire, asking


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
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with FakeCta(host="::1") as cta, asking(cta) as ask:
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


def test_what_had_arrived_before_the_log_was_cleared_is_not_in_it_whenever_it_ends(
    fake_cta: FakeCta, ask: Asker
) -> None:
    head = ("PUT /late HTTP/1.1", f"Authorization: Bearer {fake_cta.token}", "Content-Length: 5")
    with fake_cta.fault("stall", method="PUT", seconds=60) as stall, Wire(fake_cta, fake_cta.door_url) as wire:
        wire.send(*head, body=b"hello")
        while not stall.hits:
            time.sleep(0.005)
        fake_cta.clear_requests()
    time.sleep(0.2)  # in which it is noticed that the client has gone
    ask("PROPFIND", "/", {"Depth": "0"})

    assert [request.method for request in fake_cta.requests] == ["PROPFIND"]


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


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Destination": "https://door/y?authz={token}"}, ""),
        ({"Destination": "https://door/y?x=1&authz=opaque-secret&z=2"}, ""),
        ({"Destination": "https://alice:opaque-secret@door/y"}, ""),
        ({"Referer": "https://pool/y?dcache-http-uuid=opaque-secret"}, ""),
        ({"X-Mine": "{token}"}, ""),
        ({"TransferHeaderAuthorization": "Bearer opaque-secret"}, ""),
        ({"X-Auth-Token": "opaque-secret"}, ""),
        ({}, "?next=%2Fy%3Fauthz%3Dopaque-secret"),
        ({}, "?access_token={token}"),
    ],
)
def test_secrets_are_not_logged_wherever_they_stand(
    fake_cta: FakeCta, ask: Asker, headers: dict[str, str], query: str
) -> None:
    token = fake_cta.make_token()
    ask("HEAD", f"/{token}", {name: value.format(token=token) for name, value in headers.items()}, token=token)
    ask("HEAD", "/x", {}, token=token, query=query.format(token=token))
    logged = repr(fake_cta.requests)

    assert "sha256:" in logged
    assert "opaque-secret" not in logged
    assert token not in logged


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


def test_a_folder_can_be_given_as_text(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    with FakeCta(root=str(tmp_path)) as cta:
        assert cta.paths() == ["/x"]


def test_a_given_folder_is_never_reset(tmp_path: Path) -> None:
    with FakeCta(root=tmp_path) as cta:
        cta.put("/x", b"1")
        with pytest.raises(ConfigError):
            cta.reset()

    assert (tmp_path / "x").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pools": 0}, "pool"),
        ({"tls": False, "pool_tls": True}, "pool_tls"),
        ({"version": "latest"}, "version"),
        ({"version": "8.2.40"}, "version"),
        ({"anonymous": "some"}, "anonymous"),
        ({"quota": -1}, "quota"),
        ({"patience": -1.0}, "patience"),
        ({"issuer_prefix": "lst"}, "issuer_prefix"),
        ({"door_port": 70_000}, "door_port"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FakeCta(**arguments)


def test_reset_ends_transfers_and_forgets_logins() -> None:
    with FakeCta(login_cache=600, bans=False) as cta, asking(cta) as other:
        token = cta.make_token(lifetime=60)
        cta.put("/x", b"1")
        other("HEAD", "/x", token=token)
        location = other.redirected("GET", "/x")
        cta.clock_ahead = 61
        remembered = other("HEAD", "/x", token=token).status_code
        cta.reset()
        cta.clock_ahead = 61
        cta.put("/x", b"1")
        pool = other.at("GET", location).status_code
        forgotten = other("HEAD", "/x", token=token).status_code

    assert (remembered, forgotten, pool) == (200, 401, 307)


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
    ask.session.put(ask.redirected("PUT", "/new"), data=(bytes(1 << 20) for _ in range(80)))
    with ask.session.get(url, headers={"Range": "bytes=0-83886079"}, stream=True) as answer:
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
    assert size == "83886080"
    assert (tmp_path / "new").stat().st_size == 83886080
    assert int(mebibytes) < 40

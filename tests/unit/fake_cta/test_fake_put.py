"""Uploads as the field's clients do them: what reaches the door, what the pool, and what a broken one leaves."""

import io
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pycurl
import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, Wire, asking

Put = Callable[..., list[str]]
SIZES = [0, 10_000, 5_000_000]


def curl_put(cta: FakeCta, file: Path, path: str, *, expect: bool) -> list[str]:
    """Upload with the curl command; return its final status and the number of bytes that it sent."""
    command = ["curl", "-sS", "-L", "-o", str(file.with_suffix(".answer")), "-w", "%{http_code} %{size_upload}"]
    command += ["--cacert", str(cta.ca_file), "-H", f"Authorization: Bearer {cta.token}"]
    command += ["-H", "Expect: 100-continue" if expect else "Expect:", "-T", str(file), f"{cta.door_url}{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()


def pycurl_put(cta: FakeCta, file: Path, path: str, *, expect: bool) -> list[str]:
    """Upload with libcurl, two files over one handle so that a stale connection would show."""
    curl = pycurl.Curl()
    try:
        for _ in range(2):
            answer = io.BytesIO()
            with file.open("rb") as body:
                curl.setopt(pycurl.URL, f"{cta.door_url}{path}")
                curl.setopt(pycurl.CAINFO, str(cta.ca_file))
                curl.setopt(pycurl.UPLOAD, True)
                curl.setopt(pycurl.FOLLOWLOCATION, True)
                curl.setopt(pycurl.INFILESIZE_LARGE, file.stat().st_size)
                curl.setopt(pycurl.READDATA, body)
                curl.setopt(pycurl.SEEKFUNCTION, lambda offset, origin, body=body: body.seek(offset, origin) and 0)
                curl.setopt(pycurl.WRITEDATA, answer)
                expected = "Expect: 100-continue" if expect else "Expect:"
                curl.setopt(pycurl.HTTPHEADER, [f"Authorization: Bearer {cta.token}", expected])
                curl.perform()
        return [str(curl.getinfo(pycurl.RESPONSE_CODE)), str(int(curl.getinfo(pycurl.SIZE_UPLOAD_T)))]
    finally:
        curl.close()


CLIENTS = [
    pytest.param(curl_put, id="curl", marks=pytest.mark.skipif(not shutil.which("curl"), reason="no curl command")),
    pytest.param(pycurl_put, id="pycurl"),
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("put", CLIENTS)
def test_an_expecting_put_is_redirected_before_any_byte_reaches_the_door(
    fake_cta: FakeCta, big_file: Path, put: Put, size: int
) -> None:
    big_file.write_bytes(big_file.read_bytes()[:size])
    result = put(fake_cta, big_file, "/lst/new/x", expect=True)
    requests = fake_cta.requests

    assert result == ["201", str(size)]
    assert {(r.server, r.status, r.sent) for r in requests} == {("door", 307, 0), ("pool", 201, size)}
    assert [r.server for r in requests] == ["door", "pool"] * (len(requests) // 2)
    assert not any("authorization" in r.headers for r in requests if r.server == "pool")
    assert fake_cta.get("/lst/new/x") == big_file.read_bytes()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("put", CLIENTS)
def test_a_put_without_expect_is_relayed_by_the_door(fake_cta: FakeCta, big_file: Path, put: Put, size: int) -> None:
    big_file.write_bytes(big_file.read_bytes()[:size])
    result = put(fake_cta, big_file, "/lst/new/x", expect=False)

    assert result == ["201", str(size)]
    assert {(r.server, r.status, r.sent) for r in fake_cta.requests} == {("door", 201, size)}
    assert fake_cta.get("/lst/new/x") == big_file.read_bytes()


def test_the_redirecting_connection_is_closed_in_order(fake_cta: FakeCta) -> None:
    with Wire(fake_cta, fake_cta.door_url) as wire:
        wire.send(
            "PUT /x HTTP/1.1",
            f"Authorization: Bearer {fake_cta.token}",
            "Expect: 100-continue",
            "Content-Length: 5",
        )
        status, headers, body = wire.receive()
        closed = wire.is_closed()

    assert status == "HTTP/1.1 307 Temporary Redirect"
    assert (headers["connection"], body) == ("close", b"")
    assert closed


def test_an_impatient_body_is_relayed_although_expect_was_sent(fake_cta: FakeCta) -> None:
    with Wire(fake_cta, fake_cta.door_url) as wire:
        authorization = f"Authorization: Bearer {fake_cta.token}"
        wire.send("PUT /x HTTP/1.1", authorization, "Expect: 100-continue", "Content-Length: 5", body=b"hello")
        status, headers, _ = wire.receive()

    assert status == "HTTP/1.1 201 Created"
    assert "etag" in headers
    assert fake_cta.get("/x") == b"hello"


def test_a_body_that_comes_after_the_redirect_is_counted_and_goes_nowhere(fake_cta: FakeCta) -> None:
    with Wire(fake_cta, fake_cta.door_url) as wire:
        authorization = f"Authorization: Bearer {fake_cta.token}"
        wire.send("PUT /x HTTP/1.1", authorization, "Expect: 100-continue", "Content-Length: 5")
        status, _, _ = wire.receive()
        wire.socket.sendall(b"hello")
        closed = wire.is_closed()

    assert status.startswith("HTTP/1.1 307")
    assert closed
    assert fake_cta.requests[0].sent == 5
    assert fake_cta.get("/x") == b""


def test_a_pool_invites_the_body_that_expects_it(fake_cta: FakeCta, ask: Asker) -> None:
    location = ask.redirected("PUT", "/x")
    with Wire(fake_cta, location) as wire:
        target = "/" + location.split("/", 3)[3]
        wire.send(f"PUT {target} HTTP/1.1", "Expect: 100-continue", "Content-Length: 5")
        invitation, _, _ = wire.receive()
        wire.socket.sendall(b"hello")
        status, _, _ = wire.receive()

    assert invitation == "HTTP/1.1 100 Continue"
    assert status == "HTTP/1.1 201 Created"
    assert fake_cta.get("/x") == b"hello"


def test_a_refused_body_need_not_be_sent(fake_cta: FakeCta) -> None:
    fake_cta.make_dir("/d")
    with Wire(fake_cta, fake_cta.door_url) as wire:
        authorization = f"Authorization: Bearer {fake_cta.token}"
        wire.send("PUT /d HTTP/1.1", authorization, "Expect: 100-continue", "Content-Length: 5")
        status, _, _ = wire.receive()

    assert status == "HTTP/1.1 405 Method Not Allowed"
    assert fake_cta.requests[0].sent == 0


def test_a_refused_body_that_comes_anyway_leaves_the_connection_in_step(fake_cta: FakeCta) -> None:
    fake_cta.make_dir("/d")
    with Wire(fake_cta, fake_cta.door_url) as wire:
        authorization = f"Authorization: Bearer {fake_cta.token}"
        wire.send("PUT /d HTTP/1.1", authorization, "Content-Length: 5", body=b"hello")
        refused, _, _ = wire.receive()
        wire.send("OPTIONS / HTTP/1.1")
        after, _, _ = wire.receive()

    assert refused == "HTTP/1.1 405 Method Not Allowed"
    assert after == "HTTP/1.1 200 OK"


def test_a_put_without_any_length_makes_an_empty_file(fake_cta: FakeCta) -> None:
    with Wire(fake_cta, fake_cta.door_url) as wire:
        wire.send("PUT /x HTTP/1.1", f"Authorization: Bearer {fake_cta.token}")
        status, _, _ = wire.receive()

    assert status == "HTTP/1.1 201 Created"
    assert fake_cta.get("/x") == b""


def test_a_put_without_any_length_to_a_pool_makes_an_empty_file_too(fake_cta: FakeCta, ask: Asker) -> None:
    location = ask.redirected("PUT", "/x")
    with Wire(fake_cta, location) as wire:
        wire.send(f"PUT /{location.split('/', 3)[3]} HTTP/1.1")
        status, _, body = wire.receive()

    assert (status, body) == ("HTTP/1.1 201 Created", b"0 bytes uploaded\r\n")
    assert fake_cta.get("/x") == b""


def test_an_error_of_a_pools_disk_is_500(tmp_path: Path) -> None:
    with FakeCta(root=tmp_path) as cta, asking(cta) as ask:
        cta.put("/first", b"1")
        location = ask.redirected("PUT", "/x")
        (incoming,) = tmp_path.glob(".fakecta-*")
        incoming.rmdir()
        answer = ask.at("PUT", location, data=b"hello")

    assert (answer.status_code, answer.reason) == (500, "No such file or directory")


def test_if_none_match_star_refuses_an_existing_name_and_keeps_it(fake_cta: FakeCta, ask: Asker) -> None:
    statuses = [ask("PUT", "/x", {"If-None-Match": "*"}, data=data).status_code for data in (b"1", b"2")]

    assert statuses == [201, 412]
    assert fake_cta.get("/x") == b"1"


def test_missing_parents_are_made_unless_a_file_is_in_the_way(fake_cta: FakeCta, ask: Asker) -> None:
    statuses = [ask("PUT", path, data=b"1").status_code for path in ("/a/b/c", "/a/b/c/d/e", "/a/b")]

    assert statuses == [201, 409, 405]
    assert fake_cta.paths() == ["/a/b/c"]


def test_overwriting_answers_201_and_the_old_file_goes_before_the_new_one_comes(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"old")
    location = ask.redirected("PUT", "/x")
    between = fake_cta.get("/x")
    answer = ask.at("PUT", location, data=b"fresh")

    assert between == b""
    assert answer.status_code == 201
    assert fake_cta.get("/x") == b"fresh"


def test_an_upload_under_way_has_no_size_and_cannot_be_read(fake_cta: FakeCta, ask: Asker) -> None:
    location = ask.redirected("PUT", "/x")
    head = ask("HEAD", "/x")
    get = ask("GET", "/x")
    listing = ask("PROPFIND", "/x", {"Depth": "0"})
    ask.at("PUT", location, data=b"hello")

    assert head.status_code == 200
    assert "Content-Length" not in head.headers
    assert (get.status_code, get.text) == (500, "File upload not yet completed\n")
    assert "getcontentlength" not in listing.text
    assert ask("HEAD", "/x").headers["Content-Length"] == "5"


def test_an_upload_broken_off_at_a_pool_leaves_an_empty_file(fake_cta: FakeCta, ask: Asker) -> None:
    location = ask.redirected("PUT", "/x")
    with Wire(fake_cta, location) as wire:
        target = "/" + location.split("/", 3)[3]
        wire.send(f"PUT {target} HTTP/1.1", "Content-Length: 500000", body=b"x" * 1000)
    wait_for_requests(fake_cta, 2)

    assert (fake_cta.requests[1].status, fake_cta.requests[1].server) == (0, "pool")
    assert fake_cta.get("/x") == b""
    assert ask("HEAD", "/x").headers["Content-Length"] == "0"
    assert ask.at("PUT", location, data=b"hello").status_code == 307


def test_an_upload_broken_off_at_the_door_leaves_nothing(fake_cta: FakeCta) -> None:
    with Wire(fake_cta, fake_cta.door_url) as wire:
        authorization = f"Authorization: Bearer {fake_cta.token}"
        wire.send("PUT /x HTTP/1.1", authorization, "Content-Length: 500000", body=b"x" * 1000)
    wait_for_requests(fake_cta, 1)

    assert fake_cta.requests[0].status == 0
    assert not fake_cta.exists("/x")


@pytest.mark.parametrize("md5", ["1B2M2Y8AsgTpgAmY7PhCfg==", "none", "\xff"])
def test_a_wrong_content_md5_at_the_door_leaves_nothing(fake_cta: FakeCta, ask: Asker, md5: str) -> None:
    answer = ask("PUT", "/x", {"Content-MD5": md5}, data=b"hello")

    assert answer.status_code == 400
    assert answer.text.startswith("Checksum mismatch (expected=[")
    assert not fake_cta.exists("/x")


def test_an_entry_removed_during_its_upload_fails_it(fake_cta: FakeCta, ask: Asker) -> None:
    location = ask.redirected("PUT", "/x")
    ask("DELETE", "/x")
    answer = ask.at("PUT", location, data=b"hello")

    assert (answer.status_code, answer.reason) == (500, "the file was removed during the upload")
    assert not fake_cta.exists("/x")


def test_of_two_uploads_to_one_name_the_one_that_began_first_fails(fake_cta: FakeCta, ask: Asker) -> None:
    older, younger = ask.redirected("PUT", "/x"), ask.redirected("PUT", "/x")
    statuses = [ask.at("PUT", older, data=b"older").status_code, ask.at("PUT", younger, data=b"younger").status_code]

    assert statuses == [500, 201]
    assert fake_cta.get("/x") == b"younger"


def test_a_full_data_centre_answers_507_and_the_old_file_is_lost() -> None:
    with FakeCta(quota=1000) as cta, asking(cta) as ask:
        fits = ask("PUT", "/x", data=b"x" * 600)
        full = ask("PUT", "/y", data=b"y" * 600)
        overwritten = ask("PUT", "/x", data=b"x" * 1100)
        left = cta.paths()

    assert [fits.status_code, full.status_code, overwritten.status_code] == [201, 507, 507]
    assert left == []


def test_a_pool_that_runs_full_answers_507() -> None:
    with FakeCta(quota=1000) as cta, asking(cta) as ask:
        location = ask.redirected("PUT", "/x")
        cta.put("/other", b"o" * 900)
        answer = ask.session.put(location, data=iter([b"x" * 90, b"x" * 90]), timeout=10)

    assert (answer.status_code, answer.reason) == (507, "No space left for the upload")


def wait_for_requests(cta: FakeCta, count: int) -> None:
    """Wait until the server has seen that a client left."""
    deadline = time.monotonic() + 5
    while len(cta.requests) < count and time.monotonic() < deadline:
        time.sleep(0.01)

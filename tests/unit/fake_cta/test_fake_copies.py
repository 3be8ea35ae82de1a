"""COPY at the fake door: third-party copies as dCache makes them."""

import time
from collections.abc import Callable, Iterator

import pytest
import requests

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, Wire


@pytest.fixture(scope="module")
def other_server() -> Iterator[FakeCta]:
    with FakeCta(markers=0.05) as cta:
        yield cta


@pytest.fixture
def other(other_server: FakeCta) -> FakeCta:
    """Another data centre, empty."""
    other_server.reset()
    return other_server


def headers(cta: FakeCta, **more: str) -> dict[str, str]:
    """What a copy with another data centre needs."""
    return {"TransferHeaderAuthorization": f"Bearer {cta.token}", "Credential": "none", **more}


def test_a_pull_fetches_from_door_and_pool_and_ends_with_success(fake_cta: FakeCta, other: FakeCta, ask: Asker) -> None:
    other.put("/a b#1", b"events" * 1000)
    answer = ask("COPY", "/copy", headers(other, Source=f"{other.door_url}/a%20b%231"))

    assert (answer.status_code, answer.headers["Content-Type"]) == (202, "text/perf-marker-stream")
    assert answer.headers["Server"].startswith("dCache/")
    assert answer.text.splitlines()[-1] == "success: Created"
    assert fake_cta.get("/copy") == b"events" * 1000
    assert [(r.server, r.status, "authorization" in r.headers) for r in other.requests] == [
        ("door", 302, True),
        ("pool", 200, False),
    ]


def test_a_push_sends_and_ends_with_success(fake_cta: FakeCta, other: FakeCta, ask: Asker) -> None:
    fake_cta.put("/a", b"events")
    answer = ask("COPY", "/a", headers(other, Destination=f"{other.door_url}/b"))

    assert (answer.status_code, answer.text) == (202, "success: Created\n")
    assert other.get("/b") == b"events"
    assert other.xattrs("/b") == {}


def test_what_a_door_asks_for_a_copy_is_told_from_what_its_client_asks(
    fake_cta: FakeCta, other: FakeCta, ask: Asker
) -> None:
    fake_cta.put("/a", b"events")
    ask("COPY", "/a", headers(other, Destination=f"{other.door_url}/b"))
    ask("COPY", "/c", headers(other, Source=f"{other.door_url}/b"))

    assert [(r.method, r.by_door) for r in fake_cta.requests] == [("COPY", False)] * 2
    assert {(r.method, r.by_door) for r in other.requests} == {("PUT", True), ("HEAD", True), ("GET", True)}


def test_a_door_that_is_refused_by_another_one_has_nobody_else_banned_there(
    fake_cta: FakeCta, other: FakeCta, ask: Asker
) -> None:
    refused = {**headers(other), "TransferHeaderAuthorization": "Bearer wrong"}
    for _ in range(3):
        ask("COPY", "/c", {**refused, "Source": f"{other.door_url}/b"})
    answer = ask.at("GET", f"{other.door_url}/b", {"Authorization": f"Bearer {other.token}"})

    assert [r.status for r in other.requests] == [401] * 3 + [404]
    assert answer.status_code == 404


def test_a_data_centre_at_another_host_is_trusted_too(fake_cta: FakeCta, ask: Asker) -> None:
    with FakeCta(host="127.0.0.1") as other:
        other.put("/a", b"events")
        answer = ask("COPY", "/copy", headers(other, Source=f"{other.door_url}/a"))

    assert answer.text == "success: Created\n"
    assert fake_cta.get("/copy") == b"events"


def test_a_door_copies_from_itself(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/a", b"events")
    answer = ask("COPY", "/b", headers(fake_cta, Source=f"{fake_cta.door_url}/a"))

    assert answer.text == "success: Created\n"
    assert fake_cta.get("/b") == b"events"


def test_markers_tell_the_bytes_in_indented_lines(fake_cta: FakeCta, other: FakeCta) -> None:
    fake_cta.put("/a", b"x" * 100_000)
    asker_headers = headers(fake_cta, Source=f"{fake_cta.door_url}/a", Authorization=f"Bearer {other.token}")
    with fake_cta.fault("slow", server="pool", method="GET", rate=200_000):
        answer = _at(other, "/b", asker_headers)
    lines = answer.splitlines()

    assert lines.count("Perf Marker") == lines.count("End") > 1
    assert any(line.startswith("    Stripe Bytes Transferred: ") for line in lines)
    assert [line for line in lines if line.startswith("    State: ")][-1] == "    State: 10"
    assert lines[-1] == "success: Created"


def _at(cta: FakeCta, path: str, sent: dict[str, str]) -> str:
    """Return the whole answer to a COPY, its chunks put together."""
    with Wire(cta, cta.door_url) as wire:
        wire.send(f"COPY {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "Connection: close")
        _, _, _ = wire.receive(0)
        body = b""
        while size := int(wire.file.readline(), 16):
            body += wire.file.read(size)
            wire.file.readline()
        return body.decode()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 400),
        ({"Source": "{door}/a", "Destination": "{door}/b"}, 400),
        ({"Source": "gsiftp://localhost/a"}, 400),
        ({"Source": "/a"}, 400),
        ({"Source": "https:///a"}, 400),
        ({"Source": "https://[localhost/a"}, 400),
        ({"Source": "https://no-such-host.invalid/a"}, 400),
        ({"Source": "https://192.0.2.1/a"}, 400),
        ({"Destination": "/a"}, 501),
        ({"Source": "{door}/a", "Overwrite": "maybe"}, 400),
        ({"Source": "{door}/a", "RequireChecksumVerification": "maybe"}, 400),
        ({"Source": "{door}/a", "Credential": "password"}, 400),
        ({"Source": "{door}/a", "Credential": "oidc"}, 401),
    ],
)
def test_what_cannot_be_is_refused_before_it_begins(
    fake_cta: FakeCta, ask: Asker, sent: dict[str, str], status: int
) -> None:
    fake_cta.put("/a", b"1")
    asked = {name: value.replace("{door}", fake_cta.door_url) for name, value in sent.items()}
    answer = ask("COPY", "/new", headers(fake_cta, **asked))

    assert answer.status_code == status
    assert fake_cta.paths() == ["/a"]


def test_what_is_there_decides_before_it_begins(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/a", b"1")
    fake_cta.put("/old", b"old")
    fake_cta.make_dir("/folder")
    source = headers(fake_cta, Source=f"{fake_cta.door_url}/a")
    answers = {
        "exists": ask("COPY", "/old", {**source, "Overwrite": "F"}).status_code,
        "folder": ask("COPY", "/folder", source).status_code,
        "no parent": ask("COPY", "/missing/new", source).status_code,
        "push of nothing": ask("COPY", "/none", headers(fake_cta, Destination=f"{fake_cta.door_url}/b")).status_code,
        "push of a folder": ask("COPY", "/folder", headers(fake_cta, Destination=f"{fake_cta.door_url}/b")).status_code,
        "anonymous": ask("COPY", "/new", source, token=None).status_code,
        "no right": ask("COPY", "/new", source, token=fake_cta.make_token(scope="storage.read:/")).status_code,
    }

    assert answers == {
        "exists": 412,
        "folder": 400,
        "no parent": 400,
        "push of nothing": 404,
        "push of a folder": 400,
        "anonymous": 401,
        "no right": 401,
    }
    assert (fake_cta.paths(), fake_cta.get("/old")) == (["/a", "/old"], b"old")


def test_by_default_a_file_is_replaced_and_a_checksum_is_wanted(fake_cta: FakeCta, other: FakeCta, ask: Asker) -> None:
    other.put("/a", b"new")
    fake_cta.put("/old", b"old")
    source = headers(other, Source=f"{other.door_url}/a")
    with other.fault("no-digest"):
        strict = ask("COPY", "/old", source).text
        lenient = ask("COPY", "/new", {**source, "RequireChecksumVerification": "false"}).text
    with other.fault("wrong-digest"):
        wrong = ask("COPY", "/wrong", {**source, "RequireChecksumVerification": "false"}).text
    replaced = ask("COPY", "/old", source).text

    assert strict.startswith("failure: no checksum")
    assert wrong.startswith("failure: checksums differ")
    assert (lenient, replaced) == ("success: Created\n", "success: Created\n")
    assert {path: fake_cta.get(path) for path in fake_cta.paths()} == {"/new": b"new", "/old": b"new"}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("forbidden", "failure: rejected GET: 403 Forbidden\n"),
        ("not-found", "failure: rejected GET: 404 Not Found\n"),
        ("reset", "failure: HTTP GET request failed: "),
    ],
)
def test_a_fault_of_the_other_side_stands_in_the_last_line(
    fake_cta: FakeCta, other: FakeCta, ask: Asker, fault: str, said: str
) -> None:
    other.put("/a", b"1")
    other.faults.add(fault, server="door", method="GET")  # type: ignore[arg-type]  # a name from the table
    answer = ask("COPY", "/b", headers(other, Source=f"{other.door_url}/a"))

    assert answer.status_code == 202
    assert answer.text.startswith(said)
    assert fake_cta.paths() == []


def test_a_door_that_is_not_there_and_a_target_without_right_are_failures(
    fake_cta: FakeCta, other: FakeCta, ask: Asker
) -> None:
    fake_cta.put("/a", b"1")
    nobody = ask("COPY", "/b", headers(other, Source="https://localhost:1/a")).text
    denied = headers(other, Destination=f"{other.door_url}/b")
    denied["TransferHeaderAuthorization"] = f"Bearer {other.make_token(scope='storage.read:/')}"
    push = ask("COPY", "/a", denied).text

    assert nobody == "failure: Unable to connect to the remote server\n"
    assert push == "failure: rejected PUT: 403 Forbidden\n"
    assert (fake_cta.paths(), other.paths()) == (["/a"], [])


def test_a_certificate_must_be_delegated_unless_no_credential_is_wanted(fake_cta: FakeCta) -> None:
    source = {"Source": f"{fake_cta.door_url}/a"}
    asked = requests.Session()
    asked.trust_env = False
    asked.cert, asked.verify = str(fake_cta.make_certificate()), str(fake_cta.ca_file)
    first = asked.request("COPY", f"{fake_cta.door_url}/b", headers=source, allow_redirects=False)
    second = asked.request("COPY", fake_cta.door_url + first.headers["Location"], headers=source)

    assert (first.status_code, "X-Delegate-To" in first.headers) == (302, True)
    assert first.headers["Location"].endswith("?asked-to-delegate=true")
    assert (second.status_code, "failed to delegate" in second.reason) == (401, True)


def test_a_client_that_leaves_cancels_the_copy_and_nothing_stays(fake_cta: FakeCta, other: FakeCta) -> None:
    fake_cta.put("/a", b"x" * 100_000)
    sent = headers(fake_cta, Source=f"{fake_cta.door_url}/a", Authorization=f"Bearer {other.token}")
    with fake_cta.fault("slow", server="pool", method="GET", rate=50_000), Wire(other, other.door_url) as wire:
        wire.send("COPY /b HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()))
        while wire.file.readline().strip() != b"Perf Marker":
            pass
        during = other.exists("/b")
        wire.socket.close()
        wire.file.close()
        _until(lambda: not other.exists("/b"))

    assert during
    assert other.paths() == []


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "failure: rejected GET: 500 Fault\n"),
        ({"status": 404}, "failure: rejected GET: 404 Fault\n"),
        ({"refused": True}, "failure: Unable to connect to the remote server\n"),
    ],
)
def test_the_fault_of_copies(fake_cta: FakeCta, ask: Asker, options: dict[str, int], said: str) -> None:
    fake_cta.put("/a", b"1")
    with fake_cta.fault("failed-copy", **options) as fault:  # type: ignore[arg-type]  # options from the table
        answer = ask("COPY", "/b", headers(fake_cta, Source=f"{fake_cta.door_url}/a"))

    assert (answer.status_code, answer.text, fault.hits) == (202, said, 1)
    assert fake_cta.paths() == ["/a"]

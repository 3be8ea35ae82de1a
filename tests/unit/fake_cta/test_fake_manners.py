"""How door and pools speak HTTP: connections, conditions, errors, pages, checksums by version."""

from xml.etree import ElementTree

import pytest

from ctadata_providers.errors import ConfigError
from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, Wire, asking
from tests.unit.fake_cta.test_fake_propfind import hrefs

METALINK = "application/metalink4+xml"


@pytest.mark.parametrize(
    ("request_line", "headers"),
    [
        ("HEAD /x HTTP/1.1", []),
        ("HEAD /d HTTP/1.1", []),
        ("PUT /y HTTP/1.1", ["Expect: 100-continue", "Content-Length: 0"]),
        ("PROPFIND /x HTTP/1.1", ["Expect: 100-continue", "Content-Length: 0"]),
    ],
)
def test_the_door_closes_the_connection_after_a_head_and_an_expect(
    fake_cta: FakeCta, request_line: str, headers: list[str]
) -> None:
    fake_cta.put("/x", b"")
    fake_cta.make_dir("/d")
    with Wire(fake_cta, fake_cta.door_url) as wire:
        wire.send(request_line, f"Authorization: Bearer {fake_cta.token}", *headers)
        status, found, _ = wire.receive(0 if request_line.startswith("HEAD") else None)
        if status.endswith(" 100 Continue"):
            status, found, _ = wire.receive()
        closed = wire.is_closed()

    assert int(status.split()[1]) < 400
    assert found["connection"] == "close"
    assert closed


def test_a_pool_keeps_the_connection(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"hello")
    location = ask.redirected("GET", "/x")
    with Wire(fake_cta, location) as wire:
        statuses = []
        for _ in range(2):
            wire.send(f"HEAD /{location.split('/', 3)[3]} HTTP/1.1")
            statuses.append(wire.receive(0)[0])

    assert statuses == ["HTTP/1.1 200 OK"] * 2


def test_a_get_is_never_conditional(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    tag = ask("HEAD", "/x").headers["ETag"]
    conditions = [
        {"If-None-Match": tag},
        {"If-Match": '"other"'},
        {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    ]

    assert {ask(method, "/x", headers).status_code for headers in conditions for method in ("GET", "HEAD")} == {
        302,
        200,
    }


@pytest.mark.parametrize(
    ("exists", "headers", "status"),
    [
        (True, {"If-Match": "{tag}"}, 201),
        (True, {"If-Match": "*"}, 201),
        (True, {"If-Match": '"other", {tag}'}, 201),
        (True, {"If-Match": '"other"'}, 412),
        (False, {"If-Match": '"other"'}, 412),
        (False, {"If-Match": "*"}, 412),
        (True, {"If-None-Match": "{tag}"}, 412),
        (True, {"If-None-Match": "*"}, 412),
        (True, {"If-None-Match": '"other"'}, 201),
        (False, {"If-None-Match": "*"}, 201),
    ],
)
def test_a_put_is_conditional(
    fake_cta: FakeCta, ask: Asker, exists: bool, headers: dict[str, str], status: int
) -> None:
    tag = '"none"'
    if exists:
        fake_cta.put("/x", b"old")
        tag = ask("HEAD", "/x").headers["ETag"]
    answer = ask("PUT", "/x", {name: value.format(tag=tag) for name, value in headers.items()}, data=b"new")

    assert answer.status_code == status
    assert fake_cta.paths() == (["/x"] if exists or status == 201 else [])
    if exists:
        assert fake_cta.get("/x") == (b"new" if status == 201 else b"old")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/plain"),
        ("*/*", "text/plain"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("text/html;q=0.1,text/plain", "text/plain"),
        ("text/*", "text/plain"),
        ("text/html;q=high", "text/html"),
    ],
)
def test_an_error_is_text_or_html(ask: Asker, accept: str | None, kind: str) -> None:
    answer = ask("GET", "/<no>", {"Accept": accept} if accept else {"Accept": ""})

    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (404, kind)
    assert answer.reason == "Not Found"
    assert ("&lt;no&gt;" in answer.text) == (kind == "text/html")


def test_an_error_of_a_pool_stands_in_the_status_line_only(fake_cta: FakeCta, ask: Asker) -> None:
    answer = ask.at("GET", f"{fake_cta.pool_urls[0]}/x", {"Accept": "text/html"})

    assert (answer.status_code, answer.reason, answer.content) == (
        400,
        "Query string does not include any UUID.",
        b"",
    )


def test_the_head_of_a_folder_links_its_metalink(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.make_dir("/a b")
    answer = ask("HEAD", "/a b")

    assert answer.headers["Link"] == f'<{fake_cta.door_url}/a%20b/?type=metalink>; rel=describedby; type="{METALINK}"'
    assert "Content-Length" not in answer.headers


@pytest.mark.parametrize(("headers", "query"), [({"Accept": METALINK}, ""), ({}, "?type=metalink")])
def test_a_folder_is_shown_as_a_metalink(fake_cta: FakeCta, ask: Asker, headers: dict[str, str], query: str) -> None:
    fake_cta.put("/d/b & c", b"hello")
    fake_cta.put("/d/a", b"")
    fake_cta.make_dir("/d/sub")
    answer = ask("GET", "/d/", headers, query=query)
    space = "{urn:ietf:params:xml:ns:metalink}"
    files = [
        (file.get("name"), file.findtext(f"{space}size"), file.findtext(f"{space}url"))
        for file in ElementTree.fromstring(answer.content).iter(f"{space}file")
    ]

    assert answer.headers["Content-Type"].startswith(METALINK)
    assert files == [("a", "0", f"{fake_cta.door_url}/d/a"), ("b & c", "5", f"{fake_cta.door_url}/d/b%20%26%20c")]


@pytest.mark.parametrize(
    ("version", "headers", "name"),
    [
        ("10.2.25", {"Want-Repr-Digest": "sha-256=1"}, None),
        ("10.2.25", {"Want-Repr-Digest": "sha-256=1", "Want-Digest": "adler32"}, "Digest"),
        ("12.0.1", {"Want-Repr-Digest": "sha-256=1"}, "Repr-Digest"),
        ("12.0.1", {"Want-Repr-Digest": "sha-256=1", "Want-Digest": "adler32"}, "Repr-Digest"),
        ("12.0.1", {"Want-Repr-Digest": "md5=9,adler=3"}, None),
        ("12.0.1", {"Want-Repr-Digest": "sha-512=9"}, None),
        ("12.0.1", {"Want-Digest": "sha-256"}, "Digest"),
    ],
)
def test_checksums_by_version(version: str, headers: dict[str, str], name: str | None) -> None:
    with FakeCta(version=version) as cta, asking(cta) as ask:
        ask("PUT", "/x", {"Want-Digest": "sha-256"}, data=b"hello")
        answer = ask("HEAD", "/x", headers)

    assert {"Digest", "Repr-Digest"} & set(answer.headers) == ({name} if name else set())
    assert answer.headers["Server"] == f"dCache/{version} (fake)"
    if name == "Repr-Digest":
        assert answer.headers[name] == "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"


def test_a_digest_that_a_client_declares_is_not_looked_at(fake_cta: FakeCta, ask: Asker) -> None:
    answer = ask("PUT", "/x", {"Digest": "adler32=00000000"}, data=b"hello")

    assert (answer.status_code, fake_cta.get("/x")) == (201, b"hello")


def test_a_relayed_part_becomes_the_whole_file(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"hello world")
    answer = ask("PUT", "/x", {"Content-Range": "bytes 0-4/11"}, data=b"HELLO")

    assert (answer.status_code, fake_cta.get("/x")) == (201, b"HELLO")


def test_a_chunked_upload_is_relayed_whole(fake_cta: FakeCta, ask: Asker) -> None:
    answer = ask.session.put(
        f"{fake_cta.door_url}/x",
        data=iter([b"hel", b"lo"]),
        headers={"Authorization": f"Bearer {fake_cta.token}"},
        timeout=10,
    )

    assert (answer.status_code, fake_cta.get("/x")) == (201, b"hello")


def test_an_upload_that_never_comes_leaves_an_empty_file_when_the_pool_loses_patience() -> None:
    now = [0.0]
    with FakeCta(clock=lambda: now[0]) as cta, asking(cta) as ask:
        location = ask.redirected("PUT", "/x")
        now[0] = 299.0
        waiting = ask("HEAD", "/x").headers.get("Content-Length")
        now[0] = 301.0
        given_up = ask("HEAD", "/x").headers.get("Content-Length")
        late = ask.at("PUT", location, data=b"hello")
        content = cta.get("/x")

    assert (waiting, given_up) == (None, "0")
    assert (late.status_code, late.headers["Location"].rpartition("/")[2]) == (307, "x")
    assert content == b""


def test_patience_can_be_short() -> None:
    with FakeCta(patience=0.0) as cta, asking(cta) as ask:
        location = ask.redirected("PUT", "/x")
        late = ask.at("PUT", location, data=b"hello")

    assert late.status_code == 307


def test_a_folder_that_may_not_be_read_seems_empty(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/d/mine/x", b"")
    fake_cta.put("/d/theirs/sub/y", b"")
    token = fake_cta.make_token(scope="storage.read:/d/mine storage.poll:/d/theirs")
    found = hrefs(ask("PROPFIND", "/d", {"Depth": "infinity"}, token=token))

    assert found == ["/d/", "/d/mine/", "/d/mine/x", "/d/theirs/", "/d/theirs/sub/"]


def test_a_put_into_a_pools_full_disk_is_500_or_507(fake_cta: FakeCta, ask: Asker) -> None:
    location = ask.redirected("PUT", "/x")
    with fake_cta.fault("server-error", server="pool"):
        broken = ask.at("PUT", location, data=b"hello")
    with fake_cta.fault("no-space", server="pool"):
        full = ask.at("PUT", location, data=b"hello")

    assert [(answer.status_code, answer.content) for answer in (broken, full)] == [(500, b""), (507, b"")]
    assert full.reason == "No space left for the upload"


def test_https_pools_behind_a_plain_door_are_refused() -> None:
    with pytest.raises(ConfigError):
        FakeCta(tls=False, pool_tls=True)

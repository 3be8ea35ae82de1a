import zlib
from email.utils import parsedate_to_datetime

import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, Wire, asking


def test_get_of_a_file_redirects_to_a_pool_with_uuid_and_referrer(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/lst/a b#1.txt", b"hello")
    answer = ask("GET", "/lst/a b#1.txt")

    assert (answer.status_code, answer.content) == (302, b"")
    assert answer.headers["Server"].startswith("dCache/10.2.25")
    location = answer.headers["Location"]
    assert location.split("/lst/")[0] in fake_cta.pool_urls
    assert "/lst/a%20b%231.txt?dcache-http-uuid=" in location
    assert location.endswith("&dcache-http-ref=" + fake_cta.door_url.replace(":", "%3A").replace("/", "%2F"))


def test_transfers_go_to_the_pools_in_turn(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    origins = {ask.redirected("GET", "/x").partition("/x?")[0] for _ in range(4)}

    assert origins == set(fake_cta.pool_urls)
    assert len(origins) == 2


def test_get_of_a_folder_adds_the_slash_and_then_shows_html(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/lst/<b>.txt", b"")
    fake_cta.make_dir("/lst/sub")
    without = ask("GET", "/lst")
    page = ask("GET", "/lst/")

    assert (without.status_code, without.headers["Location"]) == (302, f"{fake_cta.door_url}/lst/")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert '<a href="%3Cb%3E.txt">&lt;b&gt;.txt</a>' in page.text
    assert '<a href="sub/">' in page.text


def test_missing_is_404_with_one_line_of_text(ask: Asker) -> None:
    answers = [ask(method, "/no") for method in ("GET", "HEAD", "PROPFIND", "DELETE")]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert answers[0].headers["Content-Type"].startswith("text/plain")
    assert answers[0].text.count("\n") == 1


def test_head_tells_size_time_and_an_etag_that_an_overwrite_changes(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"12345")
    first = ask("HEAD", "/x")
    again = ask("HEAD", "/x")
    fake_cta.put("/x", b"54321")
    after = ask("HEAD", "/x")

    assert first.status_code == 200
    assert first.headers["Content-Length"] == "5"
    assert first.headers["Accept-Ranges"] == "bytes"
    assert parsedate_to_datetime(first.headers["Last-Modified"]).tzinfo is not None
    identifier, _, mtime_hash = first.headers["ETag"].strip('"').partition("_")
    assert len(identifier) == 36
    assert mtime_hash.isdigit()
    assert first.headers["ETag"] == again.headers["ETag"] != after.headers["ETag"]
    assert "Digest" not in first.headers


def test_head_of_a_folder_has_no_length(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.make_dir("/d")
    answer = ask("HEAD", "/d")

    assert answer.status_code == 200
    assert "Content-Length" not in answer.headers


@pytest.mark.parametrize(
    ("wanted", "digest"),
    [
        ("adler32", f"adler32={zlib.adler32(b'hello'):08x}"),
        ("ADLER32;q=0.5,md5;q=0.1", f"adler32={zlib.adler32(b'hello'):08x}"),
        ("md5", None),
        ("crc32c", None),
    ],
)
def test_want_digest_is_answered_with_stored_checksums_only(
    fake_cta: FakeCta, ask: Asker, wanted: str, digest: str | None
) -> None:
    fake_cta.put("/x", b"hello")
    answer = ask("HEAD", "/x", {"Want-Digest": wanted})

    assert answer.headers.get("Digest") == digest


def test_md5_is_stored_when_the_upload_asks_for_it(ask: Asker) -> None:
    put = ask("PUT", "/x", {"Want-Digest": "md5"}, data=b"hello")
    answer = ask("HEAD", "/x", {"Want-Digest": "md5"})

    assert put.headers["Digest"] == answer.headers["Digest"] == "md5=XUFAKrxLKna5cZ2REBfFkg=="


def test_mkcol_makes_one_level(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/file", b"")
    statuses = [ask("MKCOL", path).status_code for path in ("/d", "/d", "/no/d", "/file/d", "/d/e/")]

    assert statuses == [201, 405, 409, 409, 201]
    assert fake_cta.exists("/d/e")


def test_move_makes_a_new_name(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/a", b"1")
    answer = ask("MOVE", "/a", {"Destination": f"{fake_cta.door_url}/b%20c"})

    assert answer.status_code == 201
    assert fake_cta.paths() == ["/b c"]


def test_move_keeps_an_existing_target_unless_told_to_overwrite(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/a", b"1")
    fake_cta.put("/b", b"2")
    statuses = [ask("MOVE", "/a", {"Destination": "/b", **headers}).status_code for headers in ({}, {"Overwrite": "F"})]
    kept = fake_cta.get("/b")
    replaced = ask("MOVE", "/a", {"Destination": "https://elsewhere.invalid/b", "Overwrite": "T"})

    assert statuses == [412, 412]
    assert kept == b"2"
    assert replaced.status_code == 204
    assert fake_cta.get("/b") == b"1"
    assert fake_cta.paths() == ["/b"]


def test_move_with_overwrite_deletes_a_folder_with_all_in_it(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/a", b"1")
    fake_cta.put("/d/e/f", b"2")
    answer = ask("MOVE", "/a", {"Destination": "/d", "Overwrite": "T"})

    assert answer.status_code == 204
    assert fake_cta.paths() == ["/d"]


@pytest.mark.parametrize(
    ("source", "destination", "status"),
    [
        ("/d", "/d", 403),
        ("/d", "/d/inside", 409),
        ("/d/x", "/no/x", 409),
        ("/d/x", "/d/x/y", 409),
        ("/no", "/y", 404),
        ("/d/x", None, 400),
        ("/d/x", "/a/%2e%2e/y", 400),
    ],
)
def test_move_refuses_what_cannot_be(
    fake_cta: FakeCta, ask: Asker, source: str, destination: str | None, status: int
) -> None:
    fake_cta.put("/d/x", b"1")
    answer = ask("MOVE", source, {"Destination": destination} if destination else {})

    assert answer.status_code == status
    assert fake_cta.paths() == ["/d/x"]


def test_delete_is_recursive_but_spares_the_root(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/d/e/f", b"")
    fake_cta.put("/x", b"")
    statuses = [ask("DELETE", path).status_code for path in ("/d", "/x", "/")]

    assert statuses == [204, 204, 403]
    assert not fake_cta.exists("/d")
    assert fake_cta.paths() == []


@pytest.mark.parametrize(
    ("method", "status"),
    [("COPY", 501), ("POST", 405), ("PATCH", 501)],
)
def test_what_is_not_there_is_refused(fake_cta: FakeCta, ask: Asker, method: str, status: int) -> None:
    fake_cta.put("/x", b"1")
    answer = ask(method, "/x", {"Destination": "/y"})

    assert answer.status_code == status
    assert fake_cta.paths() == ["/x"]


def test_options_names_the_methods(ask: Asker) -> None:
    answer = ask("OPTIONS", "/", token=None)

    assert answer.status_code == 200
    assert answer.headers["DAV"] == "1, 2"
    assert "PROPFIND" in answer.headers["Allow"]


def test_double_slashes_are_one(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/a/b", b"hello")
    location = ask("GET", "//a///b").headers["Location"]

    assert ask.at("GET", location).content == b"hello"


@pytest.mark.parametrize("target", ["/%FF", "/a/%2e%2e/b", "/a%00b", "/a/%2E"])
def test_unusable_paths_are_bad_requests(fake_cta: FakeCta, target: str) -> None:
    with Wire(fake_cta, fake_cta.door_url) as wire:
        wire.send(f"GET {target} HTTP/1.1", f"Authorization: Bearer {fake_cta.token}")
        status, _, _ = wire.receive()

    assert status == "HTTP/1.1 400 Bad Request"
    assert fake_cta.requests[-1].status == 400


def test_garbage_does_not_harm_the_server(fake_cta: FakeCta, ask: Asker) -> None:
    with Wire(fake_cta, fake_cta.door_url) as wire:
        wire.socket.sendall(b"\x00\x01\x02 nonsense\r\n\r\n")
        status, _, _ = wire.receive()

    assert status.startswith(("HTTP/1.0 400", "HTTP/1.1 400"))
    assert ask("OPTIONS", "/").status_code == 200


def test_connections_are_kept_alive(fake_cta: FakeCta) -> None:
    fake_cta.put("/x", b"1")
    with Wire(fake_cta, fake_cta.door_url) as wire:
        statuses = []
        for _ in range(3):
            wire.send("GET /x HTTP/1.1", f"Authorization: Bearer {fake_cta.token}")
            statuses.append(wire.receive()[0])

    assert statuses == ["HTTP/1.1 302 Found"] * 3


def test_a_door_without_overwrite_answers_409() -> None:
    with FakeCta(overwrite=False) as cta, asking(cta) as ask:
        statuses = [ask("PUT", "/x", data=data).status_code for data in (b"1", b"2")]
        kept = cta.get("/x")

    assert statuses == [201, 409]
    assert kept == b"1"


def test_without_tls_pools_are_named_by_address_and_tokens_are_refused() -> None:
    with FakeCta(tls=False, anonymous="full") as cta, asking(cta) as ask:
        cta.put("/x", b"hello")
        refused = ask("GET", "/x")
        anonymous = ask("GET", "/x", token=None)
        content = ask.at("GET", anonymous.headers["Location"]).content

    assert (refused.status_code, refused.reason) == (
        401,
        "Login failed: not allowed to send bearer token unencrypted",
    )
    assert anonymous.headers["Location"].startswith("http://127.0.0.1:")
    assert content == b"hello"

"""Faults that only dCache has: redirects, pools, tapes, uploads, checksums."""

from urllib.parse import urlsplit

import pytest
import requests

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, LeapingClock, Wire, asking
from tests.unit.fake_cta.test_fake_propfind import CHECKSUMS, LOCALITY, D, body, parsed


def test_a_slow_redirect() -> None:
    clock = LeapingClock(10.0)
    with FakeCta(clock=clock) as cta, asking(cta) as ask:
        cta.put("/x", b"")
        cta.faults.add("slow-redirect", seconds=100, times=2)
        start = clock()
        location = ask.redirected("GET", "/x")
        between = clock()
        upload = ask.redirected("PUT", "/y")
        end = clock()

    assert between - start >= 100
    assert end - between >= 100
    assert {urlsplit(url).path for url in (location, upload)} == {"/x", "/y"}


def test_a_client_without_patience_is_relayed_when_the_redirect_is_slow(fake_cta: FakeCta) -> None:
    fake_cta.faults.add("slow-redirect", seconds=0.3)
    with Wire(fake_cta, fake_cta.door_url) as wire:
        wire.send(
            "PUT /x HTTP/1.1",
            f"Authorization: Bearer {fake_cta.token}",
            "Expect: 100-continue",
            "Content-Length: 5",
        )
        wire.socket.sendall(b"hello")
        status, _, _ = wire.receive()

    assert status == "HTTP/1.1 201 Created"
    assert fake_cta.get("/x") == b"hello"


def test_a_redirect_in_a_circle(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/a b", b"")
    fake_cta.faults.add("redirect-loop")
    get, put = ask.redirected("GET", "/a b"), ask.redirected("PUT", "/a b")

    assert get == put == f"{fake_cta.door_url}/a%20b"


def test_a_redirect_to_another_origin_keeps_path_and_uuid(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"hello")
    port = urlsplit(ask.redirected("GET", "/x")).port
    fake_cta.faults.add("redirect-to", to=f"https://127.0.0.1:{port}", times=2)
    locations = [ask.redirected("GET", "/x") for _ in range(2)]
    contents = [ask.at("GET", url) for url in locations]

    assert all(url.startswith(f"https://127.0.0.1:{port}/x?dcache-http-uuid=") for url in locations)
    # One of the two movers is at this pool.
    assert sorted(answer.status_code for answer in contents) == [200, 307]


def test_a_folder_is_redirected_to_itself_only(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.make_dir("/d")
    fake_cta.faults.add("pool-down", refused=True)

    assert ask("GET", "/d/").status_code == 200


def test_an_expired_url_leads_back_to_the_door(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    fake_cta.faults.add("expired-url", times=2)
    down = ask.at("GET", ask.redirected("GET", "/x"))
    up = ask.at("PUT", ask.redirected("PUT", "/y"), data=b"1")

    assert [(answer.status_code, answer.headers["Location"]) for answer in (down, up)] == [
        (307, f"{fake_cta.door_url}/x"),
        (307, f"{fake_cta.door_url}/y"),
    ]
    assert ask("HEAD", "/y").headers["Content-Length"] == "0"


def test_a_pool_that_is_down_is_500_after_a_while() -> None:
    clock = LeapingClock(50.0)
    with FakeCta(clock=clock) as cta, asking(cta) as ask:
        cta.put("/x", b"")
        cta.faults.add("pool-down", seconds=200)
        start = clock()
        statuses = [ask(method, "/x").status_code for method in ("GET", "PUT", "HEAD")]
        seconds = clock() - start

    assert statuses == [500, 500, 200]
    assert seconds >= 400


def test_a_pool_that_is_down_may_refuse_connections(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/x", b"")
    fake_cta.faults.add("pool-down", refused=True, times=1)
    location = ask.redirected("GET", "/x")
    with pytest.raises(requests.ConnectionError, match="refused"):
        ask.at("GET", location)

    assert ask.at("GET", ask.redirected("GET", "/x")).status_code == 200


def test_nearline_files_are_told_in_listings_and_block_a_get(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/tape/x", b"")
    fake_cta.put("/disk/y", b"")
    fault = fake_cta.faults.add("nearline", path="/tape/**", seconds=0.1)
    found = [
        properties[LOCALITY].text
        for path in ("/tape/x", "/disk/y")
        for _, properties, _ in parsed(ask("PROPFIND", path, data=body(LOCALITY)).content)
    ]
    answer = ask("GET", "/tape/x")

    assert found == ["NEARLINE", "ONLINE"]
    assert (answer.status_code, answer.text) == (500, "Request to [>PoolManager] timed out\n")
    assert fault.hits == 1


def test_an_abandoned_upload_leaves_an_empty_file(fake_cta: FakeCta, ask: Asker) -> None:
    location = ask.redirected("PUT", "/x")
    with fake_cta.fault("abandoned-upload"), pytest.raises(requests.ConnectionError):
        ask.at("PUT", location, data=b"hello")

    assert ask("HEAD", "/x").headers["Content-Length"] == "0"
    assert ask.at("PUT", location, data=b"hello").status_code == 307


@pytest.mark.parametrize("headers", [{}, {"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="}])
def test_a_corrupt_upload_stays(fake_cta: FakeCta, ask: Asker, headers: dict[str, str]) -> None:
    location = ask.redirected("PUT", "/x")
    with fake_cta.fault("corrupt-upload-stays") as fault:
        answer = ask.at("PUT", location, headers, data=b"hello")

    assert answer.status_code == 400
    assert answer.reason.startswith("Checksum mismatch (expected=[")
    assert fake_cta.get("/x") == b"iello"
    assert fault.hits == 1


def test_an_empty_upload_cannot_be_corrupted(fake_cta: FakeCta, ask: Asker) -> None:
    fault = fake_cta.faults.add("corrupt-upload-stays")
    answer = ask.at("PUT", ask.redirected("PUT", "/x"), {"Content-Length": "0"})

    assert (answer.status_code, fault.hits) == (201, 0)


def test_a_new_file_may_be_seen_late(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/old", b"")
    fault = fake_cta.faults.add("late-visibility", times=2, method="GET")
    fake_cta.faults.add("late-visibility", times=1, method="HEAD", status=500)
    ask("PUT", "/new", data=b"1")
    gets = [ask("GET", path).status_code for path in ("/old", "/new", "/new", "/new")]
    heads = [ask("HEAD", "/new").status_code for _ in range(2)]

    assert (gets, heads) == ([302, 404, 404, 302], [500, 200])
    assert fault.hits == 2


@pytest.mark.parametrize("method", ["HEAD", "GET", "PUT", "PROPFIND"])
@pytest.mark.parametrize("name", ["wrong-digest", "no-digest"])
def test_checksums_lie_or_are_missing_wherever_they_are_told(
    fake_cta: FakeCta, ask: Asker, method: str, name: str
) -> None:
    def told() -> str | None:
        if method == "PROPFIND":
            ((_, found, _),) = parsed(ask("PROPFIND", "/x", {"Depth": "0"}, data=body(CHECKSUMS)).content)
            return found[CHECKSUMS].text if CHECKSUMS in found else None
        wanted = {"Want-Digest": "adler32"}
        if method == "GET":
            return ask.at("GET", ask.redirected("GET", "/x"), wanted).headers.get("Digest")
        return ask(method, "/x", wanted, data=b"hello" if method == "PUT" else None).headers.get("Digest")

    fake_cta.put("/x", b"hello")
    with fake_cta.fault("wrong-digest" if name == "wrong-digest" else "no-digest", path="/x") as fault:
        during = told()

    assert during == ("adler32=062c0210" if name == "wrong-digest" else None)
    assert told() == "adler32=062c0215"
    assert fault.hits == 1


def test_sizes_lie_in_listings_and_heads(fake_cta: FakeCta, ask: Asker) -> None:
    fake_cta.put("/d/x", b"hello")
    fake_cta.put("/d/y", b"hello")
    fake_cta.faults.add("wrong-size", path="/d/x", by=-2)
    listed = {
        href: properties[f"{D}getcontentlength"].text
        for href, properties, _ in parsed(
            ask("PROPFIND", "/d", {"Depth": "1"}, data=body(f"{D}getcontentlength")).content
        )
        if f"{D}getcontentlength" in properties
    }
    head = ask("HEAD", "/d/x")

    assert listed == {"/d/x": "3", "/d/y": "5"}
    assert head.headers["Content-Length"] == "3"
    assert len(ask.at("GET", ask.redirected("GET", "/d/x")).content) == 5


def test_pools_without_tls_behind_an_https_door_have_a_bare_address() -> None:
    with FakeCta(pool_tls=False) as cta, asking(cta) as ask:
        cta.put("/x", b"hello")
        location = ask.redirected("GET", "/x")
        content = ask.at("GET", location).content
        settings, environ = cta.settings(), cta.environ()

    assert location.startswith("http://127.0.0.1:")
    assert "dcache-http-ref=https%3A%2F%2Flocalhost%3A" in location
    assert content == b"hello"
    assert settings["allow_http_pools"] is True
    assert settings["token"]
    assert environ["CTA_ALLOW_HTTP_POOLS"] == "true"

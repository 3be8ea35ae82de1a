import uuid
import zlib

import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.fake_cta.conftest import Asker, Wire

DATA = bytes(range(100))


@pytest.fixture
def location(fake_cta: FakeCta, ask: Asker) -> str:
    """A pool's URL for reading DATA."""
    fake_cta.put("/lst/x.fits", DATA)
    url = ask.redirected("GET", "/lst/x.fits")
    fake_cta.clear_requests()
    return url


def test_a_whole_file_comes_with_names_but_neither_etag_nor_time(fake_cta: FakeCta, ask: Asker, location: str) -> None:
    answer = ask.at("GET", location)

    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Disposition"] == "attachment;filename=x.fits"
    assert answer.headers["Content-Location"] == f"{fake_cta.door_url}/lst/x.fits"
    assert not {"ETag", "Last-Modified", "Digest"} & set(answer.headers)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("x.fits", "filename=x.fits"),
        ("run 1.fits", 'filename="run 1.fits"'),
        ('a"b\\c', r'filename="a\"b\\c"'),
        ("[x](1)", 'filename="[x](1)"'),
        ("ü", "filename*=UTF-8''%C3%BC"),
        ("x" * 79, f"filename*=UTF-8''{'x' * 79}"),
    ],
)
def test_the_disposition_quotes_or_encodes_odd_names(fake_cta: FakeCta, ask: Asker, name: str, parameter: str) -> None:
    fake_cta.put(f"/{name}", b"")
    answer = ask.at("GET", ask.redirected("GET", f"/{name}"))

    assert answer.headers["Content-Disposition"] == f"attachment;{parameter}"


def test_a_digest_comes_only_when_wanted(ask: Asker, location: str) -> None:
    answer = ask.at("GET", location, {"Want-Digest": "adler32"})

    assert answer.headers["Digest"] == f"adler32={zlib.adler32(DATA):08x}"


def test_the_url_of_a_whole_file_works_once(fake_cta: FakeCta, ask: Asker, location: str) -> None:
    ask.at("GET", location)
    again = ask.at("GET", location)
    without_referrer = ask.at("GET", location.partition("&")[0])

    assert (again.status_code, again.headers["Location"]) == (307, f"{fake_cta.door_url}/lst/x.fits")
    assert (without_referrer.status_code, without_referrer.content) == (400, b"")
    assert without_referrer.reason == "Request is no longer valid. Please resubmit to door."


def test_ranges_and_head_do_not_use_the_url_up(ask: Asker, location: str) -> None:
    ranges = [ask.at("GET", location, {"Range": f"bytes={span}"}) for span in ("0-9", "90-", "-5", "95-200")]
    head = ask.at("HEAD", location)
    whole = ask.at("GET", location)

    assert [answer.status_code for answer in ranges] == [206] * 4
    assert [answer.content for answer in ranges] == [DATA[:10], DATA[90:], DATA[-5:], DATA[95:]]
    assert [answer.headers["Content-Range"] for answer in ranges] == [
        "bytes 0-9/100",
        "bytes 90-99/100",
        "bytes 95-99/100",
        "bytes 95-99/100",
    ]
    assert head.headers["Content-Length"] == "100"
    assert whole.content == DATA


def test_a_range_on_a_closing_connection_uses_the_url_up(ask: Asker, location: str) -> None:
    first = ask.at("GET", location, {"Range": "bytes=0-0", "Connection": "close"})
    second = ask.at("GET", location, {"Range": "bytes=0-0"})

    assert (first.status_code, second.status_code) == (206, 307)


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=200-300", "bytes=-0"])
def test_a_range_outside_the_file_is_416(ask: Asker, location: str, header: str) -> None:
    assert ask.at("GET", location, {"Range": header}).status_code == 416


@pytest.mark.parametrize("header", ["lines=1-2", "bytes=a-b", "bytes=-", "bytes=9-1", "bytes", f"bytes={'9' * 5000}-"])
def test_a_range_that_is_not_understood_is_ignored(ask: Asker, location: str, header: str) -> None:
    answer = ask.at("GET", location, {"Range": header})

    assert (answer.status_code, answer.content) == (200, DATA)


def test_several_ranges_come_as_multipart(ask: Asker, location: str) -> None:
    answer = ask.at("GET", location, {"Range": "bytes=0-1,98-"})

    assert answer.status_code == 206
    boundary = answer.headers["Content-Type"].partition("boundary=")[2].strip('"')
    parts = answer.content.split(b"\r\n--" + boundary.encode())
    assert parts == [
        b"",
        b"\r\nContent-Range: bytes 0-1/100\r\n\r\n\x00\x01",
        b"\r\nContent-Range: bytes 98-99/100\r\n\r\nbc",
        b"--\r\n",
    ]


def test_a_uuid_is_good_for_its_path_and_direction_only(ask: Asker, location: str) -> None:
    other_path = ask.at("GET", location.replace("x.fits", "y.fits"))
    other_direction = ask.at("PUT", location, data=b"1")
    no_uuid = ask.at("GET", location.partition("?")[0])
    unknown = ask.at("GET", location.partition("?")[0] + f"?dcache-http-uuid={uuid.uuid4()}")

    assert (other_path.status_code, other_path.reason) == (
        400,
        "The file you specified does not match the UUID you specified!",
    )
    assert (other_direction.status_code, other_direction.reason) == (405, "Resource is not open for writing")
    assert (no_uuid.status_code, unknown.status_code) == (400, 400)


def test_a_file_replaced_after_the_redirect_is_not_found(fake_cta: FakeCta, ask: Asker, location: str) -> None:
    fake_cta.put("/lst/x.fits", b"other")

    assert ask.at("GET", location).status_code == 404


def test_an_authorization_that_reaches_a_pool_is_seen_in_the_log(fake_cta: FakeCta, ask: Asker, location: str) -> None:
    ask.at("GET", location)
    ask.at("GET", location, {"Authorization": "Bearer leaked"})
    clean, leaky = fake_cta.requests

    assert (clean.server, leaky.server) == ("pool", "pool")
    assert "authorization" not in clean.headers
    assert leaky.headers["authorization"].startswith("Bearer sha256:")


@pytest.mark.parametrize("header", ["Content-Type", "Content-Range", "content-encoding", "Content-Language"])
def test_a_put_with_another_content_header_is_501_and_the_mover_stays(
    fake_cta: FakeCta, ask: Asker, header: str
) -> None:
    location = ask.redirected("PUT", "/x")
    refused = ask.at("PUT", location, {header: "text/plain"}, data=b"hello")
    accepted = ask.at("PUT", location, data=b"hello")

    assert (refused.status_code, refused.content) == (501, b"")
    assert refused.reason.lower() == f"{header.lower()} is not implemented"
    assert accepted.status_code == 201
    assert fake_cta.get("/x") == b"hello"


def test_an_upload_is_answered_with_count_and_location(fake_cta: FakeCta, ask: Asker) -> None:
    answer = ask.at("PUT", ask.redirected("PUT", "/new/x"), {"Want-Digest": "adler32"}, data=b"hello")

    assert (answer.status_code, answer.text) == (201, "5 bytes uploaded\r\n")
    assert answer.headers["Location"] == f"{fake_cta.door_url}/new/x"
    assert answer.headers["Digest"] == "adler32=062c0215"


def test_a_chunked_upload_is_whole(fake_cta: FakeCta, ask: Asker) -> None:
    location = ask.redirected("PUT", "/x")
    answer = ask.session.put(location, data=iter([b"hel", b"lo"]), timeout=10)

    assert answer.status_code == 201
    assert fake_cta.get("/x") == b"hello"


def test_a_wrong_content_md5_is_400_and_the_corrupt_file_stays(fake_cta: FakeCta, ask: Asker) -> None:
    location = ask.redirected("PUT", "/x")
    answer = ask.at("PUT", location, {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, data=b"hello")

    assert answer.status_code == 400
    assert answer.reason == (
        "Checksum mismatch (expected=[2:d41d8cd98f00b204e9800998ecf8427e], actual=[2:5d41402abc4b2a76b9719d911017c592])"
    )
    assert fake_cta.get("/x") == b"hello"


def test_a_right_content_md5_is_stored(ask: Asker) -> None:
    location = ask.redirected("PUT", "/x")
    answer = ask.at("PUT", location, {"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="}, data=b"hello")
    head = ask("HEAD", "/x", {"Want-Digest": "md5"})

    assert answer.status_code == 201
    assert head.headers["Digest"] == "md5=XUFAKrxLKna5cZ2REBfFkg=="


def test_other_methods_are_not_implemented_at_a_pool(ask: Asker, location: str) -> None:
    assert ask.at("DELETE", location).status_code == 501


def test_a_client_that_leaves_in_the_middle_is_no_error(
    fake_cta: FakeCta, ask: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    fake_cta.put("/x", bytes(20_000_000))
    location = ask.redirected("GET", "/x")
    with Wire(fake_cta, location) as wire:
        wire.send(f"GET /{location.split('/', 3)[3]} HTTP/1.1")
        first = wire.file.read(1000)
    # The second request is answered after the server has met the end of the first.
    after = ask.at("GET", ask.redirected("GET", "/x"))

    assert first.startswith(b"HTTP/1.1 200 OK")
    assert len(after.content) == 20_000_000
    assert [record for record in caplog.records if record.name.startswith(("aiohttp", "asyncio"))] == []

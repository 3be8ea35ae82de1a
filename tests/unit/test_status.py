"""What HTTP and libcurl say, in our words."""

import time

import pytest

from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import (
    AlreadyExistsError,
    CredentialError,
    CtaError,
    IntegrityError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.session.status import Response, error_for, error_for_curl, http_time

SECRET = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


def error_of(status: int, *, reason: str = "", body: bytes = b"", secret: str | None = "") -> CtaError:
    response = Response(status, reason, {}, f"https://door.example/lst/a?authz={SECRET}", body)
    return error_for(response, act="download", path="/lst/a", secret=secret)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, StorageError),
        (401, CredentialError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, UnsupportedError),
        (409, NotFoundError),
        (410, NotFoundError),
        (412, AlreadyExistsError),
        (413, QuotaError),
        (501, UnsupportedError),
        (507, QuotaError),
        *((status, TransientError) for status in (408, 423, 425, 429, 500, 502, 503, 504, 505, 506, 508, 520)),
    ],
)
def test_a_status_has_a_meaning(status: int, kind: type[CtaError]) -> None:
    error = error_of(status)

    assert type(error) is kind
    assert "/lst/a" in str(error)
    assert str(status) in str(error)
    assert error.path == "/lst/a"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 501, 507, 418, 304])
def test_what_a_repetition_cannot_mend_is_not_transient(status: int) -> None:
    assert not isinstance(error_of(status), TransientError)


def test_a_checksum_mismatch_of_a_dcache_pool_is_an_integrity_error() -> None:
    error = error_of(400, reason="Checksum mismatch (expected=[2:0], actual=[2:1])")

    assert isinstance(error, IntegrityError)


@pytest.mark.parametrize("status", [401, 403])
def test_without_a_credential_the_remedy_is_to_give_one(status: int) -> None:
    assert "BEARER_TOKEN_FILE" in str(error_of(status, secret=None))
    assert "BEARER_TOKEN_FILE" not in str(error_of(status, secret="an-opaque-token"))


@pytest.mark.parametrize(
    "said",
    [
        f"Login failed: token {SECRET} has expired",
        f"Bearer {SECRET}",
        f"see https://pool/x?dcache-http-uuid=7f3c1b9e-aaaa-bbbb&authz={SECRET}",
        f"authz=Bearer%20{SECRET}",
        f"access_token={SECRET}",
    ],
)
def test_no_secret_of_an_answer_reaches_the_message(said: str) -> None:
    for error in (error_of(500, reason=said), error_of(500, body=said.encode())):
        assert SECRET not in str(error)
        assert "7f3c1b9e" not in str(error)
        assert "?" not in str(error).partition(" answered")[0]


@pytest.mark.parametrize("filler", range(0, 200, 7))
def test_an_opaque_token_that_the_server_repeats_is_not_shown(filler: int) -> None:
    said = "x" * filler + " an-opaque-token"
    for error in (
        error_of(500, reason=said, secret="an-opaque-token"),
        error_of(500, body=said.encode(), secret="an-opaque-token"),
    ):
        assert "an-op" not in str(error)


def test_a_page_of_markup_is_told_in_one_short_line() -> None:
    error = error_of(500, body=b"<html><body><h1>Pool\n down</h1>" + b"x" * 5000)

    assert "500 Pool down" in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    ("code", "text", "kind", "hint"),
    [
        (6, "Could not resolve host: nowhere.invalid", TransientError, "door_url"),
        (7, "Failed to connect", TransientError, "door_url"),
        (28, "Connection timed out", TransientError, "network"),
        (18, "transfer closed with 5 bytes remaining to read", TransientError, ""),
        (56, "OpenSSL SSL_read: tlsv1 alert certificate expired", CredentialError, "proxy"),
        (56, "sslv3 alert certificate unknown", CredentialError, "proxy"),
        (60, "SSL certificate problem: unable to get local issuer certificate", StorageError, "ca_path"),
        (58, "could not load PEM client certificate", CredentialError, "proxy_file"),
    ],
)
def test_a_failed_transport_has_a_meaning(code: int, text: str, kind: type[CtaError], hint: str) -> None:
    error = error_for_curl(code, text, act="download", path="/lst/a", url=f"https://door/lst/a?authz={SECRET}")

    assert type(error) is kind
    assert hint in str(error)
    assert SECRET not in str(error)


def test_a_proxy_that_is_in_between_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://alice:{SECRET}@proxy.example:3128")
    error = error_for_curl(7, "Failed to connect", act="download", path="/lst/a", url="https://door/lst/a")

    assert "(proxy.example:3128)" in str(error)
    assert SECRET not in str(error)
    assert "alice" not in str(error)


def test_what_xrootd_says_behind_the_usual_phrase_is_told() -> None:
    body = b"Unable to write /lst/a; input/output error"

    plain = error_of(500, reason="Internal Server Error", body=body)
    page = error_of(500, reason="Internal Server Error", body=b"<html><h1>500 Internal Server Error</h1>nginx</html>")

    assert "500 Internal Server Error: Unable to write /lst/a; input/output error" in str(plain)
    assert str(page).count("500 Internal Server Error") == 1
    assert "nginx" not in str(page)


@pytest.mark.parametrize("words", [b"Unable to create /a; file path marked read/only", b"x; Read-only file system"])
def test_what_is_read_only_is_no_fault_that_passes(words: bytes) -> None:
    error = error_of(500, reason="Internal Server Error", body=words)

    assert type(error) is PermissionDeniedError
    assert "another path" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 22 Nov 2026 08:02:06 GMT",
        "Sunday, 22-Nov-26 08:02:06 GMT",
        "Sun Nov 22 08:02:06 2026",
        "Sun, 22 Nov 2026 08:02:06",
        "Sun, 22 Nov 2026 08:02:06 -0000",
    ],
)
def test_a_time_without_a_zone_is_not_that_of_this_machine(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as there:
        there.setenv("TZ", "EST5")
        time.tzset()
        told = http_time(text), FileInfo("/a", is_dir=False, modified=text).mtime
    time.tzset()

    assert told == (1_795_334_526.0, 1_795_334_526.0)

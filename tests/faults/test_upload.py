"""Uploads on a broken wire: the remote target is whole, or as it was; what remains is said."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from ctadata_providers import (
    CtaClient,
    CtaError,
    IntegrityError,
    PermissionDeniedError,
    QuotaError,
    TransferResult,
    TransientError,
)
from ctadata_providers.checksum import checksum_of
from ctadata_providers.transfer import notes, tidying
from tests.faults import acts
from tests.faults.cells import failed_upload as failed
from tests.faults.cells import parts_at
from tests.faults.scripted import Act, Door, Exchange, delete

PATH = "/night/events.fits"
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


def store_less(exchange: Exchange) -> None:
    exchange.invite()
    exchange.door.files[exchange.asked.path] = b"".join(exchange.chunks())[:-1]
    exchange.answer(201)


def store_flipped(exchange: Exchange) -> None:
    exchange.invite()
    body = b"".join(exchange.chunks())
    exchange.door.files[exchange.asked.path] = body[:-1] + bytes([body[-1] ^ 1])
    exchange.answer(201)


PASSING: dict[str, Act] = {
    "reset before the body": lambda exchange: exchange.reset(),
    "reset in the body": acts.reset_in_body(100_000),
    "reset after the body": acts.reset_in_body(1 << 30),
    "no answer": acts.raw(b""),
    "half an answer": acts.raw(b"HTTP/1."),
    "silent before the body": lambda exchange: exchange.stall(),
    "500": acts.status(500),
    "503": acts.status(503, "Retry-After: 0"),
    "429": acts.status(429, "Retry-After: 0"),
    "a part is kept": acts.keep_a_part(lambda exchange: exchange.reset()),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_survived(
    fault: str, door: Door, client_of: Client, source: Path, payload: bytes
) -> None:
    door.fault("PUT", PASSING[fault], times=1)

    result = client_of(door, timeout=0.5 if "silent" not in fault else 0.2).upload(source, PATH)

    assert result.retries == 1
    assert door.files == {PATH: payload}


@pytest.mark.parametrize("fault", [name for name in PASSING if name != "429"])
def test_a_fault_that_stays_leaves_the_old_file_and_nothing_else(
    fault: str, door: Door, client_of: Client, source: Path, clean_environment: Path
) -> None:
    door.fault("PUT", PASSING[fault])

    with pytest.raises(TransientError) as caught:
        client_of(door, timeout=0.2, retries=1 if "silent" not in fault else 0).upload(source, PATH)

    assert "/night/" in str(caught.value)
    assert door.files == {PATH: b"old one"}
    assert not list(clean_environment.rglob("*.json"))


@pytest.mark.parametrize("fault", ["reset before the body", "reset in the body", "500", "a part is kept"])
def test_a_failed_upload_names_the_file_that_was_meant(fault: str, door: Door, client_of: Client, source: Path) -> None:
    door.fault("PUT", PASSING[fault])

    failed(client_of(door, retries=0), source, TransientError)


class Stop(Exception):
    """Raised by a callback."""


def stop(_: int) -> None:
    raise Stop


@pytest.mark.parametrize(("progress", "error"), [(stop, Stop), (None, TransientError)])
def test_a_part_that_the_server_begins_late_is_removed_too(
    progress: Callable[[int], None] | None, error: type[Exception], door: Door, client_of: Client, source: Path
) -> None:
    door.fault("PUT", acts.reset_in_body(100_000))
    door.fault("DELETE", acts.begin_late, times=1)

    with pytest.raises(error):
        client_of(door, retries=0).upload(source, PATH, progress=progress)

    assert door.files == {PATH: b"old one"}
    assert notes.noted(f"{door.url}/") == []


def test_a_stop_that_comes_while_it_cleans_up_lets_it_go_on(door: Door, client_of: Client, source: Path) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def remove_after_the_stop(exchange: Exchange) -> None:
        begun.set()
        stopped.wait(10)
        delete(exchange)

    door.fault("PUT", acts.keep_a_part(acts.status(507)))
    door.fault("DELETE", remove_after_the_stop)
    client = client_of(door)
    future = client.begin_upload(source, PATH)
    begun.wait(10)
    future.cancel()
    stopped.set()
    with pytest.raises(CancelledError):
        future.result(10)
    client.close()

    assert door.files == {PATH: b"old one"}
    assert notes.noted(f"{door.url}/") == []


def test_what_was_answered_is_not_waited_for(
    door: Door, client_of: Client, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "SETTLING", 60.0)
    door.fault("PUT", acts.status(507))

    failed(client_of(door), source, QuotaError)

    assert len(door.requests("DELETE")) == 1


def test_a_body_refused_early_is_a_permission_error_of_which_nothing_was_sent(
    door: Door, client_of: Client, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(50_000_000))
    door.fault("PUT", acts.refuse_body(403))

    with pytest.raises(PermissionDeniedError) as caught:
        client_of(door, timeout=2.0).upload(big, PATH)

    assert caught.value.remedy
    assert [asked.received for asked in door.requests("PUT")] == [0]
    assert door.files == {PATH: b"old one"}


def test_a_small_body_refused_early_is_a_permission_error(door: Door, client_of: Client, source: Path) -> None:
    door.fault("PUT", acts.status(403))

    with pytest.raises(PermissionDeniedError):
        client_of(door).upload(source, PATH)

    assert door.files == {PATH: b"old one"}


@pytest.mark.parametrize(("code", "kind"), [(403, PermissionDeniedError), (413, QuotaError), (507, QuotaError)])
def test_a_small_upload_whose_refusal_was_lost_asks_first_at_its_retry(
    code: int, kind: type[CtaError], door: Door, client_of: Client, source: Path
) -> None:
    door.fault("PUT", acts.lose_refusal(code))
    with pytest.raises(kind):
        client_of(door, retries=1).upload(source, PATH)

    assert ["expect" in asked.headers for asked in door.requests("PUT")][:2] == [False, True]
    assert door.files == {PATH: b"old one"}


def test_uploads_ask_first_only_until_one_has_been_taken(door: Door, client_of: Client, source: Path) -> None:
    door.fault("PUT", acts.lose_refusal(503), times=1)
    with client_of(door, retries=2) as client:
        client.upload(source, PATH)
        before = len(door.requests("PUT"))
        client.upload(source, PATH)

    assert ["expect" in asked.headers for asked in door.requests("PUT")][:2] == [False, True]
    assert ["expect" in asked.headers for asked in door.requests("PUT")[before:]] == [False]


@pytest.mark.parametrize("renames", [True, False])
def test_storage_that_keeps_less_is_an_integrity_error_and_leaves_nothing(
    renames: bool, door: Door, client_of: Client, source: Path
) -> None:
    door.fault("PUT", store_less)
    if not renames:
        door.fault("MOVE", acts.status(403))

    error = failed(client_of(door), source, IntegrityError)

    assert error.remedy
    assert door.files == {PATH: b"old one"}


def test_storage_that_keeps_other_bytes_is_found_by_the_checksum(
    open_door: Open, client_of: Client, source: Path
) -> None:
    door = open_door(files={PATH: b"old one"}, folders={"/night"}, checksums=True)
    door.fault("PUT", store_flipped)

    error = failed(client_of(door), source, IntegrityError)

    assert "adler32" in str(error)
    assert door.files == {PATH: b"old one"}


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("algorithm", ["adler32", "md5"])
def test_a_digest_of_a_head_request_is_computed_of_what_was_sent(
    algorithm: str, held: bool, open_door: Open, client_of: Client, tmp_path: Path, payload: bytes
) -> None:
    content = payload * 4
    (tmp_path / "large").write_bytes(content)
    door = open_door(digests=algorithm)
    client = client_of(door, checksum="require")

    def send() -> TransferResult:
        return client.write(PATH, content) if held else client.upload(tmp_path / "large", PATH)

    sums = {name: checksum_of(content, name) for name in ("adler32", algorithm)}
    assert send().checksums == sums
    assert door.files[PATH] == content
    door.fault("PUT", store_flipped)
    del door.files[PATH]
    with pytest.raises(IntegrityError, match=sums[algorithm]):
        send()
    assert door.files == {}


def test_a_checksum_that_the_server_itself_finds_wrong_is_an_integrity_error(
    door: Door, client_of: Client, source: Path
) -> None:
    door.fault("PUT", acts.keep_a_part(acts.status(400, reason="Checksum mismatch (expected=[1:2], actual=[1:3])")))

    with pytest.raises(IntegrityError):
        client_of(door).upload(source, PATH)

    assert door.files == {PATH: b"old one"}


def test_a_success_before_the_body_was_read_is_no_success(door: Door, client_of: Client, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(8 << 20))

    def too_soon(exchange: Exchange) -> None:
        exchange.door.files[exchange.asked.path] = b"x"
        exchange.answer(201, "Connection: close")
        exchange.end()

    door.fault("PUT", too_soon)

    with pytest.raises((IntegrityError, TransientError)):
        client_of(door, retries=1, timeout=0.5).upload(big, PATH)

    assert door.files == {PATH: b"old one"}


def test_a_slow_but_steady_server_is_waited_for(door: Door, client_of: Client, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(3 << 20))
    pause = threading.Event()

    def slowly(exchange: Exchange) -> None:
        exchange.invite()
        body = b""
        for chunk in exchange.chunks():
            body += chunk
            pause.wait(len(chunk) / (1.5 * (1 << 20)))  # 1.5 MiB/s: the wire moves all the time
        door.files[exchange.asked.path] = body
        exchange.answer(201)

    door.fault("PUT", slowly)

    result = client_of(door, timeout=0.4, retries=0).upload(big, PATH)

    assert result.retries == 0
    assert len(door.files[PATH]) == 3 << 20


def test_a_server_that_thinks_after_the_body_is_waited_for(
    door: Door, client_of: Client, source: Path, payload: bytes
) -> None:
    pause = threading.Event()

    def thinking(exchange: Exchange) -> None:
        exchange.invite()
        door.files[exchange.asked.path] = b"".join(exchange.chunks())
        pause.wait(1.0)  # a checksum, a flush to disk: as long as a first byte may take
        exchange.answer(201)

    door.fault("PUT", thinking)

    client_of(door, timeout=0.3, retries=0).upload(source, PATH)

    assert door.files == {PATH: payload}


def test_parents_are_made_when_they_are_missing_and_only_then(
    open_door: Open, client_of: Client, source: Path, payload: bytes
) -> None:
    door = open_door()

    def strict(exchange: Exchange) -> None:
        exchange.invite()
        for _ in exchange.chunks():
            pass
        parent = exchange.asked.path.rpartition("/")[0]
        if not door.is_dir(parent):
            return exchange.answer(500)  # nginx; others 404 or 409
        door.files[exchange.asked.path] = payload
        return exchange.answer(201)

    door.fault("PUT", strict)

    client_of(door).upload(source, "/a/b/c/events.fits")

    assert door.files == {"/a/b/c/events.fits": payload}
    assert [asked.path.rstrip("/") for asked in door.requests("MKCOL")] == ["/a", "/a/b", "/a/b/c"]
    assert parts_at(door) == []


def test_a_look_for_a_missing_parent_that_fails_in_passing_is_tried_again(
    open_door: Open, client_of: Client, source: Path, payload: bytes
) -> None:
    door = open_door()
    door.fault("PUT", acts.status(409), times=1)
    door.fault("PROPFIND", acts.status(503, "Retry-After: 0"), path="/a/b", times=1)

    result = client_of(door).upload(source, "/a/b/events.fits")

    assert door.files == {"/a/b/events.fits": payload}
    assert result.retries == 1

"""Statuses that say no: for now, for good, or for this credential."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ctadata_providers import (
    Config,
    CredentialError,
    CtaClient,
    CtaError,
    IntegrityError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.retry import RetryPolicy
from ctadata_providers.testing import FakeCta
from tests.faults import acts
from tests.faults.cells import assert_absent, assert_whole, parts_at
from tests.faults.multistatus import listing
from tests.faults.scripted import Door, Exchange

PATH = "/night/events.fits"
TOKEN = "an-opaque-token-0123456789"
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.mark.parametrize("method", ["GET", "PROPFIND"])
@pytest.mark.parametrize("code", [408, 423, 425, 429, 500, 502, 503, 504, 520])
def test_what_may_pass_is_tried_again_as_soon_as_the_server_says(
    code: int, method: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault(method, acts.status(code, "Retry-After: 0"), times=2)

    client_of(door).download(PATH, target)

    assert_whole(target, payload)
    assert len(door.requests(method)) == 3


@pytest.mark.parametrize("code", [500, 503])
def test_a_burst_without_retry_after_is_survived(
    code: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", acts.status(code), times=3)

    result = client_of(door, retries=3).download(PATH, target)

    assert_whole(target, payload)
    assert result.retries == 3


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_does_not_pass_is_a_transient_error_after_the_retries(
    code: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", acts.status(code, "Retry-After: 0" if code == 429 else "X-None: 1"))
    client = client_of(door, retries=1)

    error = assert_absent(lambda: client.download(PATH, target), TransientError, PATH, target)

    assert str(code) in str(error)
    assert len(door.requests("GET")) == 2


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_status_that_may_pass_says_what_to_do(
    code: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", acts.status(code))
    client = client_of(door, retries=0)

    assert assert_absent(lambda: client.download(PATH, target), TransientError, PATH, target).remedy


def test_429_without_retry_after_waits_at_least_20_s() -> None:
    policy = RetryPolicy(first_delay=0.01)

    def delay(status: int, retry_after: float | None) -> float:
        found = policy.delay(0, TransientError("no", status=status, retry_after=retry_after))
        assert found is not None
        return found

    assert delay(429, None) >= 20
    assert 3 <= delay(429, 3.0) <= 4
    assert 7 <= delay(503, 7.0) <= 8
    assert delay(503, None) < 1


def test_a_server_that_wants_an_hour_is_not_waited_for() -> None:
    assert RetryPolicy().delay(0, TransientError("no", status=503, retry_after=3600.0)) is None


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "",
        "-5",
        "1e9",
        "Wed, 99 Nov 2026 25:00:00 GMT",
        "Wed, 21 Oct 99999999999 07:28:00 GMT",
        "\xb2",
    ],
)
def test_a_retry_after_that_nobody_understands_is_no_error_of_its_own(
    value: str, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    for method in ("PROPFIND", "GET"):
        door.fault(method, acts.status(503, f"Retry-After: {value}"), times=1)

    client_of(door).download(PATH, target)

    assert_whole(target, payload)


def test_a_wait_for_a_retry_can_be_interrupted(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", acts.status(429))  # 20 s
    client = client_of(door)
    begun = time.monotonic()
    stop = threading.Event()

    def interrupt_when_asked() -> None:
        while not door.requests("GET") and not stop.is_set():
            stop.wait(0.02)
        stop.wait(0.1)
        signal_main_thread()

    thread = threading.Thread(target=interrupt_when_asked)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            client.download(PATH, target)
    finally:
        stop.set()
        thread.join()

    assert time.monotonic() - begun < 10
    assert target.read_bytes() == b"old"
    assert [place.name for place in target.parent.iterdir()] == [target.name]


def signal_main_thread() -> None:
    import signal

    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, StorageError),
        (401, CredentialError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, UnsupportedError),
        (410, NotFoundError),
        (501, UnsupportedError),
        (507, QuotaError),
    ],
)
def test_what_is_final_is_asked_once(
    code: int, kind: type[CtaError], open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    door.fault("GET", acts.status(code))
    client = client_of(door, token=TOKEN)

    error = assert_absent(lambda: client.download(PATH, target), kind, PATH, target)

    assert not isinstance(error, TransientError)
    assert str(code) in str(error)
    assert error.remedy or code == 400
    assert len(door.requests("GET")) == 1


def test_a_refused_token_is_not_sent_again(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(files={PATH: payload}, folders={"/night"})
    door.fault("PROPFIND", acts.status(401), times=1)
    client = client_of(door, token=TOKEN)

    for act in (lambda: client.download(PATH, target), lambda: client.stat(PATH), lambda: client.upload(target, PATH)):
        with pytest.raises(CredentialError) as caught:
            act()
        assert caught.value.remedy
    with pytest.raises(CredentialError):
        client_of(door, token=TOKEN).stat(PATH)  # another client of the same process
    asked = len(door.asked)
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 20, sleep=time.sleep, time=time.time)
    for module in ("admission", "gates"):
        monkeypatch.setattr(f"ctadata_providers.session.{module}.time", later)
    client.download(PATH, target)

    assert asked == 1
    assert_whole(target, payload)


def test_a_token_refused_in_the_middle_of_a_tree_stops_the_tree(
    open_door: Open, client_of: Client, tmp_path: Path, payload: bytes
) -> None:
    door = open_door(files={f"/tree/{number}": payload for number in range(200)})
    door.fault("GET", acts.status(401))
    client = client_of(door, token=TOKEN, max_parallel=2)

    with pytest.raises(CredentialError):
        client.download_tree("/tree", tmp_path / "tree")

    assert len(door.requests("GET")) <= 2  # dCache blocks a site after three


def test_a_new_token_in_the_file_is_used_at_once(
    open_door: Open, client_of: Client, target: Path, payload: bytes, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("first-token-0123456789")
    door = open_door(files={PATH: payload})
    client = client_of(door, token_file=token_file)
    client.stat(PATH)

    def refuse_and_renew(exchange: Exchange) -> None:
        token_file.write_text("second-token-01234567890")
        exchange.answer(401)

    door.fault("GET", refuse_and_renew, times=1)
    client.download(PATH, target)

    assert_whole(target, payload)
    assert [a.headers["authorization"] for a in door.requests("GET")] == [
        "Bearer first-token-0123456789",
        "Bearer second-token-01234567890",
    ]


def test_an_expired_token_is_not_sent_at_all(fake_cta: FakeCta, target: Path) -> None:
    fake_cta.put(PATH, b"new")
    settings = {**fake_cta.settings(), "token": fake_cta.make_token(lifetime=-3600)}

    with CtaClient(Config.from_mapping(settings)) as client:
        error = assert_absent(lambda: client.download(PATH, target), CredentialError, "expired", target)

    assert error.remedy
    assert fake_cta.requests == []


@pytest.mark.parametrize("quota", [507, 413])
def test_an_upload_over_quota_is_a_quota_error_and_leaves_nothing(
    quota: int, open_door: Open, client_of: Client, target: Path
) -> None:
    door = open_door(folders={"/night"}, files={PATH: b"old one"})

    def full(exchange: Exchange) -> None:
        for _ in exchange.chunks():
            pass
        exchange.door.files[exchange.asked.path] = b"o"
        exchange.answer(quota)

    door.fault("PUT", full)
    client = client_of(door)

    error = assert_absent(lambda: client.upload(target, PATH), QuotaError, PATH.rpartition("/")[0], target)

    assert error.remedy
    assert door.files == {PATH: b"old one"}
    assert parts_at(door) == []


def test_quota_at_a_dcache_is_a_quota_error_and_leaves_nothing(target: Path) -> None:
    target.write_bytes(b"x" * 100_000)
    with FakeCta(quota=1000) as cta, CtaClient(Config.from_mapping(cta.settings())) as client:
        with pytest.raises(QuotaError) as caught:
            client.upload(target, "/lst/new")

        assert caught.value.remedy
        assert cta.paths() == []


LOCKED = "<D:response><D:href>/night/old/b.fits</D:href><D:status>HTTP/1.1 423 Locked</D:status></D:response>"


@pytest.mark.parametrize(
    ("method", "act"),
    [
        ("MOVE", lambda client: client.move("/night/old", "/night/new")),
        ("DELETE", lambda client: client.remove("/night/empty")),
        ("COPY", lambda client: client.copy("/night/a", "/night/b")),
    ],
)
def test_a_change_that_was_made_in_part_is_none(
    method: str, act: Callable[[CtaClient], object], open_door: Open, client_of: Client
) -> None:
    door = open_door(files={"/night/old/b.fits": b"x", "/night/a": b"x"}, folders={"/night/empty"})
    door.fault(method, acts.status(207, body=listing(LOCKED), reason="Multi-Status"))

    with pytest.raises(StorageError, match=r"207 /night/old/b\.fits HTTP/1\.1 423 Locked"):
        act(client_of(door))

    assert len(door.requests(method)) == 1


def test_a_folder_that_was_made_although_the_answer_got_lost_is_made(open_door: Open, client_of: Client) -> None:
    door = open_door(folders={"/night"})

    def lose_the_answer(exchange: Exchange) -> None:
        exchange.door.folders.add("/night/new")
        exchange.reset()

    door.fault("MKCOL", lose_the_answer, times=1)

    client_of(door).make_dir("/night/new")

    assert len(door.requests("MKCOL")) == 2


@pytest.mark.parametrize(("code", "kind"), [(403, PermissionDeniedError), (404, NotFoundError), (507, QuotaError)])
def test_a_refusal_whose_page_breaks_off_is_a_refusal(
    code: int,
    kind: type[CtaError],
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
) -> None:
    door = open_door(files={PATH: payload})

    def break_off(exchange: Exchange) -> None:
        exchange.head(code, "Content-Length: 3000")
        exchange.send(b"some words")
        exchange.end()

    door.fault("GET", break_off)
    client = client_of(door)

    error = assert_absent(lambda: client.download(PATH, target), kind, PATH, target)

    assert str(code) in str(error)
    assert len(door.requests("GET")) == 1


@pytest.mark.parametrize("code", [400, 403, 405, 501])
def test_a_server_that_refuses_to_tell_a_checksum_has_none(
    code: int, open_door: Open, client_of: Client, target: Path, tmp_path: Path
) -> None:
    large = bytes(1 << 20)
    door = open_door(files={PATH: large}, folders={"/night"})
    door.fault("HEAD", acts.status(code))
    client = client_of(door)

    client.download(PATH, target)
    client.upload(target, "/night/new")
    strict = client_of(door, checksum="require")

    with pytest.raises(IntegrityError, match="offers none"):
        strict.download(PATH, tmp_path / "other")
    assert_whole(target, large)
    assert door.files["/night/new"] == large
    assert not (tmp_path / "other").exists()

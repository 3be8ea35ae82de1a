"""Tokens that end under way: the next one is taken, by `exp` where a status does not tell, and nothing is lost."""

import stat as modes
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError, CtaClient, PermissionDeniedError
from ctadata_providers.credentials.oidc import sessions
from ctadata_providers.session import admission
from ctadata_providers.testing import FakeCta
from tests.faults import children
from tests.faults.guarded import Guard, jwt
from tests.faults.scripted import RIGHT, Door, Exchange

PATH = "/night/events.fits"
Open = Callable[..., Door]
Client = Callable[..., CtaClient]
ACTS: dict[str, Callable[[CtaClient, Path], object]] = {
    "stat": lambda client, local: client.stat(PATH),
    "list": lambda client, local: list(client.list_dir("/night")),
    "download": lambda client, local: client.download(PATH, local),
    "upload": lambda client, local: client.upload(local, "/night/new"),
}

WORK = """
from ctadata_providers import CtaError
try:
    print(client.stat("/lst/f").size)
except CtaError as error:
    print(error)
"""


def replace(file: Path, text: str) -> None:
    """Write a file anew as an agent does, whole or not at all."""
    new = file.with_name(f"new-{threading.get_ident()}")
    new.write_text(text)
    new.chmod(0o600)
    new.replace(file)


@pytest.mark.parametrize("act", ACTS)
def test_a_403_for_a_token_that_has_ended_is_answered_with_the_next_one(
    act: str, open_door: Open, client_of: Client, target: Path, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    old, new = jwt(life=-20, age=3600), jwt()
    token_file.write_text(old)
    door = open_door(files={PATH: b"x"}, server="XrootD/v5.8.1")
    guard = Guard(door, lambda token: token == new, code=403, refused=lambda: replace(token_file, new))

    ACTS[act](client_of(door, token_file=token_file), target)

    assert guard.refusals == [old]
    assert set(guard.seen[1:]) == {new}


@pytest.mark.parametrize("token", [jwt(), "opaque-0123456789"], ids=["alive", "opaque"])
@pytest.mark.parametrize("act", ACTS)
def test_a_403_for_a_token_that_lives_is_a_missing_right(
    act: str, token: str, open_door: Open, client_of: Client, target: Path, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(token)
    door = open_door(files={PATH: b"x"}, server="XrootD/v5.8.1")
    Guard(door, lambda _: False, code=403, refused=lambda: replace(token_file, jwt()))
    client = client_of(door, token_file=token_file)

    with pytest.raises(PermissionDeniedError):
        ACTS[act](client, target)
    with pytest.raises(PermissionDeniedError):
        client.stat(PATH)  # no pause: the token is good, and may be used elsewhere


def test_a_403_for_a_token_that_has_ended_without_a_next_one_is_a_credential_error(
    open_door: Open, client_of: Client
) -> None:
    door = open_door(files={PATH: b"x"}, server="XrootD/v5.8.1")
    guard = Guard(door, lambda _: False, code=403)
    client = client_of(door, token=jwt(life=-20, age=3600))

    with pytest.raises(CredentialError, match=r"403.*expired"):
        client.stat(PATH)
    with pytest.raises(CredentialError, match="just refused"):
        client.stat(PATH)

    assert len(guard.seen) == 1


def with_clock(door: Door, ahead: float) -> None:
    """Have the door tell a time that is ahead of ours."""
    head = Exchange.head

    def telling(exchange: Exchange, status: int, *headers: str, reason: str = "Reason") -> None:
        date = formatdate(time.time() + ahead, usegmt=True)
        head(exchange, status, f"Date: {date}", *headers, reason=reason)

    def act(right: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
        def told(exchange: Exchange) -> None:
            exchange.head = lambda *a, **k: telling(exchange, *a, **k)  # type: ignore[method-assign] # this one only
            right(exchange)

        return told

    for fault in door._faults:
        fault.act = act(fault.act)
    for method, right in RIGHT.items():
        door.fault(method, act(right))


def test_a_long_download_does_not_set_the_clock_of_the_door_back(
    open_door: Open, client_of: Client, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(files={PATH: b"x"})
    with_clock(door, 0.0)
    passed = [0.0]
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + passed[0])
    client = client_of(door, token=jwt())
    client.download(PATH, target, info=client.stat(PATH), progress=lambda size: passed.__setitem__(0, 1000.0))
    ahead = client._backend.clock_ahead()  # type: ignore[attr-defined]  # not every backend knows it

    assert passed == [1000.0]
    assert abs(ahead) < 5


def test_a_403_is_judged_by_the_clock_of_the_door(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    old, new = jwt(life=30, age=3600), jwt()
    token_file.write_text(old)
    door = open_door(files={PATH: b"x"}, server="XrootD/v5.8.1")
    guard = Guard(door, lambda token: token == new, code=403, refused=lambda: replace(token_file, new))
    with_clock(door, 60)

    assert client_of(door, token_file=token_file).stat(PATH).size == 1
    assert guard.refusals == [old]


def printing(folder: Path, life: float) -> tuple[list[str], Path]:
    """Return a command that prints another token each time, and the file that counts."""
    count = folder / "count"
    count.write_text("")
    program = folder / "issue.py"
    program.write_text(
        "import base64, json, sys, time\n"
        "count = open(sys.argv[1], 'a+'); count.write('x'); count.flush()\n"
        "now = time.time()\n"
        f"claims = {{'iat': now - 3600, 'exp': now + {life}, 'jti': now}}\n"
        "parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b'=').decode() for p in ({}, claims)]\n"
        "print('.'.join([*parts, 'c2ln']))\n"
    )
    program.chmod(modes.S_IRUSR)
    return [sys.executable, str(program), str(count)], count


def test_a_token_that_has_ended_by_the_clock_of_the_door_is_not_even_sent(
    open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(jwt(life=3600, age=3600))
    door = open_door(files={PATH: b"x"})
    guard = Guard(door, lambda _: True)
    with_clock(door, 7200)
    client = client_of(door, token_file=token_file)
    client.stat(PATH)
    client.stat(PATH)

    assert len(guard.seen) == 2  # the server accepts it all the same: its Date is not what it goes by


def test_a_door_with_a_wrong_clock_does_not_make_us_ask_for_tokens_again_and_again(
    open_door: Open, client_of: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "LENIENT_SECONDS", 0.0)
    command, count = printing(tmp_path, 3600)
    door = open_door(files={f"/tree/{number}": b"x" for number in range(60)})
    with_clock(door, 24 * 3600)

    client_of(door, token_command=command).download_tree("/tree", tmp_path / "tree")

    assert 1 <= len(count.read_text()) <= 3


def test_a_token_that_ends_soon_by_the_clock_of_the_door_is_renewed_before_it_is_refused(
    open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    command, count = printing(tmp_path, 4.5)
    door = open_door(files={PATH: b"x"})
    guard = Guard(door, lambda _: True)
    with_clock(door, 3)
    client = client_of(door, token_command=command)
    client.stat(PATH)
    program = Path(command[1])
    program.chmod(0o600)
    program.write_text(program.read_text().replace("4.5, 'jti'", "3600, 'jti'"))
    client.stat(PATH)
    client.stat(PATH)

    assert guard.seen[0] != guard.seen[1] == guard.seen[2]
    assert len(count.read_text()) == 2


def test_a_token_about_its_end_is_sent_by_one_request_at_a_time(open_door: Open, client_of: Client) -> None:
    door = open_door(files={PATH: b"x"})
    running, most, lock = 0, 0, threading.Lock()

    def slowly(exchange: Exchange) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)  # the others would come now
        with lock:
            running -= 1
        RIGHT["PROPFIND"](exchange)

    door.fault("PROPFIND", slowly)
    client = client_of(door, token=jwt(life=1.5, age=3600), timeout=10.0)

    with ThreadPoolExecutor(8) as pool:
        sizes = [info.size for info in pool.map(client.stat, [PATH] * 16)]

    assert sizes == [1] * 16
    assert most == 1


@contextmanager
def kept_fresh(cta: FakeCta, file: Path, *, life: float, every: float) -> Iterator[list[str]]:
    """Write a new token to a file all the time, as an agent does; gives those written."""
    stop = threading.Event()
    written: list[str] = []

    def renew() -> None:
        written.append(cta.make_token(lifetime=life))
        replace(file, written[-1])

    def run() -> None:
        while not stop.wait(every):
            renew()

    renew()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield written
    finally:
        stop.set()
        thread.join()


def logged_in(cta: FakeCta, *, token_lifetime: float) -> Config:
    """Return the settings of a user who has logged in at the issuer, which gives tokens of some seconds."""
    cta.issuer.configure(token_lifetime=token_lifetime, interval=0, approve="alice")
    config = Config.from_mapping({**cta.oidc_settings(), "ambient_credentials": True, "retries": 0})
    sessions.log_in(config, None, lambda grant: None)
    return config


def test_a_thousand_transfers_with_tokens_of_five_seconds_lose_none(tmp_path: Path) -> None:
    names = [f"{number:03}" for number in range(900)]
    with FakeCta() as cta:
        for name in names:
            cta.put(f"/in/{name}", name.encode())
        config = logged_in(cta, token_lifetime=5).with_settings(max_requests_per_second=150)
        begun = time.monotonic()
        with CtaClient(config) as client:
            down = client.download_tree("/in", tmp_path / "tree")
            for name in names[100:]:
                (tmp_path / "tree" / name).unlink()
            up = client.upload_tree(tmp_path / "tree", "/out")
        seconds = time.monotonic() - begun

        assert (down.files, up.files) == (900, 100)
        assert all((tmp_path / "tree" / name).read_text() == name for name in names[:100])
        assert all(cta.get(f"/out/{name}") == name.encode() for name in names[:100])
        assert not {401, 429} & {request.status for request in cta.requests}
        assert 1 <= len(cta.issuer.grants("refresh_token")) <= seconds / 5 * 2 + 1
        assert cta.issuer.revoked_families == []


def test_eight_processes_whose_session_is_refused_at_the_door_share_one_refresh() -> None:
    with FakeCta() as cta:
        cta.put("/lst/f", b"123")
        config = logged_in(cta, token_lifetime=600)
        cta.clock_ahead = 700.0  # the token has ended for the door, and looks alive here
        settings = {**cta.oidc_settings(), "ambient_credentials": True, "retries": 0}

        workers = [children.start(WORK, settings) for _ in range(8)]
        said = [children.finish(worker) for worker in workers]

        assert config.issuer is not None
        assert said == [("3\n", "")] * 8
        assert 1 <= [request.status for request in cta.requests].count(401) <= 2
        assert 1 <= len(cta.issuer.grants("refresh_token")) <= 2
        assert cta.issuer.revoked_families == []


def test_a_login_whose_next_token_is_refused_too_is_not_refreshed_again_by_another_process() -> None:
    with FakeCta() as cta, cta.fault("unauthorized", server="door"):
        logged_in(cta, token_lifetime=600)
        settings = {**cta.oidc_settings(), "ambient_credentials": True, "retries": 0}

        said = [children.finish(children.start(WORK, settings))[0] for _ in range(3)]

        assert ["401" in text or "refused" in text for text in said] == [True] * 3
        assert [request.status for request in cta.requests if request.server == "door"] == [401, 401]
        assert len(cta.issuer.grants("refresh_token")) == 1


def test_a_download_that_outlives_its_token_goes_on_with_the_next(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4000
    with FakeCta() as cta, kept_fresh(cta, tmp_path / "token", life=1.5, every=0.8) as written:
        cta.put("/large", data)
        settings = {**cta.settings(), "token": None, "token_file": str(tmp_path / "token")}
        with (
            cta.fault("slow", server="pool", method="GET", rate=500_000, times=1),
            cta.fault("reset", server="pool", method="GET", after=900_000, times=1),
            CtaClient(Config.from_mapping(settings)) as client,
        ):
            result = client.download("/large", tmp_path / "copy")
        used = {request.headers["authorization"] for request in cta.requests if request.server == "door"}

        assert (tmp_path / "copy").read_bytes() == data
        assert result.retries >= 1
        assert len(used) >= 2
        assert 401 not in {request.status for request in cta.requests}
    assert len(written) >= 3


def test_an_upload_that_outlives_its_token_is_verified_and_renamed_with_the_next(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 5000)
    with FakeCta() as cta, kept_fresh(cta, tmp_path / "token", life=1.5, every=0.6):
        settings = {**cta.settings(), "token": None, "token_file": str(tmp_path / "token")}
        with (
            cta.fault("slow", server="pool", method="PUT", rate=800_000),
            CtaClient(Config.from_mapping(settings)) as client,
        ):
            client.upload(source, "/night/large")
        used = {request.headers["authorization"] for request in cta.requests if request.server == "door"}

        assert cta.get("/night/large") == source.read_bytes()
        assert len(used) >= 2
        assert 401 not in {request.status for request in cta.requests}

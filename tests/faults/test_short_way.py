"""Small files of trees go a short way; whatever happens on it, they end as on the long one."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from ctadata_providers import (
    CredentialError,
    CtaClient,
    IntegrityError,
    NotFoundError,
    PermissionDeniedError,
    TransientError,
)
from ctadata_providers.session.futures import Future
from ctadata_providers.transfer import TransferResult, begin_download, owners
from ctadata_providers.transfer.context import Places
from ctadata_providers.transfer.local import small_content
from tests.faults import acts
from tests.faults.pki import make_pki
from tests.faults.scripted import Act, Door, Exchange

NAMES = [f"f{number:02}" for number in range(40)]
FILES = {f"/night/{name}": name.encode() * 100 for name in NAMES}
VICTIM = "/night/f07"
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "sent"
    folder.mkdir()
    for path, data in FILES.items():
        (folder / path.rpartition("/")[2]).write_bytes(data)
    return folder


def fetched(client: CtaClient, tmp_path: Path, **how: Any) -> dict[str, bytes]:
    """Download the folder and return what is there, hidden names too."""
    client.download_tree("night", tmp_path / "got", **how)
    return present(tmp_path)


def present(tmp_path: Path) -> dict[str, bytes]:
    return {f"/night/{file.name}": file.read_bytes() for file in (tmp_path / "got").iterdir()}


def gets(door: Door, path: str | None = None) -> int:
    return sum(path in (None, asked.path) for asked in door.requests("GET"))


def test_each_small_file_costs_one_request(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door = open_door(files=dict(FILES))
    seen: list[int] = []
    got = fetched(client_of(door), tmp_path, progress=seen.append)

    assert got == FILES
    assert gets(door) == len(FILES)
    assert sum(seen) == sum(map(len, FILES.values()))


@pytest.mark.parametrize(
    "act",
    [
        acts.reset_after(None),
        acts.reset_after(100),
        acts.cut_after(100),
        acts.raw(b"HTTP/1."),
        acts.serve(b"x" * 2_000_000),
        acts.status(500),
        acts.status(503, "Retry-After: 0"),
        acts.status(204),
    ],
    ids=["reset", "reset in the body", "cut", "no HTTP", "too long", "500", "503", "204"],
)
def test_what_goes_wrong_once_is_made_good(act: Act, open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door = open_door(files=dict(FILES))
    door.fault("GET", act, path=VICTIM, times=1)

    assert fetched(client_of(door), tmp_path) == FILES


def test_a_wait_that_the_server_asks_for_is_waited(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door = open_door(files=dict(FILES))
    door.fault("GET", acts.status(503, "Retry-After: 1"), path=VICTIM, times=1)
    begun = time.monotonic()

    assert fetched(client_of(door), tmp_path) == FILES
    assert time.monotonic() - begun >= 1
    assert gets(door, VICTIM) == 2


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (acts.status(404), NotFoundError),
        (acts.status(403), PermissionDeniedError),
        (acts.status(500), TransientError),
        (acts.serve(b"short"), IntegrityError),
    ],
    ids=["404", "403", "500", "short"],
)
def test_what_stays_wrong_is_told_by_path_and_leaves_nothing(
    act: Act, error: type[Exception], open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    door = open_door(files=dict(FILES))
    door.fault("GET", act, path=VICTIM)
    result = client_of(door).download_tree("night", tmp_path / "got", on_error="continue")
    (failure,) = result.failures

    assert isinstance(failure.error, error)
    assert failure.path == VICTIM
    assert VICTIM in failure.error.message
    assert present(tmp_path) == {path: data for path, data in FILES.items() if path != VICTIM}


def test_a_door_that_redirects_is_not_asked_the_short_way_again(
    open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    pool, door = open_door(files=dict(FILES)), open_door(files=dict(FILES))
    door.fault("GET", lambda exchange: exchange.answer(302, f"Location: {pool.url}{exchange.asked.path}"))
    got = fetched(client_of(door, max_parallel=1), tmp_path)

    assert got == FILES
    assert gets(door) <= len(FILES) + 1
    assert gets(pool) == len(FILES)
    assert not any("authorization" in asked.headers for asked in pool.requests("GET"))


def test_a_refused_token_is_not_sent_by_all(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door = open_door(files=dict(FILES))
    client = client_of(door, token="secret-token-of-test", max_parallel=1)
    next(client.list_dir("night"))
    door.fault("GET", acts.status(401))
    with pytest.raises(Exception, match=r"refused|401"):
        client.download_tree("night", tmp_path / "got")

    assert gets(door) <= 2


def sent(client: CtaClient, local: Path) -> None:
    client.upload_tree(local, "night")


def test_an_upload_is_stored_looked_at_and_renamed(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(folders={"/night"})
    sent(client_of(door), local)

    assert door.files == FILES
    assert [len(door.requests(method)) for method in ("PUT", "HEAD", "MOVE")] == [len(FILES)] * 3
    assert all(asked.path.endswith(".ctapart") for asked in door.requests("PUT"))
    assert not any("content-type" in asked.headers for asked in door.requests("PUT"))


@pytest.mark.parametrize("method", ["PUT", "HEAD", "MOVE"])
@pytest.mark.parametrize(
    "act", [acts.reset_after(None), acts.status(500), acts.raw(b"HTTP/1.")], ids=["reset", "500", "no HTTP"]
)
def test_an_upload_that_fails_once_is_made_good(
    method: str, act: Act, open_door: Open, client_of: Client, local: Path, clean_environment: Path
) -> None:
    door = open_door(folders={"/night"})
    door.fault(method, act, times=1)
    sent(client_of(door), local)

    assert door.files == FILES
    assert not list(clean_environment.rglob("*.json"))


@pytest.mark.parametrize("base", ["/", "/d\u00f6n", "/a b#c"], ids=["root", "not ASCII", "blank"])
def test_the_first_upload_to_xrootd_gets_its_own_name(
    base: str, open_door: Open, client_of: Client, local: Path
) -> None:
    """XRootD does not decode the Destination of a MOVE, and nothing has told yet that it is one."""
    door = open_door(server="XrootD/v5.5.3", folders={f"{base.rstrip('/')}/night"})
    names = ["h#h", "p%41q", "[x]"]
    for name in names:
        (local / name).write_text(name)
    pairs = [(local / name, f"night/{name}") for name in names]
    for _, outcome in client_of(door, base_path=base).upload_many(pairs):
        outcome.result()

    assert door.files == {f"{base.rstrip('/')}/night/{name}": name.encode() for name in names}


def test_a_missing_parent_of_an_upload_is_made_though_nothing_is_tried_again(
    open_door: Open, client_of: Client, local: Path
) -> None:
    door = open_door()

    def store(exchange: Exchange) -> None:
        """Answer 500 where the parent is missing, as nginx does."""
        exchange.invite()
        data, path = b"".join(exchange.chunks()), exchange.asked.path
        if exchange.door.is_dir(path.rpartition("/")[0]):
            exchange.door.files[path] = data
        exchange.answer(201 if path in exchange.door.files else 500)

    door.fault("PUT", store)
    pairs = [(local / name, f"night/{name}") for name in NAMES]
    for _, outcome in client_of(door, retries=0, max_parallel=1).upload_many(pairs):
        outcome.result()

    assert door.files == FILES


def test_a_short_way_that_has_to_wait_tells_of_the_file_and_not_of_its_temporary_name(
    open_door: Open, client_of: Client, local: Path
) -> None:
    door = open_door(folders={"/night"})
    door.fault("PUT", acts.status(503, "Retry-After: 0"))
    result = client_of(door, retries=0).upload_tree(local, "night", on_error="continue")

    assert [failure.path for failure in result.failures] == sorted(FILES)
    assert all(f"upload {failure.path}:" in failure.error.message for failure in result.failures)


@pytest.mark.parametrize("method", ["HEAD", "MOVE"])
def test_an_upload_that_is_stopped_leaves_nothing(
    method: str, open_door: Open, client_of: Client, local: Path, clean_environment: Path
) -> None:
    door = open_door(folders={"/night"})
    door.fault(method, acts.stall_after(None))
    pairs = [(local / name, f"night/{name}") for name in NAMES[:4]] + [(local / "none", "night/none")]
    with closing(client_of(door).upload_many(pairs)) as outcomes:
        _, outcome = next(outcomes)
        while len(door.requests(method)) < 4:
            time.sleep(0.005)

    assert isinstance(outcome.exception(), NotFoundError)
    assert door.files == {}
    assert not list(clean_environment.rglob("*.json"))


def test_who_writes_into_a_pipe_is_not_disturbed_by_a_look_at_it(tmp_path: Path) -> None:
    """Where its first reader goes, who writes into it is killed, and the next one waits for ever."""
    pipe, opened = tmp_path / "pipe", threading.Event()
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb"):
            opened.set()

    threading.Thread(target=write, daemon=True).start()
    seen = [(small_content(pipe), opened.wait(0.001)) for _ in range(100)]
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    opened.wait(10)
    os.close(reader)

    assert seen == [(None, False)] * 100


def test_what_is_stored_short_is_not_renamed(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(folders={"/night"})
    door.fault("HEAD", acts.status(200, "Content-Length: 5"), times=1)
    sent(client_of(door), local)

    assert door.files == FILES


def test_files_that_are_there_are_replaced(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(files=dict.fromkeys(FILES, b"old"), folders={"/night"})
    sent(client_of(door), local)

    assert door.files == FILES


def test_files_that_are_there_stay_where_that_is_asked_for(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(files={VICTIM: b"old"}, folders={"/night"})
    result = client_of(door).upload_tree(local, "night", overwrite=False, on_error="continue")

    assert [failure.path for failure in result.failures] == [VICTIM]
    assert door.files == {**FILES, VICTIM: b"old"}


def test_where_renames_are_forbidden_files_go_to_their_names(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(folders={"/night"})
    door.fault("MOVE", acts.status(403))
    sent(client_of(door), local)

    assert door.files == FILES


def test_a_file_that_is_no_file_is_told(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(folders={"/night"})
    (local / "f07").unlink()
    (local / "f07").symlink_to("nowhere")
    result = client_of(door).upload_tree(local, "night", on_error="continue")

    assert [failure.path for failure in result.failures] == [VICTIM]
    assert door.files == {path: data for path, data in FILES.items() if path != VICTIM}


def test_a_way_that_leads_nowhere_is_given_up(open_door: Open, client_of: Client, local: Path) -> None:
    door = open_door(files=dict.fromkeys(FILES, b"old"), folders={"/night"})
    sent(client_of(door, max_parallel=1), local)

    assert door.files == FILES
    assert len(door.requests("PUT")) < len(FILES) + 10


def test_a_stop_just_where_the_long_way_begins_is_not_lost(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door = open_door(files=dict(FILES))
    client = client_of(door)
    info = client.stat(VICTIM)
    door.fault("GET", acts.status(204), times=1)
    door.fault("GET", acts.stall_after(None))
    begun: SimpleQueue[Future[TransferResult]] = SimpleQueue()

    def stop(places: Places) -> None:  # the first thing that is done on the long way
        Places.take(places)
        begun.get(timeout=10).cancel()

    context = replace(client._transfers, places=StoppedPlaces(stop))
    future = begin_download(context, info, tmp_path / "f07")
    begun.put(future)

    with pytest.raises(CancelledError):
        future.result(timeout=1)


class StoppedPlaces(Places):
    """Calls something when a connection is taken."""

    def __init__(self, act: Callable[[Places], None]) -> None:
        super().__init__()
        self._act = act

    def take(self) -> None:
        self._act(self)


def test_a_door_that_tells_no_length_is_not_asked_for_each_file(
    open_door: Open, client_of: Client, local: Path
) -> None:
    door = open_door(folders={"/night"})
    door.fault("HEAD", lambda exchange: exchange.head(200))
    sent(client_of(door, max_parallel=1), local)

    assert door.files == FILES
    assert len(door.requests("PUT")) < len(FILES) + 10


def test_the_length_that_counts_is_that_of_the_last_answer(open_door: Open, client_of: Client, local: Path) -> None:
    """A proxy's answer to CONNECT comes before the door's, some with a length."""
    door, size = open_door(folders={"/night"}), len(FILES[VICTIM])
    early = b"HTTP/1.1 103 Early\r\nContent-Length: 0\r\n\r\n"
    door.fault("HEAD", lambda exchange: exchange.send(early + b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size))
    sent(client_of(door), local)

    assert door.files == FILES
    assert len(door.requests("PUT")) == len(FILES)


def test_what_a_kill_left_beside_the_file_that_a_link_leads_to_is_removed(
    open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    door, (got, real) = open_door(files=dict(FILES)), (tmp_path / "got", tmp_path / "got" / "real")
    real.mkdir(parents=True)
    (got / "f07").symlink_to("real/seven")
    stem = owners.stem("seven", client_of(door)._transfers.door + VICTIM)
    this_machine, dead = owners.new_name(stem).digits[:8], 2**22 + 1
    (real / f"{stem}.{this_machine}{dead:08x}{'0' * 16}.ctapart").write_bytes(b"part")
    client_of(door).download_tree("night", got)

    assert [file.name for file in real.iterdir()] == ["seven"]
    assert (got / "f07").is_symlink()
    assert (real / "seven").read_bytes() == FILES[VICTIM]


def test_a_certificate_that_is_gone_in_mid_tree_is_told(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door, proxy = open_door(files=dict(FILES)), tmp_path / "proxy.pem"
    proxy.write_bytes(make_pki().user_pem)
    proxy.chmod(0o600)

    def lose(exchange: Exchange) -> None:
        proxy.unlink(missing_ok=True)
        exchange.answer(200, body=FILES[exchange.asked.path])

    client = client_of(door, cert_file=proxy, max_parallel=1)
    next(client.list_dir("night"))
    client.stat("night")
    door.fault("GET", lose)
    found: SimpleQueue[BaseException] = SimpleQueue()

    def fetch() -> None:
        try:
            client.download_tree("night", tmp_path / "got")
        except CredentialError as error:
            found.put(error)

    threading.Thread(target=fetch, daemon=True).start()

    assert "proxy.pem" in str(found.get(timeout=10))
    assert 1 <= gets(door) < len(FILES)

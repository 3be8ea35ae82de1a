"""Small files of trees are downloaded a short way; whatever happens on it, they end as on the long one."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
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
from ctadata_providers.session import admission
from ctadata_providers.session.futures import Future
from ctadata_providers.transfer import TransferResult, begin_download
from ctadata_providers.transfer.context import Places
from ctadata_providers.transfer.parts import owners
from tests.faults import acts
from tests.faults.pki import make_pki
from tests.faults.scripted import Act, Door, Exchange
from tests.faults.short_way import FILES, NAMES, VICTIM

Open = Callable[..., Door]
Client = Callable[..., CtaClient]


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


def test_a_certificate_that_is_gone_in_mid_tree_is_told(
    open_door: Open, client_of: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "WRITING_SECONDS", 0.0)  # nobody is about to write it anew
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


def test_what_the_callers_progress_raises_leaves_the_old_file(
    open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    def stop(count: int) -> None:
        raise ValueError("enough")

    door = open_door(files=dict(FILES))
    client = client_of(door, max_parallel=1)
    (tmp_path / "got").mkdir()
    for name in NAMES:
        (tmp_path / "got" / name).write_bytes(b"old")
    next(client.list_dir("night"))
    with pytest.raises(ValueError, match="enough"):
        client.download_tree("night", tmp_path / "got", progress=stop)

    assert set(present(tmp_path).values()) == {b"old"}

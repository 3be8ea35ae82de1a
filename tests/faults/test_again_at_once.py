"""A target is stored again while what a cancelled upload to it has left is still being removed: the new one stays."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import CtaClient
from ctadata_providers.session import tasks
from ctadata_providers.session.tasks import in_thread
from ctadata_providers.transfer import background
from tests.faults import acts, children
from tests.faults.scripted import Act, Door, delete
from tests.faults.test_cancelled_uploads import LONGEST, SOON, Held, cancel

PATH = "/night/events.fits"
Client = Callable[..., CtaClient]
Open = Callable[..., Door]
REMOVAL_SECONDS = 0.3
WAYS: dict[str, Callable[[CtaClient, Path], object]] = {
    "upload": lambda client, source: client.upload(source, PATH),
    "begin_upload": lambda client, source: client.begin_upload(source, PATH).result(LONGEST),
    "upload_many": lambda client, source: [outcome.result() for _, outcome in client.upload_many([(source, PATH)])],
    "upload to what shall be free": lambda client, source: client.upload(source, PATH, overwrite=False),
    "copy": lambda client, source: client.copy("/night/first", PATH),
}
STALLED: dict[str, Act] = {
    "a part": acts.keep_a_part(lambda exchange: exchange.stall()),
    "nothing yet": lambda exchange: exchange.stall(),
}


@pytest.fixture
def direct(open_door: Open) -> Door:
    """A door that renames nothing."""
    door = open_door(folders={"/night"})
    door.fault("MOVE", acts.status(403))
    return door


@pytest.mark.parametrize("left", STALLED)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_stored_while_a_part_under_its_name_is_removed_stays(
    way: str, left: str, direct: Door, client_of: Client, source: Path, payload: bytes
) -> None:
    client = client_of(direct, timeout=LONGEST)
    client.upload(source, "/night/first")
    begun = len(direct.requests("PUT"))
    direct.fault("PUT", STALLED[left], times=1)
    direct.fault("DELETE", removal := Held(delete), times=1)
    future = client.begin_upload(source, PATH)
    children.wait_until(lambda: len(direct.requests("PUT")) > begun and (left != "a part" or PATH in direct.files))
    cancel(future)
    threading.Timer(REMOVAL_SECONDS, removal.may.set).start()
    WAYS[way](client, source)
    client.close()

    assert direct.files[PATH] == payload


def test_another_client_of_the_same_place_waits_likewise(
    direct: Door, client_of: Client, source: Path, payload: bytes
) -> None:
    first, second = client_of(direct, timeout=LONGEST), client_of(direct, timeout=LONGEST)
    for client in (first, second):
        client.upload(source, "/night/first")
    direct.fault("PUT", STALLED["a part"], times=1)
    direct.fault("DELETE", removal := Held(delete), times=1)
    future = first.begin_upload(source, PATH)
    children.wait_until(lambda: PATH in direct.files)
    cancel(future)
    threading.Timer(REMOVAL_SECONDS, removal.may.set).start()
    second.upload(source, PATH)
    first.close()

    assert direct.files[PATH] == payload


def test_who_waits_for_a_removal_can_be_cancelled(direct: Door, client_of: Client, source: Path) -> None:
    client = client_of(direct, timeout=LONGEST)
    client.upload(source, "/night/first")
    direct.fault("PUT", STALLED["a part"], times=1)
    direct.fault("DELETE", removal := Held(delete), times=1)
    future = client.begin_upload(source, PATH)
    children.wait_until(lambda: PATH in direct.files)
    cancel(future)
    begun = len(direct.requests("PUT"))
    cancel(client.begin_upload(source, PATH))
    removal.may.set()
    client.close()

    assert len(direct.requests("PUT")) == begun
    assert PATH not in direct.files


def test_a_rename_that_has_not_begun_does_not_begin_any_more(open_door: Open, client_of: Client, source: Path) -> None:
    door = open_door(folders={"/night"})
    client, may = client_of(door, timeout=LONGEST), threading.Event()
    holding = [in_thread(lambda: may.wait(LONGEST)) for _ in range(tasks.BLOCKING_THREADS)]
    future = client.begin_upload(source, PATH)
    children.wait_until(lambda: door.requests("PUT") and not tasks._threads._work.empty())
    cancel(future)
    may.set()
    client.close()
    for one in holding:
        one.result(LONGEST)

    assert door.requests("MOVE") == []
    assert door.files == {}


def test_close_waits_for_nothing_in_the_thread_that_drives_all_transfers(
    open_door: Open, client_of: Client, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "PATIENCE", LONGEST)
    door = open_door(folders={"/night"})
    door.fault("PUT", STALLED["a part"], times=1)
    door.fault("DELETE", removal := Held(delete), times=1)
    client, closed, took = client_of(door, timeout=LONGEST), threading.Event(), [LONGEST]

    def close(_: object) -> None:
        begun = time.monotonic()
        client.close()
        took[:] = [time.monotonic() - begun]
        closed.set()

    future = client.begin_upload(source, PATH)
    future.add_done_callback(close)
    children.wait_until(lambda: door.files)
    cancel(future)
    in_time = closed.wait(SOON)
    removal.may.set()

    assert in_time
    assert took[0] < SOON


def test_a_direct_upload_ends_at_once_also_while_nobody_can_be_asked_anything(
    direct: Door, client_of: Client, source: Path
) -> None:
    client, may = client_of(direct, timeout=LONGEST), threading.Event()
    client.upload(source, "/night/first")
    direct.fault("PUT", STALLED["a part"], times=1)
    direct.fault("DELETE", removal := Held(delete), times=1)
    future = client.begin_upload(source, PATH)
    children.wait_until(lambda: PATH in direct.files)
    asking = [in_thread(lambda: may.wait(LONGEST), asks=True) for _ in range(tasks.BLOCKING_THREADS)]
    cancel(future)
    may.set()
    removal.may.set()
    for question in asking:
        question.result(LONGEST)


def test_close_closes_what_it_can_when_it_is_interrupted(
    direct: Door, client_of: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, closed = client_of(direct), []
    context = client._transfers
    for one in (context.backend, context.cleaner):
        monkeypatch.setattr(one, "close", lambda one=one: closed.append(one))

    def interrupt(self: background.Background) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(background.Background, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            client.close()

    assert closed == [context.backend, context.cleaner]

"""Connections that were good and are dead when they are used again."""

import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ctadata_providers import CtaClient, TransientError
from tests.faults import acts
from tests.faults.copied import COPY, PATH, Pair, pair
from tests.faults.scripted import RIGHT, Act, Door, Exchange

__all__ = ["pair"]

Open = Callable[..., Door]
Client = Callable[..., CtaClient]
FILES = {f"/tree/{number}": b"x" * 1000 for number in range(40)}


def once_a_connection(act: Act) -> Act:
    """Act rightly, but die at the second request of a connection, as a door behind a balancer that restarts."""

    def once(exchange: Exchange) -> None:
        if exchange.number > 1:
            exchange.reset()
        act(exchange)

    return once


def copy_inside(exchange: Exchange) -> None:
    target = unquote(urlsplit(exchange.asked.headers["destination"]).path)
    exchange.door.files[target] = exchange.door.files[exchange.asked.path]
    exchange.answer(201)


@pytest.fixture
def idle(open_door: Open, client_of: Client, tmp_path: Path) -> tuple[Door, CtaClient]:
    """A client with a dozen idle connections to a door, all of which die when they are used."""
    door = open_door(files=dict(FILES))
    client = client_of(door, retries=1, max_parallel=12)
    together = threading.Barrier(12)

    def at_once(exchange: Exchange) -> None:
        together.wait(10)
        RIGHT["GET"](exchange)

    door.fault("GET", at_once, times=12)
    client.download_tree("/tree", tmp_path / "tree")
    for method in ("GET", "PUT"):
        door.fault(method, once_a_connection(RIGHT[method]))
    return door, client


def test_a_download_over_dead_connections_needs_no_retry(idle: tuple[Door, CtaClient], tmp_path: Path) -> None:
    _, client = idle

    result = client.download("/tree/1", tmp_path / "again")

    assert result.retries == 0
    assert (tmp_path / "again").read_bytes() == FILES["/tree/1"]


def test_an_upload_over_dead_connections_needs_no_retry(idle: tuple[Door, CtaClient], tmp_path: Path) -> None:
    door, client = idle

    result = client.upload(tmp_path / "tree" / "1", "/new")

    assert result.retries == 0
    assert door.files["/new"] == FILES["/tree/1"]


def test_a_silent_server_is_not_asked_again_at_once_on_a_kept_connection(open_door: Open, client_of: Client) -> None:
    door = open_door(files={"/x": b"x"})
    client = client_of(door, retries=0, timeout=0.1)
    client.checksum("/x")  # by reading it: a connection stays
    door.fault("GET", acts.stall_after(None))

    with pytest.raises(TransientError):
        client.checksum("/x")

    assert len(door.requests("GET")) == 2


def test_a_copy_from_door_to_door_is_not_sent_again_when_a_kept_connection_has_died(pair: Pair) -> None:
    pair.target.fault("COPY", once_a_connection(pair.pulls()))
    results = [pair.copy() for _ in range(3)]

    assert [(result.way, result.retries) for result in results] == [("pull", 0)] * 3
    assert len(pair.target.requests("COPY")) == 3


def test_a_copy_inside_a_server_is_not_sent_again_when_a_kept_connection_has_died(
    open_door: Open, client_of: Client
) -> None:
    door = open_door(files={PATH: b"x"}, folders={"/copies"})
    client = client_of(door)
    door.fault("COPY", once_a_connection(copy_inside))
    results = [client.copy(PATH, COPY) for _ in range(3)]

    assert [(result.way, result.retries) for result in results] == [("server", 0)] * 3
    assert len(door.requests("COPY")) == 3

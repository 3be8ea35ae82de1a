"""Streams between the data centre and other storages that are killed, held up, or huge."""

import signal
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk.io.store import _STORE_CACHE, attach
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.transfers import streams

from ctadata_providers.testing import FakeCta
from tests.airflow.forgetful import Forgetful
from tests.airflow.shelf import LARGE, Shelf, give, run, take

pytestmark = pytest.mark.filterwarnings("ignore:UPath 'forgetful' filesystem not explicitly implemented")


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that lets Airflow kill an operator from now on, once, and waits until all are told."""
    before = signal.getsignal(signal.SIGUSR1)
    main = threading.main_thread().ident
    assert main is not None
    killed = threading.Event()

    def kill_with(operator: Any) -> Any:
        signal.signal(signal.SIGUSR1, lambda number, frame: operator.on_kill())
        each, stops = operator._each, []

        def remembering(work: Any, items: Any) -> Any:
            def doing(item: Any, stop: threading.Event) -> Any:
                stops.append(stop)
                return work(item, stop)

            return each(doing, items)

        monkeypatch.setattr(operator, "_each", remembering)

        def kill() -> None:
            if not killed.is_set():
                killed.set()
                signal.pthread_kill(main, signal.SIGUSR1)
            assert stops[0].wait(20), "nobody was told"  # else all bytes may have passed before it is noticed

        return kill

    yield kill_with
    signal.signal(signal.SIGUSR1, before)


def test_on_kill_discards_what_was_given_so_far(
    shelf: Shelf, cta_default: FakeCta, kills: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cta_default.put("/lst/a", LARGE)
    operator = give("lst/a", "memory://box/a")
    monkeypatch.setattr(Shelf, "on_write", staticmethod(kills(operator)))
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt, match="give was killed"):
        run(operator)

    assert time.monotonic() - begun < 10
    assert shelf.find("/") == []


def test_on_kill_leaves_nothing_partial_at_the_data_centre(
    shelf: Shelf, cta_default: FakeCta, kills: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.pipe({f"/box/{number}": LARGE for number in range(3)})
    operator = take("memory://box/*", "lst/a/")
    kill, reading = kills(operator), streams._Reading.read

    def read(self: Any, size: int = -1) -> bytes:
        if self._file.tell() > 1_000_000:
            kill()
        return reading(self, size)

    monkeypatch.setattr(streams._Reading, "read", read)
    with pytest.raises(KeyboardInterrupt, match="take was killed"):
        run(operator)
    deadline = time.monotonic() + 10
    while cta_default.paths() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert cta_default.paths() == []


def test_a_kill_while_files_are_given_out_ends_all_of_them() -> None:
    stop = threading.Event()

    def files() -> Iterator[str]:
        yield "begun"
        raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        streams.each(lambda _: stop.wait(15), files(), stop)  # type: ignore[arg-type]  # a list is never interrupted

    assert time.monotonic() - begun < 10
    assert stop.is_set()


def test_a_kill_while_a_thread_begins_leaves_it_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    start, started, done = threading.Thread.start, [], []

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        streams.each(done.append, ["a"], threading.Event())
    for thread in started:
        thread.join(10)

    assert started
    assert done == []


def test_a_storage_that_takes_bytes_slowly_holds_up_no_other_transfer(
    shelf: Shelf, cta_default: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The shelf takes its first bytes only when another download of this process has ended."""
    cta_default.put("/lst/slow", LARGE)
    cta_default.put("/lst/other", LARGE)
    monkeypatch.setattr(streams, "_PIECES", 2)
    begun, ended, waited = threading.Event(), threading.Event(), []

    def wait() -> None:
        begun.set()
        waited.append(ended.wait(20))

    monkeypatch.setattr(Shelf, "on_write", staticmethod(wait))

    def download() -> None:
        begun.wait(20)
        with CtaHook().client() as client:
            client.download("lst/other", tmp_path / "other")
        ended.set()

    other = threading.Thread(target=download)
    other.start()
    run(give("lst/slow", "memory://box/slow"))
    other.join()

    assert waited
    assert all(waited)
    assert shelf.cat_file("/box/slow") == LARGE
    assert (tmp_path / "other").read_bytes() == LARGE


def test_a_pipe_says_when_it_is_full_and_when_there_is_room_again() -> None:
    pipe, piece = streams.Pipe(threading.Event()), bytes(streams._PIECE)

    def fill() -> Any:
        while (room := pipe.room()) is None:
            pipe(piece)
        return room

    room, pieces, taken = fill(), iter(pipe), 0
    while not room.done():
        taken += len(next(pieces)) // len(piece)
    full = fill()
    pipe.close()

    assert 0 < taken < streams._PIECES
    assert full.done(), "nobody waits for a pipe that is closed"
    assert pipe.room() is None


def test_memory_does_not_grow_with_the_file(cta_default: FakeCta, tmp_path: Path) -> None:
    fsspec.register_implementation("forgetful", Forgetful, clobber=True)
    attach("forgetful", fs=Forgetful(64_000_000))
    cta_default.put("/lst/large", bytes(64_000_000))
    for operator in (give("lst/large", "forgetful://box/new"), take("forgetful://box/file", "lst/new")):
        tracemalloc.start()
        run(operator)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert peak < 48_000_000
    _STORE_CACHE.clear()


def test_a_pipe_gives_nothing_more_when_all_is_to_end() -> None:
    stop = threading.Event()
    pipe = streams.Pipe(stop)
    pipe(bytes(streams._PIECE))
    pipe.end()
    stop.set()

    with pytest.raises(streams.StoppedError):
        next(iter(pipe))

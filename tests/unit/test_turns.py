"""Transfers that are begun one by one: how many run, what an upload tells, and the URLs of files."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, NotFoundError, UnsupportedError
from ctadata_providers.session.futures import Future
from ctadata_providers.testing import FakeCta
from ctadata_providers.transfer.context import Places
from ctadata_providers.transfer.turns import Turns


@pytest.fixture
def client(fake_cta: FakeCta) -> Iterator[CtaClient]:
    with CtaClient(**fake_cta.settings(), max_parallel=2) as opened:
        yield opened


class Works:
    """Transfers that end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[Future[int]] = []
        self.changed = threading.Condition()

    def start(self) -> Future[int]:
        with self.changed:
            self.begun.append(Future())
            self.changed.notify_all()
            return self.begun[-1]

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) >= count, timeout=20)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_turns_of_its_own() -> None:
    turns, places, works = Turns(), Places(), Works()
    running = turns.begin(works.start, limit=1)
    waiting = turns.begin(works.start, limit=1)
    works.wait_for(1)
    places.take()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            ended: Future[int] = Future()
            ended.set_result(7)
            os._exit(turns.begin(lambda: ended, limit=1).result() + places.used)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    for count in (1, 2):
        works.wait_for(count)
        works.begun[count - 1].set_result(count)

    assert os.waitstatus_to_exitcode(status) == 7
    assert (running.result(20), waiting.result(20)) == (1, 2)


def test_only_so_many_run_at_once_and_the_next_begins_when_one_ends() -> None:
    turns, works = Turns(), Works()
    outcomes = [turns.begin(works.start, limit=2) for _ in range(4)]
    works.wait_for(2)

    assert len(works.begun) == 2
    works.begun[1].set_result(7)
    works.wait_for(3)

    assert outcomes[1].result(timeout=20) == 7
    assert len(works.begun) == 3
    works.begun[0].set_exception(ValueError("no"))
    works.wait_for(4)

    assert isinstance(outcomes[0].exception(timeout=20), ValueError)


def test_one_that_waits_is_cancelled_at_once_and_never_begun() -> None:
    turns, works = Turns(), Works()
    first, second, third = (turns.begin(works.start, limit=1) for _ in range(3))
    works.wait_for(1)

    assert second.cancel()
    with pytest.raises(CancelledError):
        second.result(timeout=20)
    works.begun[0].set_result(1)
    works.wait_for(2)
    works.begun[1].set_result(2)

    assert (first.result(timeout=20), third.result(timeout=20)) == (1, 2)
    assert len(works.begun) == 2


def test_what_cannot_begin_is_its_outcome_and_thousands_of_them_need_no_stack() -> None:
    def fail() -> Future[int]:
        raise ValueError("no")

    turns = Turns()
    outcomes = [turns.begin(fail, limit=1) for _ in range(3000)]

    assert all(isinstance(outcome.exception(timeout=20), ValueError) for outcome in outcomes)


def test_files_come_and_go_and_an_upload_tells_what_is_stored(
    client: CtaClient, fake_cta: FakeCta, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"content")
    stored = client.begin_upload(tmp_path / "a", "lst/new/a").result(timeout=20).stored

    assert stored == replace(client.stat("lst/new/a"), etag=None)
    downloads = [client.begin_download(stored, tmp_path / "copies" / str(number)) for number in range(20)]
    for download in downloads:
        download.result(timeout=20)
    assert {path.read_bytes() for path in (tmp_path / "copies").iterdir()} == {b"content"}


def test_a_stopped_download_leaves_nothing_under_its_name(client: CtaClient, fake_cta: FakeCta, tmp_path: Path) -> None:
    fake_cta.put("/lst/large", bytes(50_000_000))
    begun = threading.Event()
    download = client.begin_download(client.stat("lst/large"), tmp_path / "large", progress=lambda _: begun.set())
    assert begun.wait(timeout=20)
    download.cancel()

    with pytest.raises(CancelledError):
        download.result(timeout=20)
    assert not (tmp_path / "large").exists()


def test_errors_are_those_of_a_transfer(client: CtaClient, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        client.begin_upload(tmp_path / "nothing", "lst/a").result(timeout=20)


def test_a_url_names_the_file_at_the_door_and_holds_no_credential(client: CtaClient, fake_cta: FakeCta) -> None:
    assert client.url("cta://lst/a b#c.fits") == f"{fake_cta.door_url}/lst/a%20b%23c.fits"
    with pytest.raises(UnsupportedError):
        CtaClient(backend="memory").url("lst/a")


def test_a_browser_is_sent_to_the_door_whose_settings_alone_tell_where(client: CtaClient, fake_cta: FakeCta) -> None:
    asked = len(fake_cta.requests)

    assert client.browser_url("cta://lst/a b#c?.fits") == f"{fake_cta.door_url}/lst/a%20b%23c%3F.fits"
    assert client.browser_url("lst/DL3/") == f"{fake_cta.door_url}/lst/DL3/"
    assert client.browser_url("/") == f"{fake_cta.door_url}/"
    assert len(fake_cta.requests) == asked
    with pytest.raises(UnsupportedError):
        CtaClient(backend="memory").browser_url("lst/a")

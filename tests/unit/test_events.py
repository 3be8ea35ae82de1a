"""What happens to a transfer is told, in order, and who is told harms nothing."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, CtaClient, NotFoundError, TransferEvent, TransientError
from ctadata_providers.testing import FakeCta

SMALL, LARGE = b"x" * 1000, b"y" * 3_000_000


@pytest.fixture
def told() -> list[TransferEvent]:
    return []


@pytest.fixture
def client(fake_cta: FakeCta, told: list[TransferEvent], monkeypatch: pytest.MonkeyPatch) -> Iterator[CtaClient]:
    monkeypatch.setattr("ctadata_providers.transfer.events.PROGRESS_SECONDS", 0.0)
    settings: dict[str, Any] = {**fake_cta.settings(), "retries": 1, "on_event": told.append}
    with CtaClient(Config(**settings)) as opened:
        yield opened


def kinds(told: list[TransferEvent], path: str) -> list[str]:
    return [event.kind for event in told if event.path == path]


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_a_download_tells_its_start_its_bytes_and_its_end(
    fake_cta: FakeCta, client: CtaClient, told: list[TransferEvent], tmp_path: Path, content: bytes
) -> None:
    fake_cta.put("/lst/f", content)
    result = client.download("lst/f", tmp_path / "f")
    first, *between, last = told

    assert (first.kind, first.act, first.path, first.local) == ("start", "download", "/lst/f", tmp_path / "f")
    assert first.size == last.moved == len(content)
    assert {event.kind for event in between} == {"progress"}
    assert sorted(event.moved for event in between) == [event.moved for event in between]
    assert (last.kind, last.result) == ("done", result)


def test_an_upload_tells_the_same(client: CtaClient, told: list[TransferEvent], tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(LARGE)
    result = client.upload(tmp_path / "f", "lst/f")

    assert (told[0].kind, told[0].act) == ("start", "upload")
    assert (told[-1].kind, told[-1].moved, told[-1].result) == ("done", len(LARGE), result)


def test_bytes_that_are_stored_tell_the_same(client: CtaClient, told: list[TransferEvent]) -> None:
    result = client.write("lst/f", LARGE)
    list(client.write_many([("lst/g", SMALL)]))

    assert (told[0].kind, told[0].act, told[0].local) == ("start", "upload", None)
    assert kinds(told, "/lst/f")[-1] == kinds(told, "/lst/g")[-1] == "done"
    assert (told[-1].moved, [event.result for event in told if event.path == "/lst/f"][-1]) == (len(SMALL), result)


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_a_transfer_that_ends_by_an_error_of_the_caller_has_failed(
    fake_cta: FakeCta, client: CtaClient, told: list[TransferEvent], tmp_path: Path, content: bytes
) -> None:
    def progress(count: int) -> None:
        raise ZeroDivisionError

    fake_cta.put("/lst/n/f", content)
    with pytest.raises(ZeroDivisionError):
        client.download_tree("lst/n", tmp_path / "n", progress=progress)

    assert (told[0].kind, told[-1].kind) == ("start", "failed")


def test_a_tree_tells_of_each_file(
    fake_cta: FakeCta, client: CtaClient, told: list[TransferEvent], tmp_path: Path
) -> None:
    for number in range(20):
        fake_cta.put(f"/lst/n/{number}", SMALL)
    client.download_tree("lst/n", tmp_path / "n")
    down = list(told)
    told.clear()
    client.upload_tree(tmp_path / "n", "lst/m")

    for number in range(20):
        assert kinds(down, f"/lst/n/{number}")[0] == kinds(told, f"/lst/m/{number}")[0] == "start"
        assert kinds(down, f"/lst/n/{number}")[-1] == kinds(told, f"/lst/m/{number}")[-1] == "done"
    assert sum(event.kind == "done" for event in down) == sum(event.kind == "done" for event in told) == 20


def test_a_retry_tells_why_and_when(
    fake_cta: FakeCta, client: CtaClient, told: list[TransferEvent], tmp_path: Path
) -> None:
    fake_cta.put("/lst/f", SMALL)
    fake_cta.faults.add("unavailable", path="/lst/f", method="GET", times=1, retry_after=0)
    client.download("lst/f", tmp_path / "f")
    retry = next(event for event in told if event.kind == "retry")

    assert isinstance(retry.error, TransientError)
    assert retry.error.status == 503
    assert retry.delay is not None
    assert kinds(told, "/lst/f")[-1] == "done"


def test_a_failure_is_told_with_its_error(
    fake_cta: FakeCta, client: CtaClient, told: list[TransferEvent], tmp_path: Path
) -> None:
    fake_cta.put("/lst/f", SMALL)
    fake_cta.faults.add("not-found", path="/lst/f", method="GET")
    with pytest.raises(NotFoundError) as caught:
        client.download("lst/f", tmp_path / "f")

    assert told[-1].kind == "failed"
    assert told[-1].error is caught.value


def test_what_the_listener_raises_is_logged_and_harms_no_transfer(
    fake_cta: FakeCta, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: TransferEvent) -> None:
        raise ValueError(event.kind)

    fake_cta.put("/lst/f", SMALL)
    settings: dict[str, Any] = {**fake_cta.settings(), "on_event": fail}
    with caplog.at_level(logging.ERROR), CtaClient(Config(**settings)) as client:
        client.download("lst/f", tmp_path / "f")

    assert (tmp_path / "f").read_bytes() == SMALL
    assert "on_event failed for start of /lst/f" in caplog.text

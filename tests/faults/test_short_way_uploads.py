"""Small files of trees are uploaded a short way; whatever happens on it, they end as on the long one."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import closing
from pathlib import Path

import pytest

from ctadata_providers import (
    CtaClient,
    NotFoundError,
    PermissionDeniedError,
)
from ctadata_providers.transfer import begin_upload, tidying
from ctadata_providers.transfer.local import small_content
from tests.faults import acts, children
from tests.faults.scripted import Act, Door, Exchange, delete, put
from tests.faults.short_way import FILES, NAMES, VICTIM

Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "sent"
    folder.mkdir()
    for path, data in FILES.items():
        (folder / path.rpartition("/")[2]).write_bytes(data)
    return folder


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
    client = client_of(door)
    with closing(client.upload_many(pairs)) as outcomes:
        _, outcome = next(outcomes)
        while len(door.requests(method)) < 4:
            time.sleep(0.005)
    client.close()

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


def test_a_refusal_that_was_lost_with_the_connection_is_told_when_it_is_asked_for(
    open_door: Open, client_of: Client, local: Path
) -> None:
    door = open_door(folders={"/night"})
    door.fault("PUT", put, times=1)
    door.fault("PUT", acts.lose_refusal(403))
    result = client_of(door, retries=0, max_parallel=1).upload_tree(local, "night", on_error="continue")

    assert len(door.files) == 1
    assert {type(failure.error) for failure in result.failures} == {PermissionDeniedError}


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


def test_what_the_callers_progress_raises_leaves_nothing_new_on_the_server(
    open_door: Open, client_of: Client, local: Path, clean_environment: Path
) -> None:
    def stop(count: int) -> None:
        raise ValueError("enough")

    door = open_door(folders={"/night"})
    client = client_of(door, max_parallel=1)
    client.upload_tree(local, "night/first")
    door.files.clear()
    with pytest.raises(ValueError, match="enough"):
        client.upload_tree(local, "night/second", progress=stop)
    client.close()

    assert door.files == {}
    assert not list(clean_environment.rglob("*.json"))


def test_progress_of_files_that_are_replaced_sums_up_to_their_bytes(
    open_door: Open, client_of: Client, local: Path
) -> None:
    door = open_door(files=dict.fromkeys(FILES, b"old"), folders={"/night"})
    seen: list[int] = []
    client_of(door).upload_tree(local, "night", progress=seen.append)

    assert door.files == FILES
    assert sum(seen) == sum(map(len, FILES.values()))


def test_an_upload_that_is_stopped_on_the_long_way_waits_for_one_moment_only(
    open_door: Open, client_of: Client, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "MOMENT", 2.0)
    door = open_door(files={VICTIM: b"old"}, folders={"/night"})
    context, small = client_of(door, timeout=20.0)._transfers, local / VICTIM.rpartition("/")[2]
    door.fault("PUT", put, times=1)
    door.fault("PUT", acts.stall_after(None))
    door.fault("DELETE", delete, times=1)  # of what the short way has left, by the long way
    door.fault("DELETE", acts.stall_after(None))
    future = context.turns.begin(lambda: begin_upload(context, small, VICTIM), limit=1)
    children.wait_until(lambda: len(door.requests("PUT")) == 2)
    begun = time.monotonic()
    future.cancel()
    with pytest.raises(CancelledError):
        future.result(20)

    assert time.monotonic() - begun < 3.5

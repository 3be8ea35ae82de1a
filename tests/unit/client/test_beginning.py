"""Transfers that are begun and awaited in asyncio."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import (
    AlreadyExistsError,
    ConfigError,
    CtaClient,
    IsADirError,
    NotFoundError,
)
from ctadata_providers.testing import FakeCta
from tests.unit.client.calls import connect

PATIENCE = 20.0
Begin = Callable[[CtaClient, Path], Any]


def in_time(main: Any) -> Any:
    return asyncio.run(asyncio.wait_for(main, PATIENCE))


def test_files_go_up_across_and_down_in_one_thread(fake_cta: FakeCta, client: CtaClient, local: Path) -> None:
    async def main() -> tuple[str, str, int]:
        up = await client.begin_upload(local / "sent", "lst/a")
        over = await client.begin_copy("lst/a", "lst/b")
        down = await client.begin_download("cta://lst/b", local / "got")
        return up.path, over.path, down.size

    assert in_time(main()) == ("/lst/a", "/lst/b", 5)
    assert (local / "got").read_bytes() == b"12345"


def test_many_downloads_need_no_thread_each(fake_cta: FakeCta, client: CtaClient, local: Path) -> None:
    for number in range(100):
        fake_cta.put(f"/lst/{number}", b"x" * number)
    infos = sorted(client.list_dir("lst"), key=lambda info: info.size or 0)
    fake_cta.faults.add("slow-redirect", method="GET", seconds=0.05)

    async def main() -> list[int]:
        futures = [client.begin_download(info, local / info.name) for info in infos]
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("ctadata")]
        assert len(threads) < 60
        return [result.size for result in await asyncio.gather(*futures)]

    assert in_time(main()) == list(range(100))


def test_bytes_are_given_on_as_they_come(fake_cta: FakeCta, client: CtaClient) -> None:
    fake_cta.put("/lst/a", b"12345" * 10_000)
    given = bytearray()

    async def main() -> tuple[int, bool]:
        done = await client.begin_stream("lst/a", given.extend)
        return done.size, done.verified

    assert in_time(main()) == (len(given), True)
    assert given == fake_cta.get("/lst/a")


def test_so_many_run_at_once_as_the_settings_say(fake_cta: FakeCta, local: Path) -> None:
    for number in range(6):
        fake_cta.put(f"/lst/{number}", bytes(1 << 20))
    fault = fake_cta.faults.add("stall", method="GET")

    async def main(client: CtaClient) -> None:
        futures = [client.begin_download(f"lst/{number}", local / str(number)) for number in range(6)]
        tasks = [asyncio.ensure_future(future) for future in futures]
        while fault.hits < 2 or len(client._transfers.turns._waiting) < 4:
            await asyncio.sleep(0.01)  # other threads come to a point that only polling shows
        assert fault.hits == 2  # later one may have its turn between the end of another and its own
        for task in tasks:
            task.cancel()
        assert await asyncio.gather(*tasks, return_exceptions=True)
        assert all(future.done() for future in futures)

    with connect(fake_cta, max_parallel=2) as client:
        in_time(main(client))

    assert [path.name for path in local.iterdir()] == ["sent"]


@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        (lambda client, local: client.begin_download("lst/none", local / "x"), NotFoundError),
        (lambda client, local: client.begin_download("lst/a", f"{local}/"), IsADirError),
        (lambda client, local: client.begin_download("lst/a/", local / "x"), IsADirError),
        (lambda client, local: client.begin_download("lst/../a", local / "x"), ConfigError),
        (lambda client, local: client.begin_download(client.stat("lst"), local / "x"), IsADirError),
        (lambda client, local: client.begin_upload(local / "none", "lst/x"), NotFoundError),
        (lambda client, local: client.begin_upload(local / "sent", "lst/a", overwrite=False), AlreadyExistsError),
        (lambda client, local: client.begin_upload(local / "sent", "lst/"), IsADirError),
        (lambda client, local: client.begin_copy("lst/none", "lst/x"), NotFoundError),
        (lambda client, local: client.begin_stream("lst/none", bytes), NotFoundError),
        (lambda client, local: client.begin_stream(client.stat("lst"), bytes), IsADirError),
        (lambda client, local: client.begin_copy("lst/a", "lst/"), IsADirError),
        (lambda client, local: client.begin_copy("lst/a", "lst/b", info=client.stat("lst")), ConfigError),
    ],
)
def test_errors_come_where_it_is_awaited(
    begin: Begin, kind: type[Exception], fake_cta: FakeCta, client: CtaClient, local: Path
) -> None:
    fake_cta.put("/lst/a", b"a")
    future = begin(client, local)

    async def main() -> None:
        await future

    with pytest.raises(kind):
        in_time(main())


def test_a_cancelled_download_leaves_nothing(fake_cta: FakeCta, client: CtaClient, local: Path) -> None:
    fake_cta.put("/lst/big", bytes(1 << 20))
    fake_cta.faults.add("slow", path="/lst/big", method="GET")

    async def main() -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        future = client.begin_download(
            "lst/big", local / "big", progress=lambda count: loop.call_soon_threadsafe(begun.set)
        )
        task = asyncio.ensure_future(future)
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert future.done()

    in_time(main())

    assert [path.name for path in local.iterdir()] == ["sent"]


def test_a_download_that_is_cancelled_elsewhere_cancels_the_task(
    fake_cta: FakeCta, client: CtaClient, local: Path
) -> None:
    fake_cta.put("/lst/big", bytes(1 << 20))
    fault = fake_cta.faults.add("stall", path="/lst/big", method="GET")

    async def main() -> None:
        future = client.begin_download("lst/big", local / "big")
        task = asyncio.ensure_future(future)
        while not fault.hits:
            await asyncio.sleep(0.01)  # another thread comes to a point that only polling shows
        threading.Thread(target=future.cancel).start()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_time(main())

    assert [path.name for path in local.iterdir()] == ["sent"]


def test_a_pipe_that_gives_nothing_yet_holds_up_no_other_transfer(
    fake_cta: FakeCta, client: CtaClient, local: Path
) -> None:
    fake_cta.put("/lst/a", b"a")
    pipes = [local / "pipe", local / "other"]
    for pipe in pipes:
        os.mkfifo(pipe)
    up, given_up = (client.begin_upload(pipe, f"lst/{pipe.name}") for pipe in pipes)
    down = client.begin_download("lst/a", local / "a")

    assert down.result(10).size == 1
    assert not up.done()

    given_up.cancel()
    pipes[0].write_bytes(b"from elsewhere")

    assert up.result(10).size == 14
    with pytest.raises(CancelledError):
        given_up.result(10)
    with suppress(OSError):  # lets its thread go, if there is one already
        os.close(os.open(pipes[1], os.O_WRONLY | os.O_NONBLOCK))
    assert fake_cta.get("/lst/pipe") == b"from elsewhere"
    assert fake_cta.paths() == ["/lst/a", "/lst/pipe"]


def test_a_cancelled_upload_leaves_the_old_file(fake_cta: FakeCta, local: Path) -> None:
    fake_cta.put("/lst/big", b"old")
    (local / "big").write_bytes(bytes(1 << 22))
    fault = fake_cta.faults.add("slow", path="/lst/*", method="PUT")

    async def main(client: CtaClient) -> None:
        task = asyncio.ensure_future(client.begin_upload(local / "big", "lst/big"))
        while not fault.hits:
            await asyncio.sleep(0.01)  # as above
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with connect(fake_cta) as client:
        in_time(main(client))

    assert fake_cta.get("/lst/big") == b"old"
    assert fake_cta.paths() == ["/lst/big"]


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

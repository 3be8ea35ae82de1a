"""How files move in a whole workflow: several at once, stopped by Ctrl-C, and never in Snakemake's event loop."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from snakemake_storage_plugin_cta import StorageObject, StorageProvider

from ctadata_providers import CtaClient, FileInfo
from ctadata_providers.testing import FakeCta
from tests.snakemake.conftest import Workdir

PATIENCE = 2.0
SNAKEMAKES_OWN = 3.0
"""Seconds in which Snakemake itself comes to its end, on a machine that does other things, too."""
SLOWLY = ("--storage-cta-limit-rate", "100k")


def interrupt(process: subprocess.Popen[str]) -> tuple[float, str]:
    """Press Ctrl-C, as a terminal sends it to a whole group; return the seconds until the end, and what was said."""
    pressed = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    return time.monotonic() - pressed, text


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.01)


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.ctapart") if path.stat().st_size]


def test_ctrl_c_stops_downloads_and_leaves_nothing_partial(workdir: Workdir, fake_cta: FakeCta) -> None:
    for number in range(6):
        fake_cta.put(f"/lst/{number}.bin", bytes(5_000_000))
    workdir.write("""
rule all:
    input: storage.cta(expand("cta://lst/{n}.bin", n=range(6)))
    output: "done"
    shell: "touch {output}"
""")
    process = workdir.start(*SLOWLY)
    wait_until(lambda: len(parts(workdir.copies)) > 1)
    seconds, text = interrupt(process)

    assert seconds < PATIENCE + SNAKEMAKES_OWN
    assert process.returncode != 0, text
    assert "Terminating processes on user request" in text
    assert list(workdir.copies.rglob("*.bin")) == []
    assert not (workdir.path / "done").exists()


def test_what_has_come_of_a_large_input_is_not_fetched_again_after_ctrl_c(workdir: Workdir, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/large.bin", bytes(6_000_000))
    workdir.write("""
rule all:
    input: storage.cta("cta://lst/large.bin")
    output: "done"
    shell: "cp {input} {output}"
""")
    process = workdir.start("--storage-cta-limit-rate", "2M")
    wait_until(lambda: sum(part.stat().st_size for part in parts(workdir.copies)) > 2_000_000)
    _, text = interrupt(process)
    (there,) = [part.stat().st_size for part in parts(workdir.copies) if ".json." not in part.name]
    fake_cta.clear_requests()
    again, _ = workdir.start().communicate(timeout=60)

    assert (workdir.path / "done").stat().st_size == 6_000_000, text + again
    assert f"bytes={there}-" in str([one.headers.get("range") for one in fake_cta.requests if one.method == "GET"])
    assert list(workdir.copies.rglob("*.ctapart")) == []


@pytest.mark.parametrize(
    ("output", "command"),
    [
        ('"cta://lst/users/out.bin"', "head -c 5000000 /dev/zero > {output}"),
        ('directory("cta://lst/users/folder")', "mkdir {output}; head -c 5000000 /dev/zero > {output}/a"),
    ],
)
def test_ctrl_c_stops_an_upload_and_leaves_nothing_on_the_server(
    workdir: Workdir, fake_cta: FakeCta, output: str, command: str
) -> None:
    workdir.write(f"""
rule all:
    output: storage.cta({output})
    shell: "{command}"
""")
    process = workdir.start(*SLOWLY)
    wait_until(lambda: bool(fake_cta.paths()))
    assert ".ctapart" in fake_cta.paths()[0]
    seconds, text = interrupt(process)

    assert seconds < PATIENCE + SNAKEMAKES_OWN
    assert process.returncode != 0, text
    assert fake_cta.paths() == []


def test_after_ctrl_c_a_slow_server_still_removes_what_was_sent(workdir: Workdir, fake_cta: FakeCta) -> None:
    fake_cta.faults.add("stall", method="DELETE", seconds=0.7)
    workdir.write("""
rule all:
    output: storage.cta("cta://lst/users/out.bin")
    shell: "head -c 5000000 /dev/zero > {output}"
""")
    process = workdir.start(*SLOWLY)
    wait_until(lambda: bool(fake_cta.paths()))
    seconds, text = interrupt(process)

    assert seconds < PATIENCE + SNAKEMAKES_OWN
    assert process.returncode != 0, text
    assert fake_cta.paths() == []


def test_sigterm_lets_an_upload_end_and_then_the_workflow(workdir: Workdir, fake_cta: FakeCta) -> None:
    workdir.write("""
rule all:
    output: storage.cta("cta://lst/users/out.bin")
    shell: "head -c 200000 /dev/zero > {output}"
""")
    process = workdir.start(*SLOWLY)
    wait_until(lambda: bool(fake_cta.paths()))
    process.terminate()
    text, _ = process.communicate(timeout=30)

    assert "Finished upload" in text, text
    assert len(fake_cta.get("/lst/users/out.bin")) == 200_000


def test_ctrl_c_stops_a_folder_and_leaves_nothing_partial(workdir: Workdir, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/folder/a", bytes(5_000_000))
    workdir.write("""
rule all:
    input: storage.cta(directory("cta://lst/folder"))
    output: "done"
    shell: "touch {output}"
""")
    process = workdir.start(*SLOWLY)
    wait_until(lambda: bool(parts(workdir.copies)))
    seconds, text = interrupt(process)

    assert seconds < PATIENCE + SNAKEMAKES_OWN
    assert process.returncode != 0, text
    assert [path for path in workdir.copies.rglob("*") if path.is_file()] == []


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Barrier]:
    """A barrier at which questions to the server wait for each other and for the event loop."""
    barrier = threading.Barrier(2, timeout=20)

    def stat(client: CtaClient, path: str) -> FileInfo:
        barrier.wait()
        return FileInfo(path=path, is_dir=False, size=1)

    monkeypatch.setattr(CtaClient, "stat", stat)
    yield barrier
    barrier.abort()


def test_a_question_does_not_block_the_event_loop(
    make: Callable[[str], StorageObject], met: threading.Barrier, cta_environ: dict[str, str]
) -> None:
    async def ask_and_go_on() -> bool:
        answer = asyncio.create_task(make("cta://lst/a").managed_exists())
        await asyncio.sleep(0)
        await asyncio.to_thread(met.wait)  # were the loop blocked, nobody would come here
        return await answer

    assert asyncio.run(ask_and_go_on())


def test_retrieves_run_at_once_up_to_max_parallel(
    new_provider: Callable[..., StorageProvider], fake_cta: FakeCta, cta_environ: dict[str, str]
) -> None:
    for number in range(12):
        fake_cta.put(f"/lst/{number}", bytes(300_000))
    provider = new_provider(max_parallel=3, limit_rate="1M")
    made = [provider.object(f"cta://lst/{number}") for number in range(12)]
    most = 0

    async def retrieve_all() -> None:
        nonlocal most
        tasks = [asyncio.create_task(one.managed_retrieve()) for one in made]
        while not all(task.done() for task in tasks):
            most = max(most, len(list(provider.local_prefix.rglob("*.ctapart"))))
            await asyncio.sleep(0.005)
        await asyncio.gather(*tasks)

    asyncio.run(retrieve_all())

    assert 1 < most <= 3
    assert all(one.local_path().stat().st_size == 300_000 for one in made)


@pytest.mark.parametrize("act", ["retrieve", "store"])
def test_what_is_cancelled_stops_within_2_seconds_and_leaves_nothing(
    new_provider: Callable[..., StorageProvider], fake_cta: FakeCta, cta_environ: dict[str, str], act: str
) -> None:
    provider = new_provider(limit_rate="100k")
    made = provider.object("cta://lst/large")
    if act == "retrieve":
        fake_cta.put("/lst/large", bytes(20_000_000))
    else:
        made.local_path().parent.mkdir(parents=True)
        made.local_path().write_bytes(bytes(20_000_000))

    async def begin_and_cancel() -> float:
        task = asyncio.create_task(made.managed_retrieve() if act == "retrieve" else made.managed_store())
        while not (parts(provider.local_prefix) if act == "retrieve" else fake_cta.paths()):
            await asyncio.sleep(0.01)
        cancelled = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - cancelled

    assert asyncio.run(asyncio.wait_for(begin_and_cancel(), 20)) < PATIENCE
    assert made.local_path().exists() == (act == "store")
    provider.storage(None)._client.close()  # which waits for the server
    assert fake_cta.paths() == (["/lst/large"] if act == "retrieve" else [])


@pytest.mark.parametrize("act", ["retrieve", "store"])
@pytest.mark.parametrize("name", ["file", "folder/file"])
def test_ctrl_c_that_another_thread_takes_stops_a_transfer_within_2_seconds(
    new_provider: Callable[..., StorageProvider], fake_cta: FakeCta, cta_environ: dict[str, str], act: str, name: str
) -> None:
    provider = new_provider(limit_rate="100k")
    made = provider.object(f"cta://lst/{name.split('/')[0]}")
    if act == "retrieve":
        fake_cta.put(f"/lst/{name}", bytes(1_000_000))
    else:
        local = made.local_path().parent / name
        local.parent.mkdir(parents=True)
        local.write_bytes(bytes(1_000_000))
    pressed: list[float] = []

    def press() -> None:
        wait_until(lambda: bool(parts(provider.local_prefix) if act == "retrieve" else fake_cta.paths()))
        pressed.append(time.monotonic())
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # so that it does not wake the main thread

    async def move() -> None:
        threading.Thread(target=press, daemon=True).start()
        await (made.managed_retrieve() if act == "retrieve" else made.managed_store())

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(move())

    assert time.monotonic() - pressed[0] < PATIENCE
    assert made.local_path().exists() == (act == "store")
    provider.storage(None)._client.close()  # which waits for the server
    assert fake_cta.paths() == ([f"/lst/{name}"] if act == "retrieve" else [])

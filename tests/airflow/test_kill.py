"""What Airflow does to a running task: `on_kill` from a signal handler, and a time-out."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow_provider_cta.operators.cta import CtaDownloadOperator, CtaUploadOperator

from tests.faults.scripted import Door, Exchange, delete
from tests.faults.test_ends import bottomless


@pytest.fixture
def task(small_door: Any, store_connection: Any, tmp_path: Path) -> CtaDownloadOperator:
    """Return a download that stalls half-way, with a part on the disk, and then gives this process a SIGUSR1."""
    store_connection("cta_default", host="http://localhost", port=small_door.server_address[1], extra={"retries": 0})
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        deadline = time.monotonic() + 10
        while not any(tmp_path.glob(".*.ctapart")) and time.monotonic() < deadline:
            time.sleep(0.005)
        signal.pthread_kill(main, signal.SIGUSR1)

    small_door.stall = interrupt
    return CtaDownloadOperator(task_id="get", remote_path="lst/run.fits", local_path=str(tmp_path / "run.fits"))


@pytest.fixture
def on_signal() -> Iterator[Any]:
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda handler: signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR1, before)


def test_on_kill_ends_the_transfer_and_leaves_nothing(task: Any, on_signal: Any, tmp_path: Path) -> None:
    (tmp_path / "run.fits").write_bytes(b"old")
    on_signal(lambda number, frame: task.on_kill())

    with pytest.raises(KeyboardInterrupt, match="get was killed"):
        task.execute({})
    assert [path.name for path in tmp_path.iterdir()] == ["run.fits"]
    assert (tmp_path / "run.fits").read_bytes() == b"old"


def test_on_kill_of_an_upload_lets_a_slow_server_remove_what_was_sent(
    store_connection: Any, on_signal: Any, tmp_path: Path
) -> None:
    started: list[int] = []
    main = threading.get_ident()
    (tmp_path / "run.fits").write_bytes(bytes(50_000_000))

    def late(exchange: Exchange) -> None:
        exchange.door.stopping.wait(0.5)
        delete(exchange)

    def interrupt() -> None:
        deadline = time.monotonic() + 10
        while len(started) < 4 and time.monotonic() < deadline:
            time.sleep(0.005)
        signal.pthread_kill(main, signal.SIGUSR1)

    with Door(tls=False, folders={"/lst"}) as door:
        door.fault("PUT", bottomless(started))
        door.fault("DELETE", late)
        store_connection("cta_default", host="http://localhost", port=door.port)
        task = CtaUploadOperator(task_id="put", local_path=str(tmp_path / "run.fits"), remote_path="lst/run.fits")
        on_signal(lambda number, frame: task.on_kill())
        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt, match="put was killed"):
            task.execute({})

    assert door.files == {}


def test_a_time_out_ends_the_transfer_and_leaves_nothing(task: Any, on_signal: Any, tmp_path: Path) -> None:
    def time_out(number: int, frame: object) -> None:
        raise AirflowTaskTimeout("execution_timeout")

    on_signal(time_out)

    with pytest.raises(AirflowTaskTimeout):
        task.execute({})
    task.on_kill()

    assert list(tmp_path.iterdir()) == []

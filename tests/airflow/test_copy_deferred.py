"""Copies that are killed, left by one process to another, and begun again."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_provider_cta.triggers.copying import CtaCopyTrigger
from airflow_provider_cta.triggers.errors import error_of, failed

from ctadata_providers import AlreadyExistsError, ConfigError, CredentialError, NotFoundError, TransientError
from ctadata_providers.testing import FakeCta
from tests.airflow.copied import (
    DATA,
    PATIENCE,
    again,
    copies,
    copy_of,
    deferred,
    fired,
    in_time,
    store_night,
    wait_until,
)

SLOW: Any = {"server": "pool", "method": "GET", "rate": 100_000}


@pytest.fixture
def site(site: FakeCta, cta_default: FakeCta) -> FakeCta:
    """The other data centre, empty; the first one holds a night of three runs."""
    store_night(cta_default)
    return site


@pytest.fixture
def on_signal() -> Iterator[Any]:
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda handler: signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR1, before)


def test_on_kill_ends_the_copy_of_the_servers_and_leaves_nothing(
    site: FakeCta, cta_default: FakeCta, on_signal: Any
) -> None:
    operator = copy_of("lst/night/run0.fits", "cta://site@lst/run0.fits")
    main = threading.main_thread().ident
    assert main is not None
    on_signal(lambda number, frame: operator.on_kill())

    def kill() -> None:
        wait_until(lambda: site.paths())
        signal.pthread_kill(main, signal.SIGUSR1)

    with cta_default.fault("slow", **SLOW):
        threading.Thread(target=kill).start()
        with pytest.raises(KeyboardInterrupt, match="copy was killed"):
            operator.execute({})

        wait_until(lambda: site.paths() == [])


def test_what_servers_do_not_copy_is_left_to_a_worker_and_passes_no_triggerer(
    site: FakeCta, cta_default: FakeCta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = copy_of(["lst/night/run0.fits", "lst/night/run1.fits"], "cta://site@lst/", deferrable=True)
    trigger = deferred(operator)
    with site.fault("failed-copy", refused=True), cta_default.fault("failed-copy", refused=True):
        with monkeypatch.context() as without:
            without.setattr("tempfile.tempdir", str(tmp_path / "none"))  # whoever spools fails
            event = in_time(fired(trigger))
        result = operator.execute_complete({}, event)

    pairs = [[f"cta://lst/night/run{n}.fits", f"cta://site@lst/run{n}.fits"] for n in range(2)]
    assert event == {"status": "success", "copied": [None, None], "left": pairs}
    assert [one["way"] for one in result] == ["client", "client"]
    assert site.get("/lst/run0.fits") == DATA


def killed_in_mid_copy(trigger: CtaCopyTrigger, site: FakeCta, *, whole: int) -> None:
    """Run a trigger until some files are whole and another one is under way, and end it as a triggerer does."""

    async def scene() -> None:
        running = asyncio.create_task(fired(trigger))
        while len(site.paths()) < whole + 1:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        await trigger.on_kill()
        await trigger.cleanup()

    in_time(scene())


def test_a_deferred_copy_that_is_killed_stops_the_servers_and_leaves_nothing(
    site: FakeCta, cta_default: FakeCta
) -> None:
    trigger = deferred(copy_of("lst/night/*.fits", "cta://site@lst/", deferrable=True))
    with cta_default.fault("slow", **SLOW):
        killed_in_mid_copy(trigger, site, whole=0)

        wait_until(lambda: site.paths() == [])


def test_a_triggerer_that_is_restarted_copies_what_was_not_whole_and_nothing_twice(
    site: FakeCta, cta_default: FakeCta
) -> None:
    operator = copy_of("lst/night/*.fits", "cta://site@lst/", deferrable=True, overwrite=False)
    trigger = deferred(operator)
    in_time(fired(CtaCopyTrigger(trigger.pairs[:1], "cta_default", "site")))
    with cta_default.fault("slow", **SLOW):
        killed_in_mid_copy(trigger, site, whole=1)
    site.clear_requests()
    event = in_time(fired(again(trigger)))

    assert [result["way"] for result in event["copied"]] == ["before", "pull", "pull"]
    assert copies(site) == 2
    assert site.paths() == [f"/lst/run{number}.fits" for number in range(3)]
    assert [site.get(path) for path in site.paths()] == [DATA + bytes(number) for number in range(3)]


def test_a_triggerer_that_ends_after_the_copy_makes_it_no_second_time_also_without_overwrite(
    site: FakeCta, cta_default: FakeCta
) -> None:
    trigger = deferred(copy_of("lst/night/run0.fits", "cta://site@lst/", deferrable=True, overwrite=False))
    before, after = (in_time(fired(again(trigger))) for _ in range(2))
    del before["copied"][0]["way"]

    assert after["copied"][0].pop("way") == "before"
    assert before == after
    assert copies(site) == 1


@pytest.mark.real
def test_a_triggerer_that_is_killed_leaves_no_part_and_the_next_one_copies_the_rest(
    site: FakeCta, cta_default: FakeCta
) -> None:
    trigger = deferred(copy_of("lst/night/*.fits", "cta://site@lst/", deferrable=True))
    in_time(fired(CtaCopyTrigger(trigger.pairs[:1], "cta_default", "site")))
    program = (
        "import asyncio, json, sys\n"
        "from airflow_provider_cta.triggers.copying import CtaCopyTrigger\n"
        "async def main():\n"
        "    async for event in CtaCopyTrigger(**json.loads(sys.argv[1])).run():\n"
        "        sys.stdout.write('\\n' + json.dumps(event.payload))\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-c", program, json.dumps(trigger.serialize()[1])]
    with cta_default.fault(
        "stall", server="pool", method="GET", after=100_000
    ):  # nothing ends before its client is gone
        with subprocess.Popen(command) as process:
            try:
                wait_until(lambda: len(site.paths()) > 1 or process.poll() is not None)
            finally:
                process.kill()
        wait_until(lambda: site.paths() == ["/lst/run0.fits"])
    told = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    event = json.loads(told.splitlines()[-1])

    assert [result["way"] for result in event["copied"]] == ["before", "pull", "pull"]
    assert site.paths() == [f"/lst/run{number}.fits" for number in range(3)]
    assert [site.get(path) for path in site.paths()] == [DATA + bytes(number) for number in range(3)]


def test_what_is_left_to_a_worker_costs_one_more_listing(site: FakeCta, cta_default: FakeCta) -> None:
    for number in range(20):
        cta_default.put(f"/lst/night/run{number}.fits", b"x")
    left = [[f"lst/night/run{number}.fits", f"lst/x{number}"] for number in range(20)]
    event = {"status": "success", "copied": [None] * 20, "left": left}
    cta_default.clear_requests()
    operator = copy_of("lst/night/*.fits", "lst/", target_conn_id="site")
    operator.execute_complete({}, event)
    asked = [request.headers.get("depth") for request in cta_default.requests if request.method == "PROPFIND"]

    assert asked == ["1"]
    assert site.paths() == sorted(f"/lst/x{number}" for number in range(20))
    with pytest.raises(NotFoundError, match="gone is not there any more"):
        operator.execute_complete({}, {**event, "left": [["lst/night/gone", "lst/x"]]})


def test_a_file_that_is_gone_meanwhile_is_told(site: FakeCta) -> None:
    event = in_time(fired(CtaCopyTrigger([("lst/night/gone[1]", "lst/x")], "cta_default", "site")))

    with pytest.raises(NotFoundError, match=r"gone\[1\] is not there any more"):
        raise error_of(event)


def test_a_refused_credential_arrives_as_it_was(site: FakeCta, cta_default: FakeCta, store_connection: Any) -> None:
    trigger = deferred(copy_of("lst/night/run0.fits", "cta://site@lst/x", deferrable=True))
    extra = {"door_url": cta_default.door_url, "ca_path": str(cta_default.ca_file)}
    store_connection("cta_default", password=cta_default.make_token(lifetime=-3600.0), extra=extra)
    event = in_time(fired(again(trigger)))

    with pytest.raises(CredentialError):
        copy_of("lst/night/run0.fits", "lst/x").execute_complete({}, event)


@pytest.mark.parametrize(
    "error",
    [
        TransientError("busy", path="/lst/a", status=503, retry_after=7.0),
        AlreadyExistsError("there", remedy="remove it"),
        ConfigError("no"),
        CredentialError("expired"),
    ],
)
def test_an_error_arrives_as_it_was(error: Any) -> None:
    arrived = error_of(json.loads(json.dumps(failed(error))))

    assert type(arrived) is type(error)
    assert vars(arrived) == vars(error)
    assert str(arrived) == str(error)

"""Copies from one connection to another: in a worker, in the triggerer, killed and begun again."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from airflow.sdk.module_loading import import_string
from airflow_provider_cta import progress
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.operators.cta import CtaCopyOperator
from airflow_provider_cta.triggers import holding
from airflow_provider_cta.triggers.copying import CtaCopyTrigger
from airflow_provider_cta.triggers.errors import error_of, failed

from ctadata_providers import (
    AlreadyExistsError,
    ConfigError,
    CredentialError,
    IsADirError,
    NotFoundError,
    StorageError,
    TransientError,
)
from ctadata_providers.testing import FakeCta

PATIENCE = 100.0
"""Seconds after which something that must happen has not: a busy machine takes long to start a process."""
DATA = b"events" * 50_000
SLOW: Any = {"server": "pool", "method": "GET", "rate": 100_000}


@pytest.fixture(scope="module")
def site_server() -> Iterator[FakeCta]:
    with FakeCta(markers=0.05) as cta:
        yield cta


@pytest.fixture
def site(cta_default: FakeCta, site_server: FakeCta, store_connection: Any) -> FakeCta:
    """Another data centre, empty: the connection `site`. The first one holds a night of three runs."""
    site_server.reset()
    for name, cta in {"cta_default": cta_default, "site": site_server}.items():
        extra = {"door_url": cta.door_url, "ca_path": str(cta.ca_file), "retries": 0, "copy_hosts": "localhost"}
        store_connection(name, password=cta.token, extra=extra)
    for number in range(3):
        cta_default.put(f"/lst/night/run{number}.fits", DATA + bytes(number))
    return site_server


def copy_of(source: Any, target: Any, **settings: Any) -> CtaCopyOperator:
    return CtaCopyOperator(task_id="copy", source=source, target=target, **settings)


def run(operator: Any, context: Any = None) -> Any:
    """Run an operator, in the triggerer too where it defers; its result must be plain JSON."""
    try:
        result = operator.execute(context or {})
    except TaskDeferred as deferred:
        event = in_time(fired(again(deferred.trigger)))
        result = operator.execute_complete(context or {}, event)
    assert json.loads(json.dumps(result)) == result
    return result


def deferred(operator: CtaCopyOperator) -> CtaCopyTrigger:
    with pytest.raises(TaskDeferred) as raised:
        operator.execute({})
    trigger = raised.value.trigger
    assert isinstance(trigger, CtaCopyTrigger)
    return trigger


def again(trigger: Any) -> Any:
    """Return the trigger as another triggerer makes it."""
    name, arguments = trigger.serialize()
    return import_string(name)(**json.loads(json.dumps(arguments)))


async def fired(trigger: CtaCopyTrigger) -> Any:
    (event,) = [event async for event in trigger.run()]
    return json.loads(json.dumps(event.payload))


def in_time(scene: Any) -> Any:
    return asyncio.run(asyncio.wait_for(scene, PATIENCE))


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert happened()


def copies(cta: FakeCta) -> int:
    return len([request for request in cta.requests if request.method == "COPY"])


both_ways = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


@both_ways
def test_a_list_goes_into_a_folder_of_another_connection(deferrable: bool, site: FakeCta) -> None:
    paths = ["lst/night/run2.fits", "cta://cta_default@lst/night/run0.fits"]
    results = run(copy_of(paths, "cta://site@lst/new/", deferrable=deferrable))

    assert [result["uri"] for result in results] == ["cta://lst/new/run2.fits", "cta://lst/new/run0.fits"]
    assert results[1] == {
        "uri": "cta://lst/new/run0.fits",
        "source": "cta://lst/night/run0.fits",
        "size": len(DATA),
        "checksums": results[1]["checksums"],
        "way": "pull",
    }
    assert results[1]["checksums"].keys() == {"adler32"}
    assert site.get("/lst/new/run0.fits") == DATA
    assert site.paths() == ["/lst/new/run0.fits", "/lst/new/run2.fits"]


@both_ways
def test_one_file_a_pattern_and_a_folder(deferrable: bool, site: FakeCta, cta_default: FakeCta) -> None:
    cta_default.put("/lst/night/deep/log.txt", b"log")
    cta_default.make_dir("/lst/night/empty")
    settings: Any = {"target_conn_id": "site", "deferrable": deferrable}
    one = run(copy_of("lst/night/run0.fits", "lst/one.fits", **settings))
    some = run(copy_of("lst/night/*.fits", "lst/some/", **settings))
    tree = run(copy_of("cta://lst/night/", "lst/tree", **settings))

    assert one["uri"] == "cta://lst/one.fits"
    assert len(some) == 3
    size = 3 * len(DATA) + 3 + len("log")
    assert tree == {"uri": "cta://lst/tree/", "source": "cta://lst/night/", "files": 4, "size": size}
    assert [path for path in site.paths() if "/tree/" in path] == [
        "/lst/tree/deep/log.txt",
        "/lst/tree/run0.fits",
        "/lst/tree/run1.fits",
        "/lst/tree/run2.fits",
    ]
    with CtaHook("site").client() as client:
        assert client.exists("lst/tree/empty/")


@both_ways
def test_the_root_is_a_folder_like_others(deferrable: bool, site: FakeCta, cta_default: FakeCta) -> None:
    run(copy_of("cta:///", "cta://site@lst/all/", deferrable=deferrable))
    run(copy_of("cta://lst/night/", "cta://site@/", deferrable=deferrable))

    names = [f"run{number}.fits" for number in range(3)]
    assert site.paths() == [*(f"/lst/all/lst/night/{name}" for name in names), *(f"/{name}" for name in names)]


@both_ways
def test_inside_one_connection(deferrable: bool, site: FakeCta, cta_default: FakeCta) -> None:
    result = run(copy_of("lst/night/run0.fits", "lst/users/alice/", deferrable=deferrable))

    assert result["uri"] == "cta://lst/users/alice/run0.fits"
    assert cta_default.get("/lst/users/alice/run0.fits") == DATA


@both_ways
@pytest.mark.parametrize(
    ("source", "target", "settings", "error"),
    [
        ("lst/night/none", "lst/x", {}, NotFoundError),
        (["lst/night/run0.fits", "lst/none"], "lst/", {}, NotFoundError),
        ("lst/none/", "lst/x", {}, NotFoundError),
        ("lst/none/", "lst/x", {"on_missing": "skip"}, AirflowSkipException),
        ("lst/none/*.fits", "lst/x/", {"on_missing": "skip"}, AirflowSkipException),
        ("lst/none", "lst/x", {"on_missing": "skip"}, AirflowSkipException),
        ("lst/night/run0.fits", "lst/old", {"overwrite": False}, AlreadyExistsError),
        ("lst/night", "lst/x", {}, IsADirError),
        ("lst/night/*", "lst/x", {}, ConfigError),
        ("lst/night/", ["lst/x", "lst/y"], {}, ConfigError),
        ("cta:///", "cta://cta_default@lst/night/in", {}, StorageError),
        (["lst/night/run0.fits"], ["cta://a@lst/x", "cta://b@lst/y"], {}, ConfigError),
        (["lst/night/run0.fits", "cta://site@lst/old"], "lst/", {}, ConfigError),
        ("lst/night/run0.fits", "lst/x", {"on_missing": "perhaps"}, ConfigError),
        ("lst/night/run0.fits", "cta://cta_default@lst/night/run0.fits", {}, StorageError),
        ("cta://lst/night/", "cta://cta_default@lst/night/in", {}, StorageError),
    ],
)
def test_what_cannot_be_is_the_same_error_wherever_it_runs(
    source: Any, target: Any, settings: Any, error: Any, deferrable: bool, site: FakeCta
) -> None:
    site.put("/lst/old", b"old")
    with pytest.raises(error) as raised:
        run(copy_of(source, target, target_conn_id="site", deferrable=deferrable, **settings))

    assert type(raised.value) is error
    assert site.paths() == ["/lst/old"]
    assert site.get("/lst/old") == b"old"


@both_ways
def test_lineage_and_the_event_of_the_asset(deferrable: bool, site: FakeCta, cta_default: FakeCta) -> None:
    asset = Asset("cta://lst/new/run0.fits")
    events: dict[Any, Any] = {asset: SimpleNamespace(extra={})}
    operator = copy_of("lst/night/run0.fits", "cta://site@lst/new/", deferrable=deferrable, outlets=[asset])
    result = run(operator, {"outlet_events": events})

    assert events[asset].extra == {
        "size": len(DATA),
        "checksums": result["checksums"],
        "instance": site.door_url,
    }


def test_the_two_sides_have_their_names_and_tell_which_storage_they_are(
    site: FakeCta, cta_default: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    collector = SimpleNamespace(
        add_input_asset=lambda context, uri, asset_extra: seen.append((context.cta_conn_id, uri, asset_extra)),
        add_output_asset=lambda context, uri, asset_extra: seen.append((context.cta_conn_id, uri, asset_extra)),
    )
    monkeypatch.setattr("airflow_provider_cta.operators.base.get_hook_lineage_collector", lambda: collector)
    run(copy_of("lst/night/run0.fits", "cta://site@lst/night/run0.fits"))

    assert seen == [
        ("cta_default", "cta://lst/night/run0.fits", {"instance": cta_default.door_url}),
        ("site", "cta://lst/night/run0.fits", {"instance": site.door_url}),
    ]


@both_ways
def test_the_progress_stands_in_the_log(
    deferrable: bool,
    site: FakeCta,
    cta_default: FakeCta,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.05)
    monkeypatch.setattr(holding, "INTERVAL", 0.05)
    with cta_default.fault("slow", server="pool", method="GET", rate=1_000_000):
        run(copy_of("lst/night/run0.fits", "cta://site@lst/", deferrable=deferrable))
    lines = [line for line in capsys.readouterr().out.splitlines() if " %: " in line]

    assert lines
    assert all("of 300.0 kB" in line for line in lines)


def test_progress_says_how_far_it_has_come() -> None:
    known, unknown = progress.Progress(4_200_000_000), progress.Progress(None)
    for count in (3_000_000_000, -900_000_000):
        known(count)
        unknown(count)

    assert str(known).startswith("50 %: 2.1 GB of 4.2 GB, ")
    assert str(unknown).startswith("2.1 GB, ")
    assert str(known).endswith("B/s")


def test_paths_and_connections_are_templates_and_the_button_leads_to_the_target(site: FakeCta) -> None:
    from airflow_provider_cta.links.cta import CtaDoorLink

    task = copy_of("lst/{{ n }}/", ["lst/{{ n }}"], cta_conn_id="a{{ n }}", target_conn_id="s{{ n }}")
    task.render_template_fields({"n": "ite"})

    assert (task.source, task.target, task.cta_conn_id, task.target_conn_id) == (
        "lst/ite/",
        ["lst/ite"],
        "aite",
        "site",
    )
    assert CtaDoorLink().get_link(task, ti_key=None) == f"{site.door_url}/lst/ite"


# Killed


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


# In the triggerer


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

"""Copies from one connection to another, in a worker and in the triggerer."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from airflow_provider_cta import progress
from airflow_provider_cta.hooks.cta import CtaHook
from airflow_provider_cta.triggers import holding

from ctadata_providers import AlreadyExistsError, ConfigError, IsADirError, NotFoundError, StorageError
from ctadata_providers.testing import FakeCta
from tests.airflow.copied import DATA, again, copy_of, fired, in_time, store_night


@pytest.fixture
def site(site: FakeCta, cta_default: FakeCta) -> FakeCta:
    """The other data centre, empty; the first one holds a night of three runs."""
    store_night(cta_default)
    return site


def run(operator: Any, context: Any = None) -> Any:
    """Run an operator, in the triggerer too where it defers; its result must be plain JSON."""
    try:
        result = operator.execute(context or {})
    except TaskDeferred as deferred:
        event = in_time(fired(again(deferred.trigger)))
        result = operator.execute_complete(context or {}, event)
    assert json.loads(json.dumps(result)) == result
    return result


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

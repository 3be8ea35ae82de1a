"""Streams between the data centre and other storages: whole, verified, bounded, and discarded when they fail."""

import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from airflow.sdk import Asset, ObjectStoragePath
from airflow.sdk.exceptions import AirflowSkipException
from airflow_provider_cta.transfers import streams
from fsspec.implementations.memory import MemoryFileSystem

from ctadata_providers import (
    AlreadyExistsError,
    ConfigError,
    IntegrityError,
    IsADirError,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    TransientError,
)
from ctadata_providers.testing import FakeCta
from tests.airflow.shelf import LARGE, Shelf, give, run, take

pytestmark = pytest.mark.filterwarnings("ignore:UPath 'forgetful' filesystem not explicitly implemented")

SMALL = b"dark night"
ADLER32 = {data: f"{zlib.adler32(data):08x}" for data in (SMALL, LARGE)}


sizes = pytest.mark.parametrize("data", [SMALL, LARGE, b""], ids=["small", "large", "empty"])


@sizes
def test_a_file_goes_there_and_back_and_tells_size_and_checksum(
    data: bytes, shelf: Shelf, cta_default: FakeCta
) -> None:
    cta_default.put("/lst/a.fits", data)
    there = run(give("cta://lst/a.fits", "memory://box/new/a.fits"))
    back = run(take("memory://box/new/a.fits", "cta://lst/back/"))

    adler32 = f"{zlib.adler32(data):08x}"
    expected = {"storage_path": "memory:///box/new/a.fits", "size": len(data), "checksums": {"adler32": adler32}}
    assert there == {"uri": "cta://lst/a.fits", **expected}
    assert back == {"uri": "cta://lst/back/a.fits", **expected}
    assert shelf.cat("/box/new/a.fits") == data
    assert cta_default.get("/lst/back/a.fits") == data


def test_a_local_disk_is_a_storage_too(cta_default: FakeCta, tmp_path: Path) -> None:
    cta_default.put("/lst/a", LARGE)
    run(give("lst/a", f"file://{tmp_path}/new/"))
    result = run(take(ObjectStoragePath(f"file://{tmp_path}/new/a"), "lst/b"))

    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]
    assert result["storage_path"] == f"file://{tmp_path}/new/a"
    assert cta_default.get("/lst/b") == LARGE


def test_what_nobody_offers_to_airflow_may_be_known_to_fsspec(cta_default: FakeCta) -> None:
    cta_default.put("/lst/a", SMALL)
    run(give("lst/a", "memory://box/a"))

    assert fsspec.filesystem("memory").cat("/box/a") == SMALL
    with pytest.raises(ConfigError, match="install the provider"):
        run(give("lst/a", "unheard://box/a"))
    with pytest.raises(ConfigError, match="install the provider"):
        run(give("lst/a", "memory://box/a", storage_conn_id="some"))


def test_lists_and_patterns_go_both_ways(shelf: Shelf, cta_default: FakeCta) -> None:
    for number in range(9):
        cta_default.put(f"/lst/run{number}.fits", SMALL * number)
    some = run(give(["lst/run2.fits", "lst/run1.fits"], "memory://box/some/"))
    all_ = run(give("lst/*.fits", "memory://box/all/"))
    named = run(give(["lst/run1.fits"], ["memory://box/one"]))
    back = run(take("memory://box/all/run[0-3].fits", "lst/back/"))
    pairs = run(take(["memory://box/one", "memory://box/all/run8.fits"], ["lst/x", "lst/y/"]))

    assert [result["uri"] for result in some] == ["cta://lst/run2.fits", "cta://lst/run1.fits"]
    assert len(all_) == 9
    assert [result["storage_path"] for result in named] == ["memory:///box/one"]
    assert [result["uri"] for result in back] == [f"cta://lst/back/run{number}.fits" for number in range(4)]
    assert [result["uri"] for result in pairs] == ["cta://lst/x", "cta://lst/y/run8.fits"]
    assert cta_default.get("/lst/y/run8.fits") == SMALL * 8


def test_a_name_with_wildcards_is_one_where_there_is_such_a_file(shelf: Shelf, cta_default: FakeCta) -> None:
    shelf.pipe({"/box/a[1].fits": b"odd", "/box/a1.fits": b"even"})
    odd = run(take("memory://box/a[1].fits", "lst/x/"))
    shelf.rm_file("/box/a[1].fits")
    even = run(take("memory://box/a[1].fits", "lst/y/"))

    assert [result["uri"] for result in [odd, *even]] == ["cta://lst/x/a[1].fits", "cta://lst/y/a1.fits"]
    assert cta_default.get("/lst/x/a[1].fits") == b"odd"


def test_folders_go_both_ways_with_all_that_is_below_them(shelf: Shelf, cta_default: FakeCta) -> None:
    for name in ("a", "deep/b", "deep/er/c"):
        cta_default.put(f"/lst/night/{name}", SMALL)
    cta_default.make_dir("/lst/night/empty")
    there = run(give("cta://lst/night/", "memory://box/night/"))
    back = run(take("memory://box/night", "cta://lst/back/", recursive=True))

    figures = {"storage_path": "memory:///box/night", "files": 3, "size": 3 * len(SMALL)}
    assert there == {"uri": "cta://lst/night/", **figures}
    assert back == {"uri": "cta://lst/back/", **figures}
    assert shelf.find("/") == ["/box/night/a", "/box/night/deep/b", "/box/night/deep/er/c"]
    assert [path for path in cta_default.paths() if "back" in path] == [
        "/lst/back/a",
        "/lst/back/deep/b",
        "/lst/back/deep/er/c",
    ]


def test_of_nothing_nothing_is_made(shelf: Shelf, cta_default: FakeCta) -> None:
    assert run(give([], "memory://box/x")) == []
    assert run(take([], "lst/x")) == []


def test_the_root_is_a_folder_like_others(shelf: Shelf, cta_default: FakeCta) -> None:
    cta_default.put("/lst/a", SMALL)
    run(give("cta:///", "memory://box/night"))
    run(take("memory://box/night/", "cta:///"))
    run(take("memory://box/night/", "cta://cta_default@"))

    assert shelf.find("/") == ["/box/night/lst/a"]
    assert cta_default.paths() == ["/lst/a"]


@pytest.mark.parametrize(
    ("operator", "error"),
    [
        (give("lst/none/", "memory://box/x"), NotFoundError),
        (give("lst/none/", "memory://box/x", on_missing="skip"), AirflowSkipException),
        (give("lst/a/", "memory://box/x"), NotADirError),
        (give("lst/", ["memory://box/x", "memory://box/y"]), ConfigError),
        (take("memory://none/", "lst/x"), NotFoundError),
        (take("memory://none/", "lst/x", on_missing="skip"), AirflowSkipException),
        (take("memory://box/", ["lst/x", "lst/y"]), ConfigError),
        (give("lst/none", "memory://box/x"), NotFoundError),
        (give(["lst/a", "lst/none"], "memory://box/"), NotFoundError),
        (give("lst/none", "memory://box/x", on_missing="skip"), AirflowSkipException),
        (give("lst/a", "memory://box/old", overwrite=False), AlreadyExistsError),
        (give("lst/a", "memory://box"), IsADirError),
        (give("lst", "memory://box/x"), IsADirError),
        (give(["lst/a", "lst/b"], "memory://box/x"), ConfigError),
        (give("lst/a", "cta://cta_default@lst/x"), ConfigError),
        (give("lst/a", ""), ConfigError),
        (give("lst/a", 7), ConfigError),
        (give(["lst/a"], [None]), ConfigError),
        (take("memory://box/none", "lst/x"), NotFoundError),
        (take("memory://box/none*", "lst/x/"), NotFoundError),
        (take(["memory://box/none"], "lst/x/", on_missing="skip"), AirflowSkipException),
        (take("memory://box/old", "lst/a", overwrite=False), AlreadyExistsError),
        (take("memory://box", "lst/x"), IsADirError),
        (take("memory://box/*", "lst/x"), ConfigError),
        (take(["memory://box/old"], ["lst/x", "lst/y"]), ConfigError),
        (take(["memory://box/old", "memory://box/deep/old"], "lst/x/"), ConfigError),
        (take("cta://cta_default@lst/a", "lst/x"), ConfigError),
        (take("memory://box/old", "forbidden/x"), PermissionDeniedError),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(
    operator: Any, error: Any, shelf: Shelf, cta_default: FakeCta, store_connection: Any
) -> None:
    extra = {"door_url": cta_default.door_url, "ca_path": str(cta_default.ca_file), "retries": 0}
    token = cta_default.make_token(scope="storage.read:/ storage.modify:/lst")
    store_connection("cta_default", password=token, extra=extra)
    shelf.pipe({"/box/old": b"old", "/box/deep/old": b"old"})
    cta_default.put("/lst/a", SMALL)
    cta_default.put("/lst/b", SMALL)
    with pytest.raises(error) as raised:
        run(operator)

    assert type(raised.value) is error
    assert cta_default.paths() == ["/lst/a", "/lst/b"]
    assert cta_default.get("/lst/a") == SMALL
    assert {path: shelf.cat(path) for path in shelf.find("/")} == {"/box/deep/old": b"old", "/box/old": b"old"}


# What fails is discarded


def test_bytes_that_are_wrong_never_appear_there(shelf: Shelf, cta_default: FakeCta) -> None:
    for name, data in {"small": SMALL, "large": LARGE}.items():
        cta_default.put(f"/lst/{name}", data)
        with cta_default.fault("corrupt", method="GET"), pytest.raises(IntegrityError):
            run(give(f"lst/{name}", "memory://box/a"))
    with cta_default.fault("server-error", method="GET", server="pool"), pytest.raises(TransientError):
        run(give("lst/large", "memory://box/a"))

    assert shelf.find("/") == []


def test_what_breaks_on_the_way_is_gone_on_with(shelf: Shelf, cta_default: FakeCta) -> None:
    cta_default.put("/lst/a", LARGE)
    with cta_default.fault("reset", method="GET", server="pool", after=2_000_000, times=1):
        run(give("lst/a", "memory://box/a"))

    assert shelf.cat("/box/a") == LARGE


def test_a_storage_that_is_full_is_told_and_left_as_it_was(
    shelf: Shelf, cta_default: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    cta_default.put("/lst/a", LARGE)
    monkeypatch.setattr(Shelf, "room", 3_000_000)
    with pytest.raises(OSError, match="the shelf is full"):
        run(give("lst/a", "memory://box/a"))

    assert shelf.find("/") == []


def test_a_storage_that_loses_bytes_is_noticed(
    shelf: Shelf, cta_default: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    cta_default.put("/lst/a", SMALL)
    monkeypatch.setattr(Shelf, "pipe_file", lambda self, path, value: MemoryFileSystem.pipe_file(self, path, value[1:]))
    with pytest.raises(IntegrityError, match="9 bytes of 10"):
        run(give("lst/a", "memory://box/a"))

    assert shelf.find("/") == []


def test_a_source_that_changes_meanwhile_never_appears_at_the_data_centre(
    shelf: Shelf, cta_default: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.pipe("/box/a", LARGE)
    reading = streams._Reading.read

    def change(self: Any, size: int = -1) -> bytes:
        shelf.store["/box/a"].created = shelf.store["/box/a"].created.replace(year=2000)
        return reading(self, size)

    monkeypatch.setattr(streams._Reading, "read", change)
    with pytest.raises(IntegrityError, match="has changed while it was read"):
        run(take("memory://box/a", "lst/a"))

    assert cta_default.paths() == []


def test_the_first_error_of_several_ends_all(shelf: Shelf, cta_default: FakeCta) -> None:
    for number in range(20):
        cta_default.put(f"/lst/{number}", SMALL)
    with cta_default.fault("corrupt", method="GET", path="/lst/3"), pytest.raises(IntegrityError):
        run(give([f"lst/{number}" for number in range(20)], "memory://box/"))

    assert "/box/3" not in shelf.find("/")
    assert {shelf.cat(path) for path in shelf.find("/")} <= {SMALL}


# What is told


def test_lineage_and_events_tell_of_both_sides(
    shelf: Shelf, cta_default: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    collector = SimpleNamespace(
        add_input_asset=lambda context, uri, asset_extra=None: told.append(("in", uri)),
        add_output_asset=lambda context, uri, asset_extra=None: told.append(("out", uri)),
    )
    for place in ("operators", "transfers"):
        monkeypatch.setattr(f"airflow_provider_cta.{place}.base.get_hook_lineage_collector", lambda: collector)
    cta_default.put("/lst/a", SMALL)
    there, here = Asset(uri="memory:///box/a"), Asset("cta://lst/b")
    events: dict[Any, Any] = {asset: SimpleNamespace(extra={}) for asset in (there, here)}
    run(give("lst/a", "memory://box/a", outlets=[there]), {"outlet_events": events})
    run(take("memory://box/a", "lst/b", outlets=[here]), {"outlet_events": events})

    expected = {"size": len(SMALL), "checksums": {"adler32": ADLER32[SMALL]}}
    assert told == [
        ("in", "cta://lst/a"),
        ("out", "memory:///box/a"),
        ("out", "cta://lst/b"),
        ("in", "memory:///box/a"),
    ]
    assert events[there].extra == expected
    assert events[here].extra == {**expected, "instance": cta_default.door_url}


def test_a_storage_whose_addresses_name_no_asset_is_moved_to_all_the_same(
    shelf: Shelf, cta_default: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(uri: Any) -> None:
        raise ValueError("must contain a host")

    monkeypatch.setattr(
        "airflow.sdk.definitions.asset._get_uri_normalizer", lambda scheme: refuse if scheme == "memory" else None
    )
    told: list[str] = []
    collector = SimpleNamespace(add_output_asset=lambda context, uri: told.append(uri))
    monkeypatch.setattr("airflow_provider_cta.transfers.base.get_hook_lineage_collector", lambda: collector)
    cta_default.put("/lst/a", SMALL)
    result = run(give("lst/a", "memory://box/a", outlets=[Asset("x://y")]), {"outlet_events": {}})

    assert result["storage_path"] == "memory:///box/a"
    assert told == []


def test_paths_and_connections_are_templates_also_those_that_are_objects() -> None:
    task = give("lst/{{ n }}", ObjectStoragePath("file:///data/{{ n }}"), storage_conn_id="s{{ n }}")
    local = give("lst/a", [Path("/data/{{ n }}")])
    for operator in (task, local):
        operator.render_template_fields({"n": "1"})

    assert local.storage_path == ["/data/1"]
    assert (task.remote_path, str(task.storage_path), task.storage_conn_id) == ("lst/1", "file:///data/1", "s1")

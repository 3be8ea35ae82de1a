"""One tree made like another: what is copied, and what is left."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import (
    Config,
    ConfigError,
    CtaClient,
    FileInfo,
    IsADirError,
    NotADirError,
    NotFoundError,
    StorageError,
)
from ctadata_providers.backends.memory import MemoryBackend
from ctadata_providers.testing import FakeCta
from ctadata_providers.transfer import Context
from ctadata_providers.transfer.trees.directions import Down, Up
from ctadata_providers.transfer.trees.sync import Change, SyncOptions, sync_tree
from tests.unit.two_trees import ADDRESS, FILES, TOP, Bytes, client, kinds, local, methods, plant, sow, stored, tree

__all__ = ["client", "local"]


# What is copied


def test_an_upload_makes_the_target_and_a_second_one_copies_nothing(
    client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    plant(local, FILES)
    (local / "empty").mkdir()
    first = client.sync(local, ADDRESS)
    fake_cta.clear_requests()
    second = client.sync(local, ADDRESS)

    assert stored(fake_cta) == FILES
    assert fake_cta.exists(f"{TOP}/empty")
    assert (first.copied, first.unchanged, first.size, first.removed, first.failures) == (4, 0, 9, 0, ())
    assert (second.copied, second.unchanged, second.size) == (0, 4, 0)
    assert methods(fake_cta) == {"PROPFIND"}


def test_a_download_makes_the_target_and_a_second_one_copies_nothing(
    client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    sow(fake_cta, FILES)
    fake_cta.make_dir(f"{TOP}/empty")
    first = client.sync(ADDRESS, local / "deep" / "copy")
    fake_cta.clear_requests()
    second = client.sync(ADDRESS, str(local / "deep" / "copy"))

    assert tree(local / "deep" / "copy") == FILES
    assert (local / "deep" / "copy" / "empty").is_dir()
    assert (first.copied, first.unchanged, first.size) == (4, 0, 9)
    assert (second.copied, second.unchanged) == (0, 4)
    assert methods(fake_cta) == {"PROPFIND"}


@pytest.mark.parametrize("compare", ["auto", "checksum", "mtime", "size"])
def test_both_directions_settle_however_files_are_compared(
    compare: Any, client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    plant(local / "up", FILES)
    up = [client.sync(local / "up", ADDRESS, compare=compare).copied for _ in range(2)]
    down = [client.sync(ADDRESS, local / "down", compare=compare).copied for _ in range(2)]

    assert (up, down) == ([4, 0], [4, 0])


def test_a_folder_in_memory_settles_in_both_directions(local: Path) -> None:
    client = CtaClient(backend="memory")
    plant(local / "up", FILES)
    up = [client.sync(local / "up", ADDRESS).copied for _ in range(2)]
    down = [client.sync(ADDRESS, local / "down").copied for _ in range(2)]

    assert (up, down) == ([4, 0], [4, 0])
    assert tree(local / "down") == FILES


def test_only_what_differs_is_copied(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, FILES)
    client.sync(local, ADDRESS)
    plant(local, {"a.fits": b"AAAA", "n/b.fits": b"longer", "new": b"1"})
    told: list[Change] = []
    result = client.sync(local, ADDRESS, on_change=told.append)

    assert (result.copied, result.unchanged, result.size) == (3, 2, 11)
    assert sorted((change.kind, change.path) for change in told) == [
        ("copy", "new"),
        ("replace", "a.fits"),
        ("replace", "n/b.fits"),
    ]
    assert stored(fake_cta) == {**FILES, "a.fits": b"AAAA", "n/b.fits": b"longer", "new": b"1"}


def test_auto_finds_by_the_listed_checksum_what_size_and_time_hide(
    client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    plant(local, {"f": b"old1"})
    client.sync(local, ADDRESS)
    (local / "f").write_bytes(b"new1")
    os.utime(local / "f", (0, 0))
    by_time = client.sync(local, ADDRESS, compare="mtime").copied
    by_size = client.sync(local, ADDRESS, compare="size").copied
    auto = client.sync(local, ADDRESS).copied

    assert (by_time, by_size, auto) == (0, 0, 1)
    assert stored(fake_cta) == {"f": b"new1"}


def test_auto_copies_no_file_whose_time_alone_is_new(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, FILES)
    client.sync(local, ADDRESS)
    os.utime(local / "a.fits", (time.time() + 3600,) * 2)

    assert client.sync(local, ADDRESS).copied == 0
    assert client.sync(local, ADDRESS, compare="mtime").copied == 1


def test_without_checksums_a_newer_source_is_copied(local: Path) -> None:
    client = CtaClient(backend="memory")
    plant(local, {"f": b"old1"})
    client.sync(local, ADDRESS)
    (local / "f").write_bytes(b"new1")
    os.utime(local / "f", (time.time() + 60,) * 2)

    assert client.sync(local, ADDRESS).copied == 1
    assert client.sync(local, ADDRESS, compare="checksum").copied == 0


def test_a_download_gets_the_time_of_its_source(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    sow(fake_cta, {"f": b"1"})
    client.sync(ADDRESS, local)

    assert (local / "f").stat().st_mtime == client.stat(f"{TOP}/f").mtime


class OddServer(MemoryBackend):
    """A server whose files have all changed in an odd second."""

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        return (replace(info, modified=formatdate(1_700_000_001, usegmt=True)) for info in super().list_dir(path))


def test_a_file_system_that_tells_times_by_two_seconds_gets_nothing_twice(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utime = os.utime
    monkeypatch.setattr(os, "utime", lambda path, times: utime(path, tuple(when // 2 * 2 for when in times)))
    context = Context.of(OddServer(), Config(backend="memory"))
    sync_tree(Up(context, plant(local / "source", {"f": b"1", "g": b"2"}), TOP), SyncOptions())
    down = Down(context, local / "copy", TOP)
    copied = [sync_tree(down, SyncOptions(compare="mtime")).copied for _ in range(2)]

    assert copied == [2, 0]


class LateServer(MemoryBackend):
    """A server whose clock is an hour behind ours, and which tells its time."""

    def clock_ahead(self) -> float:
        return -3600.0


@pytest.mark.parametrize(("backend", "copied"), [(MemoryBackend(), [1, 1, 1]), (LateServer(), [1, 0, 1])])
def test_a_server_that_is_behind_gets_nothing_twice_if_it_tells_its_time(
    backend: MemoryBackend, copied: list[int], local: Path
) -> None:
    up = Up(Context.of(backend, Config(backend="memory")), local, TOP)
    plant(local, {"f": b"1"})
    os.utime(local / "f", (time.time() + 3600,) * 2)  # as if our clock had shown that when it was written
    before = [sync_tree(up, SyncOptions()).copied for _ in range(2)]
    os.utime(local / "f", (time.time() + 3660,) * 2)

    assert [*before, sync_tree(up, SyncOptions()).copied] == copied


def test_patterns_select_here_and_there(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {**FILES, "n/tmp/x.fits": b"x", "deep/er/only.txt": b""})
    result = client.sync(local, ADDRESS, include=["*.fits"], exclude=["tmp/"])

    assert sorted(stored(fake_cta)) == ["a.fits", "n/b.fits", "z/ü%41+[x].fits"]
    assert result.copied == 3
    assert not fake_cta.exists(f"{TOP}/deep")
    assert not fake_cta.exists(f"{TOP}/n/tmp")


def test_parts_are_neither_copied_nor_removed(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    part = ".f.1a2b3c4d.0123.ctapart"
    plant(local / "up", {part: b"here", f"n/.x.{part}/g": b"here", "f": b"1"})
    sow(fake_cta, {f"o/{part}": b"there", part: b"there"})
    result = client.sync(local / "up", ADDRESS, delete=True)

    assert (result.copied, result.removed) == (1, 0)
    assert stored(fake_cta) == {f"o/{part}": b"there", part: b"there", "f": b"1"}


# Where to


@pytest.mark.parametrize(
    ("source", "target"), [("a", "b"), (ADDRESS, "cta://lst/x"), (Path(ADDRESS), "b"), ("s3://x", ADDRESS)]
)
def test_exactly_one_side_is_an_address(source: Any, target: Any, client: CtaClient, fake_cta: FakeCta) -> None:
    with pytest.raises(ConfigError):
        client.sync(source, target)

    assert fake_cta.requests == []


@pytest.mark.parametrize("option", [{"compare": "date"}, {"on_error": "ignore"}, {"include": [".."]}])
def test_an_option_that_is_none_is_refused(
    option: dict[str, Any], client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    with pytest.raises(ConfigError):
        client.sync(local, ADDRESS, **option)

    assert fake_cta.requests == []


@pytest.mark.parametrize("policy", ["stop", "continue"])
def test_a_missing_source_is_an_error_and_makes_nothing(
    policy: Any, client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    with pytest.raises(NotFoundError):
        client.sync(ADDRESS, local / "copy", on_error=policy)
    with pytest.raises(NotFoundError):
        client.sync(local / "none", ADDRESS, on_error=policy)

    assert not (local / "copy").exists()
    assert not fake_cta.exists("/lst")


def test_a_file_is_no_source_and_no_target(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    sow(fake_cta, {"f": b"there"})
    plant(local, {"f": b"here"})
    for source, target in ((f"{ADDRESS}/f", local), (local, f"{ADDRESS}/f"), (local / "f", ADDRESS)):
        with pytest.raises(NotADirError):
            client.sync(source, target)
    with pytest.raises(NotADirError):
        client.sync(ADDRESS, local / "f")

    assert (tree(local), stored(fake_cta)) == ({"f": b"here"}, {"f": b"there"})


def test_a_file_where_a_folder_is_meant_is_left_alone(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"x/f": b"1", "y": b"2", "z": b"3"})
    sow(fake_cta, {"x": b"file", "y/g": b"folder", "extra": b"e"})
    result = client.sync(local, ADDRESS, delete=True, on_error="continue")

    assert [(failure.path, type(failure.error)) for failure in result.failures] == [
        (f"{TOP}/x", NotADirError),
        (f"{TOP}/y", IsADirError),
    ]
    assert stored(fake_cta) == {"x": b"file", "y/g": b"folder", "extra": b"e", "z": b"3"}
    with pytest.raises(StorageError, match="the source"):
        client.sync(local, ADDRESS)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_file_that_is_not_selected_where_a_folder_is_meant_is_told(
    dry_run: bool, client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    plant(local, {"x/a.fits": b"1", "y": b"file"})
    sow(fake_cta, {"x": b"file", "y/b.fits": b"1"})
    for source, target in ((local, ADDRESS), (ADDRESS, local)):
        result = client.sync(source, target, include=["*.fits"], delete=True, dry_run=dry_run, on_error="continue")

        assert [failure.path for failure in result.failures] == [f"{TOP}/x", f"{TOP}/y"]
        assert (result.copied, result.removed) == (0, 0)
    assert stored(fake_cta) == {"x": b"file", "y/b.fits": b"1"}
    assert tree(local) == {"x/a.fits": b"1", "y": b"file"}
    assert client.sync(local, ADDRESS, include=["*.fits"], exclude=["x", "y"]).copied == 0


# Dry run


@pytest.mark.parametrize("compare", ["auto", "mtime", "checksum"])
def test_a_dry_run_tells_what_a_run_does_and_touches_nothing(
    compare: Any, client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    plant(local, {**FILES, "same": b"s", "n/new": b"1"})
    (local / "deep" / "empty").mkdir(parents=True)
    sow(fake_cta, {"same": b"s", "a.fits": b"AAAAA", "old/x": b"o", "n/extra": b"e"})
    before = (stored(fake_cta), tree(local))
    fake_cta.clear_requests()
    told: list[Change] = []
    dry = client.sync(local, ADDRESS, delete=True, dry_run=True, compare=compare, on_change=told.append)
    asked, after = methods(fake_cta), (stored(fake_cta), tree(local))
    done: list[Change] = []
    real = client.sync(local, ADDRESS, delete=True, compare=compare, on_change=done.append)

    assert asked == {"PROPFIND"}
    assert before == after
    assert list(dry.changes) == told
    assert sorted(map(str, told)) == sorted(map(str, done))
    assert replace(dry, seconds=0, changes=()) == replace(real, seconds=0)
    assert kinds(dry) == [
        ("replace", "a.fits"),
        ("make", "deep"),
        ("make", "deep/empty"),
        ("copy", "n/b.fits"),
        ("make", "n/m"),
        ("copy", "n/m/c d#1.h5"),
        ("copy", "n/new"),
        ("make", "z"),
        ("copy", "z/ü%41+[x].fits"),
        ("remove", "n/extra"),
        ("remove", "old/x"),
        ("remove", "old"),
    ]
    assert client.sync(local, ADDRESS, delete=True, dry_run=True).changes == ()


def test_a_dry_run_tells_that_the_target_is_below_a_file(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"f": b"1"})
    sow(fake_cta, {"file": b"1"})
    for dry_run in (False, True):
        with pytest.raises(NotADirError, match=f"{TOP}/file is a file"):
            client.sync(local, f"{ADDRESS}/file/n/m", dry_run=dry_run)

    assert client.sync(local, f"{ADDRESS}/none/n/m", dry_run=True).copied == 1


def test_a_dry_run_of_a_download_makes_no_folder(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    sow(fake_cta, FILES)
    result = client.sync(ADDRESS, local / "copy", dry_run=True)

    assert kinds(result)[0] == ("make", "")
    assert (result.copied, result.size) == (4, 9)
    assert not (local / "copy").exists()
    assert methods(fake_cta) == {"PROPFIND"}


# Many files


def test_ten_thousand_files_are_synced_and_then_only_listed(local: Path) -> None:
    client = CtaClient(backend="memory")
    backend = client._transfers.backend
    for folder in range(10):
        client.make_dir(f"{TOP}/{folder:02d}", parents=True)
        for number in range(1000):
            backend.write(f"{TOP}/{folder:02d}/{number:04d}", Bytes(b"data"), size=4, overwrite=True).result()
    first = client.sync(ADDRESS, local)
    started = time.monotonic()
    second = client.sync(ADDRESS, local)
    seconds = time.monotonic() - started

    assert (first.copied, first.size) == (10000, 40000)
    assert (second.copied, second.unchanged) == (0, 10000)
    assert seconds < 10


def test_files_that_are_right_cost_one_request_for_each_folder(local: Path, tmp_path: Path) -> None:
    served = tmp_path / "served" / "lst" / "tree"
    for folder in range(10):
        for root in (served, local):
            (root / f"{folder:02d}").mkdir(parents=True)
            for number in range(200):
                (root / f"{folder:02d}" / f"{number:04d}").write_bytes(b"data")
    with FakeCta(root=tmp_path / "served") as cta, CtaClient(Config(**cta.settings())) as client:  # type: ignore[arg-type]  # settings
        result = client.sync(ADDRESS, local)
        asked = [request.method for request in cta.requests]

    assert (result.copied, result.unchanged) == (0, 2000)
    assert asked == ["PROPFIND"] * 11

"""What a sync removes from its target, and what never."""

import os
from pathlib import Path

import pytest

from ctadata_providers import (
    CtaClient,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
)
from ctadata_providers.testing import FakeCta
from ctadata_providers.transfer.trees.sync import Change
from tests.unit.two_trees import ADDRESS, TOP, client, local, methods, plant, sow, stored, tree

__all__ = ["client", "local"]


def test_what_only_the_target_has_is_removed_only_when_asked(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"f": b"1", "n/g": b"2"})
    sow(fake_cta, {"f": b"1", "n/old": b"o", "old/x/y": b"o", "old/z": b"o"})
    fake_cta.make_dir(f"{TOP}/old/empty")
    kept = client.sync(local, ADDRESS)
    before = stored(fake_cta)
    told: list[Change] = []
    result = client.sync(local, ADDRESS, delete=True, on_change=told.append)

    assert (kept.removed, len(before)) == (0, 5)
    assert result.removed == 6
    assert stored(fake_cta) == {"f": b"1", "n/g": b"2"}
    assert not fake_cta.exists(f"{TOP}/old")
    assert [change.path for change in told if change.is_dir] == ["old/x", "old/empty", "old"]


def test_local_extras_are_removed_and_links_as_links(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    sow(fake_cta, {"f": b"1", "n/g": b"2"})
    outside = plant(local / "outside", {"precious": b"p"})
    copy = plant(local / "copy", {"old/x/y": b"o", "extra": b"e"})
    (copy / "folder link").symlink_to(outside)
    (copy / "old" / "file link").symlink_to(outside / "precious")
    (copy / "nowhere").symlink_to("/does/not/exist")
    (copy / "circle").symlink_to(copy)
    os.mkfifo(copy / "pipe")
    result = client.sync(ADDRESS, copy, delete=True)

    assert tree(copy) == {"f": b"1", "n/g": b"2"}
    assert sorted(path.name for path in copy.iterdir()) == ["f", "n"]
    assert result.removed == 9
    assert tree(outside) == {"precious": b"p"}


def test_nothing_is_removed_through_a_linked_folder(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    sow(fake_cta, {"n/g": b"2"})
    inside = plant(local / "copy", {"m/g": b"2", "m/mine": b"m"})
    (inside / "n").symlink_to(inside / "m")
    result = client.sync(ADDRESS, inside, delete=True, exclude=["/m"])

    assert (result.copied, result.removed) == (0, 0)
    assert tree(inside / "m") == {"g": b"2", "mine": b"m"}


def test_what_is_not_selected_is_not_removed_nor_the_folders_around_it(
    client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    plant(local, {"f": b"1"})
    sow(fake_cta, {"logs/a": b"l", "old/keep.txt": b"k", "old/x.fits": b"x", "gone/y.fits": b"y"})
    result = client.sync(local, ADDRESS, delete=True, exclude=["logs/", "*.txt"])

    assert sorted(stored(fake_cta)) == ["f", "logs/a", "old/keep.txt"]
    assert result.removed == 3
    sow(fake_cta, {"more/z.fits": b"z", "more/z.h5": b"z"})
    client.sync(local, ADDRESS, delete=True, include=["*.fits"])
    assert sorted(stored(fake_cta)) == ["f", "logs/a", "more/z.h5", "old/keep.txt"]


def test_nothing_is_removed_after_any_failure(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"f": b"1"})
    (local / "broken").symlink_to("/does/not/exist")
    sow(fake_cta, {"extra": b"e"})
    result = client.sync(local, ADDRESS, delete=True, on_error="continue")

    assert len(result.failures) == 1
    assert stored(fake_cta) == {"extra": b"e", "f": b"1"}


def test_nothing_is_removed_at_the_root(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    fake_cta.put("/lst/f", b"1")
    with pytest.raises(PermissionDeniedError):
        client.sync(local, "cta:///", delete=True)
    with pytest.raises(PermissionDeniedError):
        client.sync("cta://lst", "/", delete=True, dry_run=True)

    assert fake_cta.paths() == ["/lst/f"]
    assert methods(fake_cta) == set()


def test_what_comes_to_the_source_meanwhile_is_not_removed(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"f": b"1"})
    sow(fake_cta, {"late": b"l", "extra": b"e"})
    result = client.sync(local, ADDRESS, delete=True, on_change=lambda _: plant(local, {"late": b"l"}))

    assert result.removed == 1
    assert sorted(stored(fake_cta)) == ["f", "late"]


def test_what_is_gone_meanwhile_is_no_error(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    plant(local, {"f": b"1"})
    sow(fake_cta, {"extra": b"e", "old/x": b"o"})

    def remove(change: Change) -> None:
        if change.path == "f":
            client.remove(f"{TOP}/extra")
            client.remove(f"{TOP}/old", recursive=True)

    result = client.sync(local, ADDRESS, delete=True, on_change=remove)

    assert (result.removed, result.failures) == (0, ())


def test_an_empty_source_removes_nothing(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    sow(fake_cta, {"f": b"1", "n/g": b"2"})
    fake_cta.make_dir("/lst/empty")
    mine = plant(local / "mine", {"f": b"1"})
    mount = local / "mount"
    mount.mkdir()
    for source, target in ((mount, ADDRESS), ("cta://lst/empty", mine)):
        for dry_run in (False, True):
            with pytest.raises(StorageError, match="nothing in the source"):
                client.sync(source, target, delete=True, dry_run=dry_run)
    told = client.sync(mount, ADDRESS, delete=True, on_error="continue")
    kept = stored(fake_cta)
    (mount / "folder").mkdir()
    meant = client.sync(mount, ADDRESS, delete=True)

    assert [failure.path for failure in told.failures] == [TOP]
    assert kept == {"f": b"1", "n/g": b"2"}
    assert tree(mine) == {"f": b"1"}
    assert (meant.removed, stored(fake_cta)) == (3, {})


def test_two_empty_folders_are_the_same(client: CtaClient, fake_cta: FakeCta, local: Path) -> None:
    fake_cta.make_dir(TOP)

    assert client.sync(local, ADDRESS, delete=True).removed == 0


def test_what_comes_to_a_linked_folder_of_the_source_meanwhile_is_not_removed(
    client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    source = plant(local / "source", {"f": b"1"})
    elsewhere = plant(local / "elsewhere", {"g": b"2"})
    (source / "n").symlink_to(elsewhere)
    sow(fake_cta, {"n/late": b"l", "n/extra": b"e"})
    result = client.sync(source, ADDRESS, delete=True, on_change=lambda _: plant(elsewhere, {"late": b"l"}))

    assert result.removed == 1
    assert sorted(stored(fake_cta)) == ["f", "n/g", "n/late"]


def test_a_file_that_cannot_be_removed_is_told_once_and_keeps_its_folders(
    client: CtaClient, fake_cta: FakeCta, local: Path
) -> None:
    plant(local, {"f": b"1"})
    sow(fake_cta, {"old/deep/stuck": b"s", "old/other/y": b"y", "old/z": b"z"})
    fake_cta.faults.add("forbidden", path=f"{TOP}/old/deep/stuck", method="DELETE")
    result = client.sync(local, ADDRESS, delete=True, on_error="continue")

    assert [failure.path for failure in result.failures] == [f"{TOP}/old/deep/stuck"]
    assert stored(fake_cta) == {"f": b"1", "old/deep/stuck": b"s"}
    assert result.removed == 3


def test_a_working_folder_that_was_removed_is_not_taken_for_an_empty_one(
    client: CtaClient, fake_cta: FakeCta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sow(fake_cta, {"f": b"1"})
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    (tmp_path / "gone").mkdir()  # as a job makes it anew
    with pytest.raises(NotFoundError, match="was removed"):
        client.sync(".", ADDRESS, delete=True)

    assert stored(fake_cta) == {"f": b"1"}
    with pytest.raises(NotFoundError, match="copy"):
        client.sync(ADDRESS, "copy")

"""What a selection takes of a local tree."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.errors import NotFoundError, PermissionDeniedError, StorageError
from ctadata_providers.patterns import Selection
from ctadata_providers.transfer import LocalEntry, LocalFolder, local_entries


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b/x.fits", "b/y.txt", "a.fits", "c/deep/z.fits", "line\nbreak", ".hidden", ".b.1a2b3c4d.00.ctapart"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "empty").mkdir()
    return tmp_path


def relatives(root: Path, **how: object) -> list[str]:
    return [entry.relative for entry in local_entries(root, **how)]  # type: ignore[arg-type]  # as the caller gives them


def test_local_entries_come_by_names_a_folder_before_what_is_in_it(tree: Path) -> None:
    assert relatives(tree) == [
        ".hidden",
        "a.fits",
        "b",
        "b/x.fits",
        "b/y.txt",
        "c",
        "c/deep",
        "c/deep/z.fits",
        "empty",
        "line\nbreak",
    ]


def test_a_local_entry_tells_size_and_time(tree: Path) -> None:
    os.utime(tree / "a.fits", (1, 2.5))
    entries = {entry.relative: entry for entry in local_entries(tree)}

    assert entries["a.fits"] == LocalEntry("a.fits", is_dir=False, size=5, mtime=2.5)
    assert (entries["b"].is_dir, entries["b"].size) == (True, None)


def test_a_local_selection_looks_only_where_it_must(tree: Path) -> None:
    assert relatives(tree, selection=Selection(include=("z.fits", "a.fits"))) == [
        "a.fits",
        "c",
        "c/deep",
        "c/deep/z.fits",
    ]
    assert relatives(tree, selection=Selection(exclude=("*.fits", ".hidden", "c/"))) == [
        "b",
        "b/y.txt",
        "empty",
        "line\nbreak",
    ]
    assert relatives(tree, selection=Selection(include=("empty/",))) == ["empty"]


def test_links_are_followed_but_not_in_a_circle(tree: Path) -> None:
    (tree / "empty" / "again").symlink_to(tree / "b")
    (tree / "empty" / "up").symlink_to(tree)
    told: list[str] = []
    found = relatives(tree, on_error=lambda path, error: told.append(f"{path}: {error}"))

    assert "empty/again/x.fits" in found
    assert "empty/up" in found
    assert told == [f"empty/up: {tree}/empty/up leads in a circle; remove the symbolic link"]
    with pytest.raises(StorageError, match="circle"):
        relatives(tree)
    assert "empty/again/y.txt" in relatives(tree, selection=Selection(exclude=("up/",)))


def test_what_is_neither_file_nor_folder_is_an_error_unless_nobody_asks_for_it(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    (tree / "broken").symlink_to("/does/not/exist")
    told: list[str] = []
    found = relatives(tree, on_error=lambda path, error: told.append(path))

    assert told == ["broken", "pipe"]
    assert "line\nbreak" in found
    assert relatives(tree, selection=Selection(exclude=("broken", "pipe"))) == found
    assert relatives(tree, selection=Selection(include=("*.txt",))) == ["b", "b/y.txt"]
    with pytest.raises(StorageError, match="neither a file nor a folder"):
        relatives(tree)


def test_a_local_folder_that_is_missing_is_an_error(tree: Path) -> None:
    told: list[tuple[str, type]] = []
    with pytest.raises(NotFoundError, match="none"):
        relatives(tree / "none")

    assert relatives(tree / "none", on_error=lambda path, error: told.append((path, type(error)))) == []
    assert told == [("", NotFoundError)]


def test_one_local_folder_can_be_looked_at_alone(tree: Path) -> None:
    top = LocalFolder(tree)
    below = LocalFolder(tree, "c", above=top)

    assert [entry.relative for entry in below.entries()] == ["c/deep"]
    (tree / "c" / "up").symlink_to(tree)
    with pytest.raises(StorageError, match="circle"):
        LocalFolder(tree, "c/up", above=below)


def test_a_folder_that_may_be_listed_and_no_more_is_told_by_its_entries(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(real: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:  # as for all but root
        def stat(path: Any, **options: Any) -> os.stat_result:
            if Path(path).parent == tree / "b":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return real(path, **options)

        return stat

    monkeypatch.setattr(os, "stat", refuse(os.stat))
    monkeypatch.setattr(os, "lstat", refuse(os.lstat))
    told: list[tuple[str, type]] = []
    found = relatives(tree, on_error=lambda path, error: told.append((path, type(error))))

    assert "b" in found
    assert told == [("b/x.fits", PermissionDeniedError), ("b/y.txt", PermissionDeniedError)]


def test_what_cannot_be_looked_at_is_told_although_include_does_not_match_it(tmp_path: Path) -> None:
    (tmp_path / "night").symlink_to("x" * 300)  # as a folder in one that may not be entered, which root may
    (tmp_path / "nowhere").symlink_to("missing")
    told: list[str] = []
    found = list(
        local_entries(tmp_path, selection=Selection(("*.fits",)), on_error=lambda path, error: told.append(path))
    )

    assert (found, told) == ([], ["night"])

"""What processes tell each other about a credential."""

import os
import time
from pathlib import Path

import pytest

from ctadata_providers.session.markers import FORGOTTEN_AFTER, Marker, Word

WORDS: tuple[Word, ...] = ("good", "refused", "refused again")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "state" / "admission"
    place.mkdir(parents=True)
    return place


def marker_in(folder: Path, credential: str = "credential") -> Marker:
    return Marker(folder, "server", credential)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_read_by_another_process_with_its_time(word: Word, folder: Path) -> None:
    told_at = marker_in(folder).write(word)

    assert told_at is not None
    assert abs(told_at - time.time()) < 5
    assert marker_in(folder).read() == (word, told_at)


def test_the_last_word_counts_and_the_file_does_not_grow(folder: Path) -> None:
    for word in WORDS:
        marker_in(folder).write(word)
    said = marker_in(folder).read()

    assert said is not None
    assert said[0] == "refused again"
    assert (folder / "credential").stat().st_size == 1
    assert (folder / "credential").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "x", "xg"])
def test_what_is_no_word_says_nothing(text: str, folder: Path) -> None:
    (folder / "credential").write_text(text)

    assert marker_in(folder).read() is None


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("g")
    for name in ("credential", "server.lock"):
        (folder / name).symlink_to(victim)
    marker = marker_in(folder)

    assert marker.read() is None
    assert marker.write("refused") is None
    assert marker.lock()  # there is none to wait for
    assert victim.read_text() == "g"


def test_the_lock_belongs_to_one_until_it_is_given_back(folder: Path) -> None:
    first, second = marker_in(folder, "one"), marker_in(folder, "another credential of the server")

    assert first.lock()
    assert not second.lock()
    first.unlock()
    assert second.lock()
    second.unlock()
    second.unlock()
    assert first.lock()
    first.unlock()


def test_nothing_can_be_written_and_nobody_waits(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    marker = marker_in(tmp_path / "file" / "admission")

    assert marker.read() is None
    assert marker.write("good") is None
    assert marker.lock()
    marker.unlock()


def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    marker = marker_in(tmp_path / "state" / "admission")
    marker.lock()
    marker.unlock()

    assert (tmp_path / "state" / "admission").stat().st_mode & 0o777 == 0o700


def test_what_was_said_long_ago_is_removed_but_for_the_locks(folder: Path) -> None:
    for name in ("old", "young", "old.lock"):
        (folder / name).write_text("g")
        if name != "young":
            os.utime(folder / name, (0, time.time() - FORGOTTEN_AFTER - 60))

    marker_in(folder).write("good")

    assert {file.name for file in folder.iterdir()} == {"young", "old.lock", "credential"}


def test_descriptors_are_closed(folder: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        marker = marker_in(folder)
        marker.lock()
        marker.write("good")
        marker.read()
        marker.unlock()

    assert len(list(Path("/proc/self/fd").iterdir())) == before

"""Notes of uploads are written over while others are under way, and never by two at once."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace

import pytest

from ctadata_providers.transfer.names import part_name
from ctadata_providers.transfer.notes import abandoned, remember, state_folder, under_way

DOOR = "https://door.example/"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def told() -> list[str]:
    """Return the temporary names that the notes tell of."""
    notes = [json.loads(note.read_text()) for note in state_folder().glob("*.json")]
    return sorted(note["path"] for note in notes if "path" in note)


def test_a_note_serves_the_next_upload_while_another_is_under_way() -> None:
    long, first = remember(DOOR, "/a", "/.a.ctapart"), remember(DOOR, "/b", "/.b.ctapart")
    first.forget()
    second = remember(DOOR, "/c", "/.c.ctapart")
    during = told()
    second.forget()
    long.forget()

    assert second.note == first.note
    assert during == ["/.a.ctapart", "/.c.ctapart"]
    assert list(state_folder().iterdir()) == []


def test_where_nothing_can_be_remembered_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ("x" * 300)))  # as a home that may not be entered
    remembered = remember(DOOR, "/a", "/.a.ctapart")
    remembered.forget()

    assert remembered.note is None
    assert abandoned(DOOR, "/a") == []
    with pytest.raises(OSError, match="uploads"):  # who removes leftovers has to know that it cannot be known
        under_way()


def test_who_ends_twice_takes_nothing_from_who_has_the_note_now() -> None:
    long, first = remember(DOOR, "/a", "/.a.ctapart"), remember(DOOR, "/b", "/.b.ctapart")
    first.forget()
    second = remember(DOOR, "/c", "/.c.ctapart")
    first.end()
    first.forget()
    during = told()
    third = remember(DOOR, "/d", "/.d.ctapart")

    assert during == ["/.a.ctapart", "/.c.ctapart"]
    assert third.note != second.note
    assert abandoned(DOOR, "/c") == []
    for one in (second, third, long):
        one.forget()


def test_a_long_name_is_not_cut_and_spoils_no_note() -> None:
    other = remember(DOOR, "/a", "/.a.ctapart")
    deep = "/" + "x" * 2000
    long = remember(DOOR, deep, part_name("f", DOOR))
    long.forget()
    remember(DOOR, "/b", "/.b.ctapart").end()

    assert told() == ["/.a.ctapart", "/.b.ctapart"]
    assert [found.path for found in abandoned(DOOR, "/b")] == ["/.b.ctapart"]
    other.forget()


def test_what_is_left_is_found_at_once_though_the_notes_were_just_read() -> None:
    other = remember(DOOR, "/a", "/.a.ctapart")
    one = remember(DOOR, "/b", "/.b.ctapart")
    before = abandoned(DOOR, "/b")
    one.end()

    assert before == []
    assert [found.path for found in abandoned(DOOR, "/b")] == ["/.b.ctapart"]
    other.forget()


def test_the_free_notes_of_a_killed_process_are_removed() -> None:
    program = (
        "import os\n"
        "from ctadata_providers.transfer.notes import remember\n"
        f"a, b = (remember({DOOR!r}, '/' + n, f'/.{{n}}.ctapart') for n in 'ab')\n"
        "b.forget()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    before = len(list(state_folder().iterdir()))

    assert before == 2
    assert [found.path for found in abandoned(DOOR, "/a")] == ["/.a.ctapart"]
    assert len(list(state_folder().iterdir())) == 1


def test_a_full_disk_costs_the_memory_and_neither_an_error_nor_a_descriptor() -> None:
    long = remember(DOOR, "/a", "/.a.ctapart")
    remember(DOOR, "/b", "/.b.ctapart").forget()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with full_disk():
        kept = [remember(DOOR, f"/{number}", f"/.{number}.ctapart") for number in range(20)]
        for one in kept:
            one.forget()
        during = len(list(Path("/proc/self/fd").iterdir()))
        long.forget()

    assert {one.note for one in kept} == {None}
    assert during <= before
    assert list(state_folder().iterdir()) == []


@contextmanager
def full_disk() -> Iterator[None]:
    """Have every write to a file fail, as where the disk or the quota is full."""
    _, most = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_notes_of_many_other_processes_are_not_read_for_each_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    read, clock = 0, 0.0

    def listdir(*_: object) -> list[str]:
        """Take half a second to list the folder, as where it is far away."""
        nonlocal read, clock
        read, clock = read + 1, clock + 0.5
        return []

    monkeypatch.setattr("ctadata_providers.transfer.notes.time", SimpleNamespace(monotonic=lambda: clock))
    monkeypatch.setattr("ctadata_providers.transfer.notes.os.listdir", listdir)
    state_folder().mkdir(parents=True)
    for number in range(100):
        (state_folder() / f"{number}.json").touch()  # another process begins an upload
        clock += 0.1
        abandoned(DOOR, "/a")

    assert 1 <= read <= 4


def test_a_note_whose_process_was_killed_before_it_wrote_it_is_removed() -> None:
    program = (
        "import os\n"
        "from ctadata_providers.transfer import notes\n"
        "notes.os.pwrite = lambda *_: os.kill(os.getpid(), 9)\n"
        f"notes.remember({DOOR!r}, '/a', '/.a.ctapart')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    (state_folder() / "12345678.1.note-of-another-machine.json").touch()
    before = len(list(state_folder().iterdir()))

    assert before == 2
    assert abandoned(DOOR, "/a") == []
    assert [note.name for note in state_folder().iterdir()] == ["12345678.1.note-of-another-machine.json"]


@contextmanager
def elsewhere(target: str) -> Iterator[Path]:
    """Have a process of a machine or container of the same name upload, and give its note."""
    program = (
        "from ctadata_providers.transfer.parts import owners\n"
        "owners._host = lambda: '00000000'\n"
        "from ctadata_providers.transfer.notes import remember\n"
        f"print(remember({DOOR!r}, {target!r}, '/.a.ctapart').note, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_what_another_container_of_the_same_name_uploads_is_not_taken_for_abandoned() -> None:
    with elsewhere("/a") as note:
        during = abandoned(DOOR, "/a")
    os.utime(note, (0, 0))
    after = abandoned(DOOR, "/a")

    assert during == []
    assert [found.path for found in after] == ["/.a.ctapart"]  # a day later

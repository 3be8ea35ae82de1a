"""Notes of uploads are written over while others are under way, and never by two at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ctadata_providers.transfer.names import part_name
from ctadata_providers.transfer.uploads import abandoned, remember, state_folder

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
        "from ctadata_providers.transfer.uploads import remember\n"
        f"a, b = (remember({DOOR!r}, '/' + n, f'/.{{n}}.ctapart') for n in 'ab')\n"
        "b.forget()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    before = len(list(state_folder().iterdir()))

    assert before == 2
    assert [found.path for found in abandoned(DOOR, "/a")] == ["/.a.ctapart"]
    assert len(list(state_folder().iterdir())) == 1


def test_a_note_whose_process_was_killed_before_it_wrote_it_is_removed() -> None:
    program = (
        "import os\n"
        "from ctadata_providers.transfer import uploads\n"
        "uploads.os.pwrite = lambda *_: os.kill(os.getpid(), 9)\n"
        f"uploads.remember({DOOR!r}, '/a', '/.a.ctapart')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    (state_folder() / "12345678.1.note-of-another-machine.json").touch()
    before = len(list(state_folder().iterdir()))

    assert before == 2
    assert abandoned(DOOR, "/a") == []
    assert [note.name for note in state_folder().iterdir()] == ["12345678.1.note-of-another-machine.json"]

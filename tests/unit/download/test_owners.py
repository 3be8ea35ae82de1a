"""Whose part is it?"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctadata_providers.transfer.names import is_part
from ctadata_providers.transfer.parts import owners
from ctadata_providers.transfer.parts.owners import PartName, new_name, parsed, stem

NEW = "from ctadata_providers.transfer.parts.owners import new_name; print(new_name('.a.12345678').digits, flush=True)"


def made_by(code: str = NEW) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def digits_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@settings(deadline=None)  # the first one asks the machine who it is
@given(st.text(min_size=1, max_size=300), st.text(max_size=50))
def test_names_of_parts_and_sidecars_are_hidden_short_and_understood(name: str, address: str) -> None:
    made = new_name(stem(name, address))

    for told in (made.part, made.sidecar):
        assert is_part(told)
        assert len(os.fsencode(told)) <= 255
        assert parsed(told) == made


def test_a_name_that_is_no_utf_8_is_understood() -> None:
    made = new_name(stem(os.fsdecode(b"\xff\xfe" * 150), "x"))

    assert parsed(os.fsdecode(os.fsencode(made.part))) == made


def test_names_of_others_are_none() -> None:
    assert parsed(".events.fits.1a2b3c4d.xyz.ctapart") is None
    assert parsed(".events.fits.ctapart") is None


def test_a_part_of_this_process_is_in_use_until_it_is_given_up() -> None:
    made = new_name(".a.12345678")
    before = made.standing
    made.claim()
    during = made.standing
    made.give_up()

    assert (before, during, made.standing) == ("given up", "in use", "given up")


def test_a_part_of_another_process_is_in_use_until_that_has_ended() -> None:
    with made_by(NEW + "; input()") as process:
        made = PartName(".a.12345678", digits_of(process))
        alive = made.standing
        process.communicate("\n")

    assert alive == "in use"
    assert made.standing == "given up"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="zombies are seen in /proc")
def test_a_killed_process_that_nobody_has_asked_for_its_end_is_dead() -> None:
    process = made_by(NEW + "; input()")
    made = PartName(".a.12345678", digits_of(process))
    process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while made.standing == "in use" and time.monotonic() < deadline:
        threading.Event().wait(0.01)

    assert made.standing == "given up"
    process.communicate()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="starts are told in /proc")
def test_a_number_that_another_process_has_now_is_not_the_same_process() -> None:
    own = new_name(".a.12345678").digits

    reused = PartName(".a.12345678", own[:8] + f"{os.getppid():08x}" + "00000001" + own[24:])

    assert reused.standing == "given up"


def test_of_another_machine_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    made = new_name(".a.12345678")
    monkeypatch.setattr(owners, "_host", lambda: "00000000")

    assert made.standing == "unknown"


def test_a_forked_child_does_not_take_the_parts_of_its_parent_for_its_own() -> None:
    made = new_name(".a.12345678")
    made.claim()
    child = os.fork()
    if not child:
        right = made.standing == "in use" and new_name(".a.12345678").standing == "given up"
        os._exit(0 if right else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    made.give_up()

"""When a process is killed, and what is checked then."""

import random
import signal
import time
from collections.abc import Callable, Sequence

import pytest

from tests.faults.kills.processes import Commands
from tests.faults.kills.stages import Place, Stage, die

KILLS = 20
SOAKED = 200
Get = Callable[[str], tuple[Stage, Commands, float]]


def plan(names: Sequence[str], kills: int) -> list[tuple[str, float]]:
    """Return kinds in turn, and shares of their time: the same in every run."""
    made = random.Random(kills)
    return [(names[number % len(names)], made.uniform(0.0, 1.1)) for number in range(kills)]


def killed_and_run_again(stage: Place, commands: Commands, moment: float) -> int:
    """Kill a command so many seconds after its start, run it again, check all; return the bytes that moved twice."""
    stage.prepare()
    code = die(stage, commands, at=lambda: time.sleep(moment))  # the moment of the kill is what is tested
    done = stage.is_done
    commands.run(stage.argv)
    twice = stage.moved - stage.kind.size
    if done and stage.argv[0] != "sync":
        twice -= stage.kind.size  # as cp does, get and put copy again what is whole already

    stage.check_whole()
    assert code in (0, -signal.SIGKILL)
    assert twice <= stage.kind.in_flight
    return twice


def soaked(names: Sequence[str], stages: Get, request: pytest.FixtureRequest) -> None:
    """Kill hundreds of times, and tell the figures for docs/reliability.md."""
    twice: dict[str, list[int]] = {name: [] for name in names}
    begun = time.monotonic()
    for name, share in plan(names, SOAKED):
        stage, commands, seconds = stages(name)
        twice[name].append(killed_and_run_again(stage, commands, share * seconds))

    minutes = (time.monotonic() - begun) / 60
    told = [f"{len(found)} of '{name}', at most {max(found)} bytes moved twice" for name, found in twice.items()]
    tell(request, f"{SOAKED} kills in {minutes:.1f} min, all whole: {'; '.join(told)}")


def tell(request: pytest.FixtureRequest, line: str) -> None:
    """Write a line to the terminal, past what captures the output of tests."""
    with request.getfixturevalue("capfd").disabled():
        request.config.get_terminal_writer().line(f"\n{line}")

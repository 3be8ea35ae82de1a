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

    assert code in (0, -signal.SIGKILL)
    return run_again(stage, commands)


def run_again(stage: Place, commands: Commands) -> int:
    """Run a command that was killed, and check all; return the bytes that it moved beside those that were missing."""
    missing, mark = stage.missing(), stage.mark()
    commands.run(stage.argv)
    twice = stage.moved(mark) - missing

    stage.check_whole()
    assert twice <= stage.kind.again, (stage.kind.argv, missing, twice)
    return max(twice, 0)


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

"""A download is killed by SIGKILL: every target is old or new, and the next run goes on where it stopped."""

import signal

import pytest

from tests.faults.kills.moments import KILLS, Get, killed_and_run_again, plan, run_again, soaked
from tests.faults.kills.processes import Death
from tests.faults.kills.stages import KINDS, die

DOWN = [name for name, kind in KINDS.items() if kind.is_down]
RENAMES: list[Death] = [("replace", "before", 1), ("replace", "after", 1)]
DEATHS: list[Death] = [
    ("pwrite", "after", 1),
    *[("pwritev", "after", number) for number in (1, 2, 3, 5)],
    ("pwritev", "before", 2),
    ("ftruncate", "after", 1),
]
"""In the sidecar, at the first bytes, in the middle."""
TAKING_OVER: list[Death] = [
    ("rename", "before", 1),
    ("rename", "after", 1),
    ("unlink", "before", 1),
    ("unlink", "after", 1),
    ("pwrite", "before", 1),
    ("pwrite", "after", 1),
    ("pwritev", "after", 1),
    ("pwritev", "after", 2),
]
"""Around the rename by which a part gets another owner."""


def named(death: Death) -> str:
    return " ".join(map(str, death))


@pytest.mark.parametrize(("name", "share"), plan(DOWN, KILLS))
def test_a_download_that_was_killed_goes_on_in_the_next_run(name: str, share: float, stages: Get) -> None:
    stage, commands, seconds = stages(name)

    killed_and_run_again(stage, commands, share * seconds)


@pytest.mark.soak
def test_hundreds_of_killed_downloads(stages: Get, request: pytest.FixtureRequest) -> None:
    soaked(DOWN, stages, request)


@pytest.mark.parametrize("death", RENAMES, ids=named)
def test_a_download_killed_at_its_rename_is_whole_after_the_next_run(death: Death, stages: Get) -> None:
    stage, commands, _ = stages("get")
    stage.prepare()
    code = die(stage, commands, dies=[death])
    new = stage.arrived()["events.fits"] == stage.payloads["events.fits"]
    run_again(stage, commands)

    assert code == -signal.SIGKILL
    assert new is (death[1] == "after")


@pytest.mark.parametrize("death", DEATHS, ids=named)
@pytest.mark.parametrize("name", ["get", "get in three streams"])
def test_a_download_killed_between_two_calls_of_the_system_goes_on(name: str, death: Death, stages: Get) -> None:
    stage, commands, _ = stages(name)
    stage.prepare()
    code = die(stage, commands, dies=[death])
    run_again(stage, commands)

    assert code == -signal.SIGKILL


@pytest.mark.parametrize("death", TAKING_OVER, ids=named)
@pytest.mark.parametrize("name", ["get", "get in three streams"])
def test_a_run_killed_while_it_takes_a_part_over_loses_nothing_of_it(name: str, death: Death, stages: Get) -> None:
    stage, commands, _ = stages(name)
    stage.prepare()
    codes = [die(stage, commands, at=lambda: stage.wait_for(stage.kind.size // 4))]
    there = stage.kind.size - stage.missing()
    codes.append(die(stage, commands, dies=[death]))
    still_there = stage.kind.size - stage.missing()
    run_again(stage, commands)

    assert codes == [-signal.SIGKILL] * 2
    assert still_there >= there > 0

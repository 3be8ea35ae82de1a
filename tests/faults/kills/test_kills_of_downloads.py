"""A download is killed by SIGKILL: every target is old or new, and the next run goes on where it stopped."""

import signal

import pytest

from tests.faults.kills.moments import KILLS, Get, killed_and_run_again, plan, soaked
from tests.faults.kills.processes import Death
from tests.faults.kills.stages import KINDS, die

DOWN = [name for name, kind in KINDS.items() if kind.is_down]
RENAMES: list[Death] = [("replace", "before", 1), ("replace", "after", 1)]


@pytest.mark.parametrize(("name", "share"), plan(DOWN, KILLS))
def test_a_download_that_was_killed_goes_on_in_the_next_run(name: str, share: float, stages: Get) -> None:
    stage, commands, seconds = stages(name)

    killed_and_run_again(stage, commands, share * seconds)


@pytest.mark.soak
def test_hundreds_of_killed_downloads(stages: Get, request: pytest.FixtureRequest) -> None:
    soaked(DOWN, stages, request)


@pytest.mark.parametrize("death", RENAMES, ids=lambda death: " ".join(map(str, death)))
def test_a_download_killed_at_its_rename_is_whole_after_the_next_run(death: Death, stages: Get) -> None:
    stage, commands, _ = stages("get")
    stage.prepare()
    code = die(stage, commands, dies=[death])
    new = stage.arrived()["events.fits"] == stage.payloads["events.fits"]
    commands.run(stage.argv)

    stage.check_whole()
    assert code == -signal.SIGKILL
    assert new is (death[1] == "after")

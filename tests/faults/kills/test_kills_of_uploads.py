"""An upload is killed by SIGKILL: every target is old or new, and whole after the next run, which tidies up."""

import signal

import pytest

from tests.faults.kills.moments import KILLS, Get, killed_and_run_again, plan, soaked
from tests.faults.kills.stages import KINDS, die
from tests.faults.scripted import Exchange, move

UP = [name for name, kind in KINDS.items() if not kind.is_down]


@pytest.mark.parametrize(("name", "share"), plan(UP, KILLS))
def test_an_upload_that_was_killed_is_whole_after_the_next_run(name: str, share: float, stages: Get) -> None:
    stage, commands, seconds = stages(name)

    killed_and_run_again(stage, commands, share * seconds)


@pytest.mark.soak
def test_hundreds_of_killed_uploads(stages: Get, request: pytest.FixtureRequest) -> None:
    soaked(UP, stages, request)


@pytest.mark.parametrize("renamed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ["put", "sync up"])
def test_an_upload_killed_at_its_rename_is_whole_after_the_next_run(name: str, renamed: bool, stages: Get) -> None:
    stage, commands, _ = stages(name)
    stage.prepare()

    def act(exchange: Exchange) -> None:
        if renamed:
            exchange.answer = lambda *_, **__: None  # type: ignore[method-assign] # nobody is told
            move(exchange)
        commands.kill()
        exchange.reset()

    stage.door.fault("MOVE", act, times=1)
    code = die(stage, commands)
    commands.run(stage.argv)

    stage.check_whole()
    assert code == -signal.SIGKILL

"""Processes that want the same target at the same time: each succeeds, the target is whole, nothing is left."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.kills.processes import Commands
from tests.faults.kills.stages import KINDS, Stage
from tests.faults.scripted import Door

PROCESSES = 2
SMALL = {"events.fits": 200_000}
TRIED = {**KINDS, "get, small": replace(KINDS["get"], sizes=SMALL), "put, small": replace(KINDS["put"], sizes=SMALL)}
DOWN = [name for name, kind in TRIED.items() if kind.is_down]
UP = [name for name, kind in TRIED.items() if not kind.is_down and kind.renames]
AtOnce = tuple[Stage, list[Commands]]


@pytest.fixture
def at_once(request: pytest.FixtureRequest, tmp_path: Path, ca: Path) -> Iterator[AtOnce]:
    """A stage with several processes that know it."""
    with ExitStack() as stack:
        door = stack.enter_context(Door(ranges=True, checksums=True))
        stage = Stage(TRIED[request.param], door, tmp_path, ca)
        logs = [tmp_path / f"log-{number}" for number in range(PROCESSES)]
        yield stage, [stack.enter_context(Commands(stage.environ, log)) for log in logs]


def together(stage: Stage, processes: list[Commands]) -> list[int]:
    """Run the command in all processes at the same time, and return how they ended."""
    for commands in processes:
        commands.start(stage.argv)
    return [commands.wait() for commands in processes]


@pytest.mark.parametrize("at_once", DOWN, indirect=True)
def test_processes_that_download_to_one_target_all_succeed(at_once: AtOnce) -> None:
    stage, processes = at_once
    stage.prepare()
    codes = together(stage, processes)

    assert codes == [0] * PROCESSES
    stage.check_whole()


@pytest.mark.parametrize("at_once", UP, indirect=True)
def test_processes_that_upload_to_one_target_leave_it_whole(at_once: AtOnce) -> None:
    stage, processes = at_once
    stage.prepare()
    codes = together(stage, processes)

    assert codes == [0] * PROCESSES
    stage.check_whole()


@pytest.mark.parametrize("at_once", ["get", "get in three streams"], indirect=True)
def test_one_of_several_takes_over_the_part_of_a_killed_process(at_once: AtOnce) -> None:
    stage, processes = at_once
    stage.prepare()
    processes[0].start(stage.argv)
    stage.wait_for(stage.kind.size // 2)
    processes[0].kill()
    processes[0].wait()
    missing, mark = stage.missing(), stage.mark()
    codes = together(stage, processes)

    assert codes == [0] * PROCESSES
    stage.check_whole()
    # The other one fetches it all: a part has one owner.
    assert stage.moved(mark) <= missing + (PROCESSES - 1) * stage.kind.size + stage.kind.again

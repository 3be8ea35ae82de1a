"""Play a cell, and check all that it promises."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from ctadata_providers import CtaError
from tests.faults.matrix.cells import Cell
from tests.faults.matrix.scene import AGAIN, LARGE, LEAF, Scene, seconds_of

LONGEST = 8.0
"""Seconds within which every cell ends."""


def play(cell: Cell, root: Path, ca: Path, patch: pytest.MonkeyPatch) -> None:
    """Check a cell: whole and right, or the right error and nothing half; and in time."""
    with ExitStack() as stack:
        scene = Scene(cell, root, ca, patch, stack)
        local = scene.target
        assert cell.row.install is not None
        cell.row.install(scene, cell.times)
        client = scene.client()
        scene.meet(client)
        for begin in scene.begin:
            begin()
        outcome, errors = cell.outcome, []
        seconds = seconds_of(lambda: errors.append(scene.attempt(client)))
        error = errors[0]

        assert seconds < LONGEST
        assert scene.forgotten() == []
        if outcome.error is None:
            assert error is None, repr(error)
            _check_whole(scene)
        else:
            assert type(error) is outcome.error, repr(error)
            _check_told(scene, error)
            scene.target = local
            _check_left(scene)
        if cell.times == 1 and outcome.error is None:
            assert max(scene.waits, default=0.0) >= cell.row.waits
        for check in scene.checks:
            check()


def _check_whole(scene: Scene) -> None:
    arrived = scene.arrived()

    assert (arrived == scene.payload) is scene.cell.outcome.noticed
    assert len(arrived) == len(scene.payload)
    if scene.way.is_down:
        assert scene.left_locally() == []
        for other in scene.others():
            assert other.stat().st_size == LEAF
    if scene.cell.outcome.resumed:
        assert scene.sent() <= LARGE + AGAIN


def _check_told(scene: Scene, error: CtaError) -> None:
    """Check that an error names what it is about, and says what to do."""
    told = str(error)
    names = (str(scene.target), scene.struck if scene.strikes_one else scene.remote)

    assert any(name and name in told for name in names), told
    assert ".ctapart" not in told
    assert error.remedy, repr(error)


def _check_left(scene: Scene) -> None:
    """Check what is at the target after an error, and beside it."""
    left = scene.cell.outcome.left

    assert scene.arrived() == (b"" if left == "nothing" else scene.old)
    assert left == "part" or not scene.way.is_down or scene.left_locally() == []
    if left == "part":
        _check_the_next_run(scene)


def _check_the_next_run(scene: Scene) -> None:
    """Check that the next run takes the part that was kept, and fetches only what is missing."""
    parts = scene.left_locally()
    assert parts
    there = max((scene.target.parent / name).stat().st_blocks * 512 for name in parts)
    scene.mend()
    before = scene.sent()

    with scene.client() as client:
        client.download(scene.struck or "", scene.target)

    assert scene.arrived() == scene.payload
    assert scene.left_locally() == []
    assert there > LARGE // 3
    assert scene.sent() - before <= LARGE - there + AGAIN

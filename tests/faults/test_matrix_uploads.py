"""Every fault of the matrix in every kind of upload."""

from pathlib import Path

import pytest

from tests.faults.matrix.cells import Cell, cells_of
from tests.faults.matrix.playing import play
from tests.faults.matrix.rows import ROWS, UPLOADS


@pytest.mark.parametrize("cell", cells_of(ROWS, UPLOADS), ids=str)
def test_an_upload_is_whole_or_absent_with_the_right_error(
    cell: Cell, tmp_path: Path, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(cell, tmp_path, ca, monkeypatch)

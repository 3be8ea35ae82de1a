"""The table for users in docs/reliability.md is what the cells say; `make faults-table` writes it."""

import os
import re
from pathlib import Path

import pytest

from ctadata_providers import TransientError
from tests.faults.matrix.cells import WHOLE, Row, Way, cells_of, ends, fails
from tests.faults.matrix.page import BEGIN, END, NOTHING, PAGE, table, write
from tests.faults.matrix.rows import ROWS

ROOT = Path(__file__).parents[2]
WRITE = os.environ.get("CTA_FAULTS_TABLE") == "write"  # before the environment is cleaned
ROW = Row(fault="reset", ends=ends((WHOLE, fails(TransientError, "part")), direct=(None, WHOLE)), tried="tests/x.py")


def test_a_cell_says_what_comes_of_a_fault_that_passes_and_of_one_that_stays() -> None:
    line = re.split(r" *\| *", table([ROW]).splitlines()[2])[1:-1]

    assert line == ["reset", *["whole / `TransientError`, part kept"] * 3, NOTHING, NOTHING, "whole"]


def test_a_table_is_put_into_its_place_and_nothing_else_is_changed() -> None:
    page = write(f"before\n{BEGIN}\nstale\n{END}\nafter\n", [ROW])

    assert page == f"before\n{BEGIN}\n\n{table([ROW])}\n\n{END}\nafter\n"
    assert write(page, [ROW]) == page
    with pytest.raises(ValueError, match="no place"):
        write("a page without a place", [ROW])


def test_every_row_is_tried_by_the_matrix_or_says_where() -> None:
    played = {cell.row.fault for cell in cells_of(ROWS, tuple(Way))}

    for row in ROWS:
        assert (row.fault in played) is (row.install is not None)
        assert all((ROOT / place).exists() for place in row.tried.split(", ") if place), row.tried
        assert row.tried or row.install is not None
    assert len({row.fault for row in ROWS}) == len(ROWS)


def test_the_table_for_users_is_what_the_cells_say() -> None:
    page = PAGE.read_text()
    told = write(page, ROWS)
    if WRITE:
        PAGE.write_text(told)
        return

    assert page == told

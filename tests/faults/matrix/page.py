"""The table of docs/reliability.md: rows are faults, columns kinds of transfers."""

from collections.abc import Iterable
from pathlib import Path

from tests.faults.matrix.cells import Ends, Row, Way

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"
BEGIN = "<!-- The table is made by `make faults-table` from tests/faults/matrix/rows.py. -->"
END = "<!-- End of the table. -->"
NOTHING = "-"


def write(page: str, rows: Iterable[Row]) -> str:
    """Return a page with the table of these rows in it.

    Raises:
        ValueError: When the page has no place for it.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no place for the table: {BEGIN}")
    return f"{head}{BEGIN}\n\n{table(rows)}\n\n{END}{tail}"


def table(rows: Iterable[Row]) -> str:
    """Return the table."""
    lines = [
        ["fault", *(way.value for way in Way)],
        ["---"] * (len(Way) + 1),
        *([row.fault, *(_cell(row.ends.get(way)) for way in Way)] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(ends: Ends | None) -> str:
    """Return what comes of a fault: once it has passed, and when it stays."""
    found = dict.fromkeys(str(end) for end in ends or () if end is not None)
    return " / ".join(found) or NOTHING

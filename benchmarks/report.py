"""Write what was measured as Markdown."""

from collections.abc import Callable, Iterable, Sequence

from benchmarks.kept import Section, goals_of
from benchmarks.runner import Measured

PLOT = "benchmarks.svg"
_INTRODUCTION = (
    "Runs alternate; the figures are medians, in brackets the slowest and the fastest run. A ratio above 1 is faster"
    " than that tool. Client and server share the cores. CPU is the processor time of the client, user and system;"
    " memory is the peak of its process (less than 13 MB cannot be seen). `in process` is a fresh process after its"
    " imports, without a connection; its seconds begin there, its memory is all of it. After each run the files are"
    " compared with the originals, which is not timed."
)


def page(sections: Sequence[Section], *, plot: bool) -> str:
    """Return the whole of docs/benchmarks.md."""
    parts = [heading(sections)]
    if plot:
        parts.append(f"![Speed of each tool]({PLOT})\n")
    parts.append(goals(sections))
    return "\n".join([*parts, *(table(section) for section in sections)])


def heading(sections: Iterable[Section]) -> str:
    """Return the report's head: on what machine and with which versions each section was measured."""
    places: dict[str, list[str]] = {}
    for section in sections:
        places.setdefault(f"{section.machine}; {section.versions}", []).append(_name(section))
    measured = [f"* {place}" + (f": {'; '.join(names)}" if len(places) > 1 else "") for place, names in places.items()]
    return "\n".join(["# Benchmarks", "", f"Written by `make bench`. {_INTRODUCTION}", "", *measured, ""])


def goals(sections: Iterable[Section]) -> str:
    """Return the table of goals and what was reached, also where that falls short."""
    rows = []
    for section, goal in goals_of(sections):
        reached = "not measured" if goal.value is None else _figure(goal.value)
        bound = f"{'at most' if goal.at_most else 'at least'} {goal.wanted:g}"
        rows.append([_name(section), goal.text, bound, reached, "yes" if goal.met else "**no**"])
    return "\n".join(["## Goals", "", *_table(["", "what", "goal", "reached", "met"], rows), ""])


def table(section: Section) -> str:
    """Return one scenario's section."""
    lines = [f"## {section.title}", ""]
    if section.note:
        lines += [section.note, ""]
    peers = [row for row in section.rows if row.name in section.peers and row.runs]
    columns: list[tuple[str, Callable[[Measured], str]]] = [(_speed_title(section), _speed)]
    columns += [(f"speed / {peer.name}", _ratio_to(peer)) for peer in peers]
    if any(run.cpu for row in section.rows for run in row.runs):
        columns.append(_cpu_column(section.unit))
    if any(run.peak for row in section.rows for run in row.runs):
        columns.append(("memory, MB", _peak))
    if any(run.connections for row in section.rows for run in row.runs):
        columns.append(("connections", _connections))
    if any(run.requests for row in section.rows for run in row.runs):
        columns.append(("requests", _requests))
    rows = [_row(row, [cell for _, cell in columns]) for row in section.rows]
    measured = ["", f"Measured {section.date} UTC at {section.version}."] if section.date else []
    return "\n".join([*lines, *_table(["", *(title for title, _ in columns)], rows), *measured, ""])


def _name(section: Section) -> str:
    """Return the title without its sizes."""
    return section.title.partition(":")[0]


def _row(row: Measured, cells: Sequence[Callable[[Measured], str]]) -> list[str]:
    if not row.runs:
        return [row.name, row.reason, *("" for _ in cells[1:])]
    return [row.name, *(cell(row) for cell in cells)]


def _speed_title(section: Section) -> str:
    return "s" if section.unit == "s" else f"{section.unit}/s"


def _speed(row: Measured) -> str:
    seconds = [run.seconds for run in row.runs]
    if row.amount is None:
        return f"{row.median:.3f} ({max(seconds):.3f} - {min(seconds):.3f})"
    slowest, fastest = row.amount / max(seconds), row.amount / min(seconds)
    return f"{row.speed:,.0f} ({slowest:,.0f} - {fastest:,.0f})"


def _ratio_to(peer: Measured) -> Callable[[Measured], str]:
    return lambda row: f"{row.speed / peer.speed:.2f}"


def _cpu_column(unit: str) -> tuple[str, Callable[[Measured], str]]:
    if unit == "s":
        return "CPU s", lambda row: f"{row.cpu:.3f}"
    title, work = ("CPU s/GiB", 2**30 / 1e6) if unit == "MB" else (f"CPU s/1,000 {unit}", 1000.0)
    return title, lambda row: f"{row.cpu * work / row.amount:.2f}" if row.amount else ""


def _peak(row: Measured) -> str:
    return f"{row.peak / 1e6:,.0f}" if row.peak else ""


def _connections(row: Measured) -> str:
    return _counts([run.connections for run in row.runs])


def _requests(row: Measured) -> str:
    return _counts([run.requests for run in row.runs])


def _counts(given: Sequence[int | None]) -> str:
    counts = [count for count in given if count is not None]
    if not counts:
        return ""
    return f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} - {max(counts):,}"


def _figure(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:,.1f}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_line(columns), _line(["---"] * len(columns)), *(_line(row) for row in rows)]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"

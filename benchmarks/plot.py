"""Draw how fast each tool was."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.kept import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 2
_OURS, _OTHERS = "#b5332e", "#8f9bab"
_DRAWN = ("large-", "small-", "line-")


def draw(sections: Sequence[Section], path: Path) -> bool:
    """Draw the transfers among the sections into an SVG file; return whether there were any."""
    import matplotlib
    from matplotlib.figure import Figure

    drawn = [section for section in sections if section.key.startswith(_DRAWN)]
    if not drawn:
        return False
    lines = -(-len(drawn) // _COLUMNS)
    figure = Figure(figsize=(11, 2.6 * lines), layout="constrained")
    axes = figure.subplots(lines, _COLUMNS, squeeze=False).flat
    for section, place in zip(drawn, axes, strict=False):
        _bars(section, place)
    for place in list(axes)[len(drawn) :]:
        place.set_visible(False)
    # Text stays text and names are not random: a new drawing differs only where the figures do.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "benchmarks"}):
        figure.savefig(path, metadata={"Date": None})
    return True


def _bars(section: Section, axes: "Axes") -> None:
    rows = [row for row in reversed(section.rows) if row.runs and row.amount]
    names = [row.name for row in rows]
    speeds = [row.speed for row in rows]
    colours = [_OTHERS if row.name in section.peers else _OURS for row in rows]
    slow = [
        speed - (row.amount or 0) / max(run.seconds for run in row.runs)
        for row, speed in zip(rows, speeds, strict=True)
    ]
    fast = [
        (row.amount or 0) / min(run.seconds for run in row.runs) - speed
        for row, speed in zip(rows, speeds, strict=True)
    ]
    axes.barh(names, speeds, color=colours, xerr=[slow, fast], error_kw={"linewidth": 0.8})
    axes.set_title(section.title, fontsize=9)
    axes.set_xlabel(f"{section.unit}/s", fontsize=8)
    axes.tick_params(labelsize=7)

"""Analyse a night of DL3 event lists (GADF): counts from the source and the background, per run and stacked.

Both example workflows run these four steps; each is a function and a command::

    python dl3_analysis.py runs hdu-index.fits.gz -o runs.json
    python dl3_analysis.py histogram events.fits.gz -o run.ecsv
    python dl3_analysis.py merge run1.ecsv run2.ecsv -o table.ecsv
    python dl3_analysis.py plot table.ecsv -o plot.png

The method is aperture photometry with reflected background regions (Berge, Funk and Hinton 2007, A&A 466, 1219):
events within ``THETA`` of the source are *on*; circles of the same size at the same distance from the pointing, where
the acceptance is the same, are *off*; ``ALPHA`` is one over their number. The distribution of the squared offset
from the source is compared with that from the point opposite to it, seen from the pointing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table, vstack

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THETA = 0.2  # radius of the on region and of each off region, deg
GAP = 0.3  # the source's own gamma rays must not reach an off region, deg
MIN_OFFSET = 0.4  # closer to the pointing there is no room for off regions, deg
ENERGY_EDGES = np.logspace(-1, 2, 16)  # TeV; events outside are not counted
THETA2_EDGES = np.linspace(0, 0.2, 21)  # deg2; sqrt(0.2) leaves the gap to the opposite point

BINNING = {"THETA": THETA, "ENERGY_EDGES": ENERGY_EDGES.tolist(), "THETA2_EDGES": THETA2_EDGES.tolist()}
"""What the tables carry in their metadata; only tables of one binning can be merged."""


def list_runs(hdu_index: Path) -> dict[int, str]:
    """Return the run numbers of an HDU index table, each with its event file, relative to the table's folder.

    Raises:
        ValueError: The index names no event list, or a run twice.
    """
    index = Table.read(hdu_index, hdu=1)
    rows = [row for row in index if str(row["HDU_TYPE"]).strip() == "events"]
    files = {
        int(row["OBS_ID"]): str(PurePosixPath(str(row["FILE_DIR"]).strip(), str(row["FILE_NAME"]).strip()))
        for row in rows
    }
    if not files or len(files) < len(rows):
        raise ValueError(f"{hdu_index}: expected one event list per run, found {len(rows)} of {len(files)} runs")
    return dict(sorted(files.items()))


def histogram(events_file: Path) -> Table:
    """Count one run's events and return a table of one row: the numbers and the histograms.

    Raises:
        ValueError: The source is less than ``MIN_OFFSET`` from the pointing.
    """
    events = Table.read(events_file, hdu="EVENTS")
    run = events.meta
    source = SkyCoord(run["RA_OBJ"], run["DEC_OBJ"], unit="deg")
    pointing = SkyCoord(run["RA_PNT"], run["DEC_PNT"], unit="deg")
    offset = pointing.separation(source)
    if offset.deg < MIN_OFFSET:
        raise ValueError(
            f"run {run['OBS_ID']}: the source is {offset.deg:.2f} deg from the pointing; "
            f"reflected regions need {MIN_OFFSET} deg"
        )
    energy = np.asarray(events["ENERGY"].quantity.to_value(u.TeV))
    inside = (energy >= ENERGY_EDGES[0]) & (energy < ENERGY_EDGES[-1])
    energy, events = energy[inside], events[inside]
    place = SkyCoord(events["RA"], events["DEC"])
    regions = off_regions(source, pointing)
    opposite = pointing.directional_offset_by(pointing.position_angle(source) + 180 * u.deg, offset)
    on = place.separation(source).deg < THETA
    off = (place[:, np.newaxis].separation(regions).deg < THETA).any(axis=1)
    alpha = 1 / len(regions)
    row = {
        "OBS_ID": int(run["OBS_ID"]),
        "OBJECT": str(run["OBJECT"]),
        "LIVETIME": float(run["LIVETIME"]) * u.s,
        "OFFSET": offset.to(u.deg),
        **statistics(int(on.sum()), int(off.sum()), alpha),
        "ENERGY_ON": np.histogram(energy[on], ENERGY_EDGES)[0],
        "ENERGY_OFF": np.histogram(energy[off], ENERGY_EDGES)[0],
        "THETA2_ON": np.histogram(place.separation(source).deg ** 2, THETA2_EDGES)[0],
        "THETA2_OFF": np.histogram(place.separation(opposite).deg ** 2, THETA2_EDGES)[0],
    }
    return Table([row], meta=BINNING)


def off_regions(source: SkyCoord, pointing: SkyCoord) -> SkyCoord:
    """Return the centres of the reflected regions: a ring of circles that touch, without those near the source."""
    offset = pointing.separation(source)
    count = int(np.pi / np.arcsin(np.sin(np.radians(THETA)) / np.sin(offset.rad)))
    angles = pointing.position_angle(source) + np.arange(1, count) * (360 / count) * u.deg
    centres = pointing.directional_offset_by(angles, offset)
    return centres[centres.separation(source).deg >= THETA + GAP]


def statistics(n_on: int, n_off: int, alpha: float) -> dict[str, int | float]:
    """Return counts, excess with its Poisson error and significance, under the names of the table's columns."""
    return {
        "N_ON": n_on,
        "N_OFF": n_off,
        "ALPHA": alpha,
        "EXCESS": n_on - alpha * n_off,
        "EXCESS_ERR": float(np.sqrt(n_on + alpha**2 * n_off)),
        "SIGNIFICANCE": li_ma(n_on, n_off, alpha),
    }


def li_ma(n_on: float, n_off: float, alpha: float) -> float:
    """Return the significance of an excess: Li and Ma 1983, ApJ 272, 317, equation 17; negative for a deficit."""
    total = n_on + n_off
    on_term = n_on * np.log((1 + alpha) / alpha * n_on / total) if n_on else 0.0
    off_term = n_off * np.log((1 + alpha) * n_off / total) if n_off else 0.0
    # Rounding can leave a tiny negative sum where on and off agree.
    return float(np.sign(n_on - alpha * n_off) * np.sqrt(max(0.0, 2 * (on_term + off_term))))


def merge(tables: Iterable[Table]) -> Table:
    """Return one table with a row per run, by run number; its metadata carries the sums under ``STACKED``.

    Raises:
        ValueError: No table, different binnings, a run twice, or runs of different sources.
    """
    parts = list(tables)
    if not parts or any({key: part.meta.get(key) for key in BINNING} != BINNING for part in parts):
        raise ValueError("merge needs at least one table, all made with this module's binning")
    table = vstack(parts, metadata_conflicts="silent")
    table.sort("OBS_ID")
    if len(set(table["OBS_ID"])) < len(table):
        raise ValueError(f"a run appears twice: {list(map(int, table['OBS_ID']))}")
    if len(set(table["OBJECT"])) > 1:
        raise ValueError(f"runs of different sources cannot be stacked: {sorted(set(map(str, table['OBJECT'])))}")
    table.meta = {**BINNING, "STACKED": stack(table)}
    return table


def stack(table: Table) -> dict[str, Any]:
    """Sum the runs. Each run's background is scaled before the sum, so runs may differ in their ``ALPHA``."""
    alpha = np.asarray(table["ALPHA"])
    n_on, n_off = int(table["N_ON"].sum()), int(table["N_OFF"].sum())
    # One alpha for all runs, such that it gives the same background.
    mean_alpha = float(alpha @ table["N_OFF"] / n_off) if n_off else float(alpha.mean())
    energy_on, energy_off = np.asarray(table["ENERGY_ON"]), np.asarray(table["ENERGY_OFF"])
    return {
        "LIVETIME": float(table["LIVETIME"].sum()),
        **statistics(n_on, n_off, mean_alpha),
        "ENERGY_ON": energy_on.sum(axis=0).tolist(),
        "ENERGY_BACKGROUND": (alpha @ energy_off).tolist(),
        "ENERGY_EXCESS": (energy_on.sum(axis=0) - alpha @ energy_off).tolist(),
        "ENERGY_EXCESS_ERR": np.sqrt(energy_on.sum(axis=0) + alpha**2 @ energy_off).tolist(),
        "THETA2_ON": np.asarray(table["THETA2_ON"]).sum(axis=0).tolist(),
        "THETA2_OFF": np.asarray(table["THETA2_OFF"]).sum(axis=0).tolist(),
    }


def plot(table: Table, path: Path) -> None:
    """Draw a merged table: counts against energy, against squared offset, and the excess of each run."""
    from matplotlib.figure import Figure

    total = table.meta["STACKED"]
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    energy, theta2, runs = figure.subplots(1, 3, width_ratios=(1.2, 1.2, 1))
    figure.suptitle(
        f"{table['OBJECT'][0]}: {len(table)} runs, {total['LIVETIME'] / 3600:.2f} h live, "
        f"excess {total['EXCESS']:.0f} ± {total['EXCESS_ERR']:.0f}, significance {total['SIGNIFICANCE']:.1f} $\\sigma$"
    )
    _draw_energy(energy, total, np.asarray(table.meta["ENERGY_EDGES"]))
    _draw_theta2(theta2, total, np.asarray(table.meta["THETA2_EDGES"]))
    _draw_runs(runs, table)
    for axes in (energy, theta2, runs):
        axes.grid(color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    # Without the version of matplotlib in it, equal tables give equal pictures.
    figure.savefig(path, dpi=150, metadata={"Software": None})


SOURCE_COLOUR, BACKGROUND_COLOUR = "#0072b2", "#d55e00"  # readable by the colour-blind


def _draw_energy(axes: Axes, total: dict[str, Any], edges: np.ndarray) -> None:
    centres = np.sqrt(edges[:-1] * edges[1:])
    excess, error = np.array(total["ENERGY_EXCESS"]), np.array(total["ENERGY_EXCESS_ERR"])
    some = excess > 0
    # The limits come first: a logarithmic axis cannot find them where all is zero.
    axes.set(xlim=edges[[0, -1]], ylim=(0.1, 3 * max(1, *total["ENERGY_ON"])))
    axes.set(xscale="log", yscale="log", xlabel="Energy / TeV", ylabel="Counts per bin")
    axes.stairs(total["ENERGY_ON"], edges, color=SOURCE_COLOUR, label="on source")
    background = total["ENERGY_BACKGROUND"]
    axes.stairs(background, edges, color=BACKGROUND_COLOUR, fill=True, alpha=0.35, label="background")
    # On a logarithmic axis a bar down to zero would have no end.
    lower = np.minimum(error, 0.95 * np.abs(excess))
    axes.errorbar(
        centres[some],
        excess[some],
        yerr=(lower[some], error[some]),
        fmt="o",
        color="black",
        markersize=4,
        label="excess",
    )
    axes.legend(frameon=False)


def _draw_theta2(axes: Axes, total: dict[str, Any], edges: np.ndarray) -> None:
    centres, half = (edges[:-1] + edges[1:]) / 2, np.diff(edges) / 2
    on, off = np.array(total["THETA2_ON"]), np.array(total["THETA2_OFF"])
    axes.stairs(off, edges, color=BACKGROUND_COLOUR, fill=True, alpha=0.35, label="from the opposite point")
    axes.errorbar(
        centres,
        on,
        xerr=half,
        yerr=np.sqrt(on),
        fmt="o",
        color=SOURCE_COLOUR,
        markersize=4,
        label="from the source",
    )
    axes.axvline(THETA**2, color="black", linestyle="--", linewidth=1, label="on region")
    axes.set(xlabel="Squared offset θ² / deg²", ylabel="Counts per bin", xlim=edges[[0, -1]])
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _draw_runs(axes: Axes, table: Table) -> None:
    hours = np.asarray(table["LIVETIME"].quantity.to_value(u.h))
    rate, error = table["EXCESS"] / hours, table["EXCESS_ERR"] / hours
    total = table.meta["STACKED"]
    axes.errorbar(range(len(table)), rate, yerr=error, fmt="o", color="black", markersize=5)
    axes.axhline(total["EXCESS"] / hours.sum(), color=SOURCE_COLOUR, linewidth=1.2, label="all runs")
    axes.set_xticks(range(len(table)), [str(run) for run in table["OBS_ID"]], rotation=45, ha="right")
    axes.set(xlabel="Run", ylabel="Excess per hour", xlim=(-0.6, len(table) - 0.4))
    axes.set_ylim(bottom=min(0, *(rate - error)))
    axes.legend(frameon=False)


def main() -> None:
    """Run one step of the analysis from the command line."""
    parser = argparse.ArgumentParser(description="Analyse a night of DL3 event lists.")
    steps = parser.add_subparsers(dest="step", required=True)
    for name, inputs in (
        ("runs", "an HDU index"),
        ("histogram", "an event list"),
        ("merge", "tables of runs"),
        ("plot", "a merged table"),
    ):
        step = steps.add_parser(name, help=f"read {inputs}")
        step.add_argument("inputs", type=Path, nargs="+" if name == "merge" else 1, help=inputs)
        step.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    if given.step == "runs":
        given.output.write_text(json.dumps(list_runs(given.inputs[0]), indent=1) + "\n")
    elif given.step == "histogram":
        histogram(given.inputs[0]).write(given.output, format="ascii.ecsv", overwrite=True)
    elif given.step == "merge":
        merge(map(Table.read, given.inputs)).write(given.output, format="ascii.ecsv", overwrite=True)
    else:
        plot(Table.read(given.inputs[0]), given.output)


if __name__ == "__main__":
    main()

"""Look at the quality of a night of DL1 files (lstchain's HDF5, one a subrun) and choose the runs that are good.

The DAG ``cta_dl1_night`` calls these functions; each is also a command::

    python dl1_quality.py summarise dl1_LST-1.Run19681.0000.h5 -o 0.ecsv
    python dl1_quality.py merge 0.ecsv 1.ecsv -o night.ecsv
    python dl1_quality.py plot night.ecsv -o night.png
    python dl1_quality.py choose night.ecsv -o good.ecsv

What is measured is the rate of cosmic-ray showers of a given brightness: the differential rate at 422 photoelectrons,
from a power law between 316 and 562. It falls when clouds or dust take light away, and hardly depends on anything else,
so a run is good when its light yield is that of the best runs of the night, within a tolerance.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.table import Table, vstack

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARAMETERS = "/dl1/event/telescope/parameters/LST_LSTCam"
COLUMNS = ("obs_id", "event_id", "event_type", "dragon_time", "intensity")
PEDESTAL, COSMIC = 2, 32
REFERENCE = 422.0  # photoelectrons: the middle of the range below, in logarithm
EDGES = np.logspace(np.log10(316.2), np.log10(562.3), 5)
TOLERANCE = 0.2  # of the rate at the reference
NAME = re.compile(r"dl1_LST-1\.Run(\d+)\.(\d+)\.h5")


def read_events(file: Path) -> np.ndarray:
    """Read the events of a subrun and check that they are what the file's name says, whole and in order.

    Raises:
        ValueError: When they are not; says what is wrong.
    """
    import h5py

    named = NAME.fullmatch(Path(file).name)
    if not named:
        raise ValueError(f"{file}: not the name of a DL1 file of a subrun")
    try:
        with h5py.File(file) as opened:
            events = opened[PARAMETERS].fields(COLUMNS)[:]
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{file}: cannot be read as DL1: {error}") from error
    if len(events) == 0:
        raise ValueError(f"{file}: no event")
    if set(np.unique(events["obs_id"])) != {int(named[1])}:
        raise ValueError(f"{file}: events of run {sorted(set(events['obs_id'].tolist()))}")
    if (np.diff(events["event_id"]) <= 0).any() or (np.diff(events["dragon_time"]) < 0).any():
        raise ValueError(f"{file}: events are not in order")
    return events


def summarise(file: Path) -> Table:
    """Check one subrun and return a table of one row that says how it was.

    Raises:
        ValueError: As `read_events`.
    """
    events = read_events(file)
    run, subrun = (int(number) for number in NAME.fullmatch(Path(file).name).groups())
    cosmics = events["intensity"][events["event_type"] == COSMIC]
    pedestals = events["intensity"][events["event_type"] == PEDESTAL]
    row = {
        "OBS_ID": run,
        "SUBRUN": subrun,
        "TSTART": float(events["dragon_time"][0]) * u.s,
        "ELAPSED": float(events["dragon_time"][-1] - events["dragon_time"][0]) * u.s,
        "N_COSMICS": len(cosmics),
        "N_PEDESTALS": len(pedestals),
        "PEDESTAL_STD": float(pedestals.std()) if len(pedestals) else float("nan"),
        "COUNTS": np.histogram(cosmics, EDGES)[0],
    }
    return Table([row])


def merge(tables: Iterable[Table]) -> Table:
    """Return one table with a row per subrun, in order; its metadata has a line for each run under ``RUNS``.

    Raises:
        ValueError: No table, or a subrun twice.
    """
    parts = list(tables)
    if not parts:
        raise ValueError("nothing to merge")
    night = vstack(parts)
    night.sort(["OBS_ID", "SUBRUN"])
    known = list(zip(night["OBS_ID"].tolist(), night["SUBRUN"].tolist(), strict=True))
    if len(set(known)) < len(known):
        raise ValueError(f"a subrun appears twice: {known}")
    night.meta = {"RUNS": [_run(night[night["OBS_ID"] == run]) for run in sorted(set(night["OBS_ID"].tolist()))]}
    return night


def _run(subruns: Table) -> dict[str, Any]:
    elapsed = float(subruns["ELAPSED"].sum())
    rate, error, index = light_yield(np.asarray(subruns["COUNTS"]).sum(axis=0), elapsed)
    return {
        "OBS_ID": int(subruns["OBS_ID"][0]),
        "SUBRUNS": len(subruns),
        "ELAPSED": elapsed,
        "RATE": float(subruns["N_COSMICS"].sum() / elapsed),
        "RATE_422": rate,
        "RATE_422_ERR": error,
        "INDEX": index,
    }


def light_yield(counts: np.ndarray, elapsed: float) -> tuple[float, float, float]:
    """Fit a power law to the counts in ``EDGES``.

    Returns:
        The differential rate at the reference, its error (both per second and photoelectron), and the index.
    """
    rate = counts / np.diff(EDGES) / elapsed
    some = counts > 0
    if some.sum() < 2:
        return 0.0, 0.0, float("nan")
    place = np.log(np.sqrt(EDGES[:-1] * EDGES[1:])[some] / REFERENCE)
    # The relative error of a count is one over its root.
    (index, height), covariance = np.polyfit(place, np.log(rate[some]), 1, w=np.sqrt(counts[some]), cov="unscaled")
    at_reference = float(np.exp(height))
    return at_reference, at_reference * float(np.sqrt(covariance[1, 1])), float(index)


def choose(night: Table) -> Table:
    """Return the good runs of a night: those whose light yield is at most the tolerance below that of the best.

    Raises:
        ValueError: The table was not made by `merge`.
    """
    if "RUNS" not in night.meta:
        raise ValueError("the table of a night has its runs in its metadata")
    runs = Table(rows=[dict(run) for run in night.meta["RUNS"]])
    good = runs[runs["RATE_422"] >= (1 - TOLERANCE) * max(runs["RATE_422"])]
    good.meta = {"TOLERANCE": TOLERANCE, "OF": len(runs)}
    return good


def plot(night: Table, path: Path) -> None:
    """Draw a merged table: the rate of each subrun in time, and the light yield of each run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    rates, yields = figure.subplots(1, 2, width_ratios=(1.6, 1))
    figure.suptitle(f"{len(night.meta['RUNS'])} runs, {len(night)} subruns")
    _draw_rates(rates, night)
    _draw_yields(yields, night.meta["RUNS"])
    for axes in (rates, yields):
        axes.grid(color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
    # Without the version of matplotlib in it, equal tables give equal pictures.
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _draw_rates(axes: Axes, night: Table) -> None:
    minutes = (night["TSTART"] - night["TSTART"].min()) / 60
    for run in sorted(set(night["OBS_ID"].tolist())):
        of_run = night["OBS_ID"] == run
        counts, seconds = night["N_COSMICS"][of_run], night["ELAPSED"][of_run]
        axes.errorbar(minutes[of_run], counts / seconds, yerr=np.sqrt(counts) / seconds, fmt=".", label=f"run {run}")
    axes.set(xlabel="Time since the first event / min", ylabel="Cosmic-ray events per second")


def _draw_yields(axes: Axes, runs: list[dict[str, Any]]) -> None:
    values, errors = ([run[name] for run in runs] for name in ("RATE_422", "RATE_422_ERR"))
    axes.errorbar(range(len(runs)), values, yerr=errors, fmt="o", color="black", label="dR/dI at 422 p.e.")
    axes.axhline((1 - TOLERANCE) * max(values), color="#d55e00", linestyle="--", label="good from here on")
    axes.set_xticks(range(len(runs)), [str(run["OBS_ID"]) for run in runs], rotation=45, ha="right")
    axes.set(xlabel="Run", ylabel="Light yield / (s$^{-1}$ p.e.$^{-1}$)", xlim=(-0.6, len(runs) - 0.4))


def main() -> None:
    """Run one step from the command line."""
    parser = argparse.ArgumentParser(description="Look at the quality of a night of DL1 files.")
    steps = parser.add_subparsers(dest="step", required=True)
    for name, inputs in (
        ("summarise", "a DL1 file"),
        ("merge", "tables of subruns"),
        ("plot", "the table of a night"),
        ("choose", "the table of a night"),
    ):
        step = steps.add_parser(name, help=f"read {inputs}")
        step.add_argument("inputs", type=Path, nargs="+" if name == "merge" else 1, help=inputs)
        step.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    if given.step == "plot":
        plot(Table.read(given.inputs[0]), given.output)
        return
    if given.step == "summarise":
        table = summarise(given.inputs[0])
    elif given.step == "merge":
        table = merge(map(Table.read, given.inputs))
    else:
        table = choose(Table.read(given.inputs[0]))
    table.write(given.output, format="ascii.ecsv", overwrite=True)


if __name__ == "__main__":
    main()

"""Make a night of small DL1 files, one a subrun, for tests and trials.

The format is that of lstchain (https://github.com/cta-observatory/cta-lstchain), cut down to the columns that a look at
the quality of the data needs: HDF5 with one row an event in ``/dl1/event/telescope/parameters/LST_LSTCam``. The content
is invented: cosmic rays whose intensities fall as a power law, and between them flat-field and pedestal events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

DEFAULT_RUNS = (19681, 19682)
DEFAULT_SEED = 20241114
TABLE = "/dl1/event/telescope/parameters/LST_LSTCam"
START = 1731621600.0
"""2024-11-14T22:00:00 UTC, in epoch seconds."""
SUBRUN_SECONDS = 8.0
FLATFIELD, PEDESTAL, COSMIC = 0, 2, 32
"""Types of events, as the camera's trigger tells them."""
CALIBRATION_RATE = 100.0
"""Flat-field events a second, and pedestals a second."""
MIN_INTENSITY, INTENSITY_INDEX = 50.0, 2.1


def write_dl1_night(
    folder: Path,
    *,
    runs: Sequence[int] = DEFAULT_RUNS,
    subruns: int = 5,
    events: int = 4000,
    cloudy: Sequence[int] = (),
    seed: int = DEFAULT_SEED,
) -> list[Path]:
    """Write one night of simulated subruns into a folder and return their files, in order.

    The same arguments give the same events. The folder is made if missing; files of the same names are replaced.

    Args:
        folder: Where ``dl1_LST-1.Run<run>.<subrun>.h5`` go.
        runs: Run numbers, each positive and named once.
        subruns: How many there are of each run.
        events: Cosmic-ray events of a subrun under a clear sky, on average.
        cloudy: Runs that see the showers through clouds, which take half of their light.
        seed: Seed of the random numbers; a subrun's events depend on it and the subrun only.

    Raises:
        ValueError: No runs, a run number that is repeated or not positive, or less than one subrun or event.
        ModuleNotFoundError: h5py is not installed.
    """
    if not runs or len(set(runs)) < len(runs) or min(runs) < 1:
        raise ValueError(f"run numbers must be positive and different from each other, got {list(runs)}")
    if subruns < 1 or events < 1:
        raise ValueError(f"subruns={subruns} and events={events} must be positive")
    folder.mkdir(parents=True, exist_ok=True)
    return list(_write_all(folder, runs, subruns, events, frozenset(cloudy), seed))


def _write_all(
    folder: Path, runs: Sequence[int], subruns: int, events: int, cloudy: frozenset[int], seed: int
) -> Iterator[Path]:
    import h5py
    import numpy as np

    for position, run in enumerate(runs):
        begin, first = START + position * subruns * SUBRUN_SECONDS, 1
        for subrun in range(subruns):
            rng = np.random.default_rng([seed, run, subrun])
            table = _events(rng, run, first, begin + subrun * SUBRUN_SECONDS, events, light=0.5 if run in cloudy else 1)
            first += len(table)
            path = folder / f"dl1_LST-1.Run{run:05d}.{subrun:04d}.h5"
            with h5py.File(path, "w", track_order=True) as file:
                file.create_dataset(TABLE, data=table)
            yield path


def _events(
    rng: np.random.Generator, run: int, first: int, begin: float, events: int, *, light: float
) -> np.ndarray[Any, Any]:
    """Simulate a subrun's events, in order of time."""
    import numpy as np

    calibration = round(CALIBRATION_RATE * SUBRUN_SECONDS)
    # What loses light falls below the threshold of the trigger: with a power law a part of the rate is gone.
    cosmics = rng.poisson(events * light ** (INTENSITY_INDEX - 1))
    kinds = np.concatenate([np.full(cosmics, COSMIC), np.full(calibration, FLATFIELD), np.full(calibration, PEDESTAL)])
    bright = np.concatenate(
        [
            MIN_INTENSITY * rng.uniform(0, 1, cosmics) ** (1 / (1 - INTENSITY_INDEX)),
            rng.normal(170_000, 2_000, calibration),  # the lamp shines below the clouds
            rng.normal(0, 30, calibration),
        ]
    )
    mixed = rng.permutation(len(kinds))
    table = np.zeros(
        len(kinds),
        dtype=[
            ("obs_id", "i8"),
            ("event_id", "i8"),
            ("event_type", "i8"),
            ("dragon_time", "f8"),
            ("intensity", "f8"),
            ("length", "f8"),
            ("width", "f8"),
        ],
    )
    table["obs_id"] = run
    table["event_id"] = first + np.arange(len(kinds))
    table["event_type"] = kinds[mixed]
    table["dragon_time"] = np.sort(rng.uniform(begin, begin + SUBRUN_SECONDS, len(kinds)))
    table["intensity"] = bright[mixed]
    table["length"] = rng.lognormal(-1.3, 0.3, len(kinds))
    table["width"] = table["length"] * rng.uniform(0.2, 0.9, len(kinds))
    return table

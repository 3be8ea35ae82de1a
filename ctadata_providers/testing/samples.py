"""Make a night of small DL3 event lists with its index tables, for tests and trials.

The format is GADF 0.2 (https://gamma-astro-data-formats.readthedocs.io): one file a run with the HDUs EVENTS and
GTI, and beside them ``obs-index.fits.gz`` and ``hdu-index.fits.gz``. The content is invented: a point source at the
Crab nebula's position, seen in wobble mode above a background that falls off with the distance from the pointing.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

DEFAULT_RUNS = (19681, 19682, 19683, 19684)
DEFAULT_SEED = 20241114

OBJECT = "Crab Nebula"
RA_OBJ, DEC_OBJ = 83.6333, 22.0144
WOBBLE_OFFSET = 0.5
"""Distance of the source from the pointing, degrees."""

# 2001-01-01T00:00:00 UTC expressed in TT, the reference of H.E.S.S. files.
MJDREFI, MJDREFF = 51910, 0.000742870370370241
REFERENCE_TT = datetime(2001, 1, 1) + timedelta(seconds=64.184)
FIRST_START_TT = datetime(2024, 11, 14, 22, 0)
RUN_SPACING, ONTIME, LIVE_FRACTION = 1800.0, 1200.0, 0.95
ALT_PNT, AZ_PNT = 68.0, 150.0

SIGNAL_EVENTS, SIGNAL_INDEX, SIGNAL_WIDTH = 90.0, 2.4, 0.06
BACKGROUND_EVENTS, BACKGROUND_INDEX, BACKGROUND_WIDTH = 600.0, 2.7, 1.2
MIN_ENERGY, MAX_ENERGY = 0.3, 50.0

GADF = {
    "HDUCLASS": "GADF",
    "HDUDOC": "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats",
    "HDUVERS": "0.2",
}
TIME_REFERENCE = {
    "MJDREFI": MJDREFI,
    "MJDREFF": MJDREFF,
    "TIMEUNIT": "s",
    "TIMESYS": "TT",
    "TIMEREF": "local",
}
SITE = {"GEOLON": -17.8915, "GEOLAT": 28.7615, "ALTITUDE": 2184.0}
"""LST-1 on La Palma: degrees and metres."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run's pointing and clock; times are seconds since the reference."""

    obs_id: int
    ra_pnt: float
    dec_pnt: float
    start: float

    @property
    def stop(self) -> float:
        return self.start + ONTIME

    @property
    def file_name(self) -> str:
        return f"sample_dl3_obs_id_{self.obs_id:06d}.fits.gz"

    @property
    def dates(self) -> dict[str, str]:
        """The GADF date and time strings, in TT as ``TIMESYS`` says."""
        start, stop = (REFERENCE_TT + timedelta(seconds=met) for met in (self.start, self.stop))
        return {
            "DATE-OBS": start.date().isoformat(),
            "TIME-OBS": start.time().isoformat("milliseconds"),
            "DATE-END": stop.date().isoformat(),
            "TIME-END": stop.time().isoformat("milliseconds"),
        }

    @property
    def header(self) -> dict[str, str | int | float]:
        """What the EVENTS header and this run's row of the observation index have in common."""
        return {
            "OBS_ID": self.obs_id,
            "RA_PNT": self.ra_pnt,
            "DEC_PNT": self.dec_pnt,
            "ALT_PNT": ALT_PNT,
            "AZ_PNT": AZ_PNT,
            "OBJECT": OBJECT,
            "RA_OBJ": RA_OBJ,
            "DEC_OBJ": DEC_OBJ,
            "ONTIME": ONTIME,
            "LIVETIME": ONTIME * LIVE_FRACTION,
            "DEADC": LIVE_FRACTION,
            "TSTART": self.start,
            "TSTOP": self.stop,
            **self.dates,
            "N_TELS": 1,
            "TELLIST": "1",
        }


def write_night(folder: Path, *, runs: Sequence[int] = DEFAULT_RUNS, seed: int = DEFAULT_SEED) -> list[int]:
    """Write one night of simulated runs into a folder and return their numbers.

    The same runs and seed give the same bytes. The folder and its ``data`` subfolder are made if missing; files of
    the same names are replaced, others are left alone.

    Args:
        folder: Where ``obs-index.fits.gz``, ``hdu-index.fits.gz`` and ``data/`` go.
        runs: Run numbers, each positive and named once.
        seed: Seed of the random numbers; a run's events depend on it and the run number only.

    Raises:
        ValueError: No runs, or a run number that is repeated or not positive.
        ModuleNotFoundError: astropy is not installed.
    """
    if not runs or len(set(runs)) < len(runs) or min(runs) < 1:
        raise ValueError(f"run numbers must be positive and different from each other, got {list(runs)}")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    observed = [_point(number, position) for position, number in enumerate(runs)]
    observations, hdus = [], []
    for run in observed:
        events, gti = _events_hdu(run, seed=seed), _gti_hdu(run)
        _write(folder / "data" / run.file_name, events, gti)
        observations.append({**run.header, "EVENT_COUNT": len(events.data)})
        hdus += [_hdu_row(run, hdu) for hdu in (events, gti)]
    _write(folder / "obs-index.fits.gz", _observation_index(observations))
    _write(folder / "hdu-index.fits.gz", _hdu_index(hdus))
    return list(runs)


def _point(number: int, position: int) -> _Run:
    """Point beside the source: north, south, east, west of it in turn."""
    angle = (0.0, 180.0, 90.0, 270.0)[position % 4]
    ra, dec = _offset(RA_OBJ, DEC_OBJ, angle=angle, distance=WOBBLE_OFFSET)
    start = (FIRST_START_TT - REFERENCE_TT).total_seconds() + position * RUN_SPACING
    return _Run(obs_id=number, ra_pnt=float(ra), dec_pnt=float(dec), start=start)


def _offset(ra: float, dec: float, *, angle: Any, distance: Any) -> tuple[Any, Any]:
    """Go from a place on the sphere a distance in a direction (east of north); degrees, also arrays."""
    from astropy import units as u  # type: ignore[import-untyped]  # astropy ships no type information
    from astropy.coordinates import SkyCoord  # type: ignore[import-untyped]  # same

    place = SkyCoord(ra, dec, unit="deg").directional_offset_by(angle * u.deg, distance * u.deg)
    return place.ra.deg, place.dec.deg


def _events_hdu(run: _Run, *, seed: int) -> Any:
    """Simulate the run's events, in order of time, as the EVENTS HDU."""
    import numpy as np

    rng = np.random.default_rng([seed, run.obs_id])
    signal, background = rng.poisson(SIGNAL_EVENTS), rng.poisson(BACKGROUND_EVENTS)
    source = _scatter(rng, signal, RA_OBJ, DEC_OBJ, width=SIGNAL_WIDTH)
    field = _scatter(rng, background, run.ra_pnt, run.dec_pnt, width=BACKGROUND_WIDTH)
    energy = np.concatenate(
        [_power_law(rng, signal, index=SIGNAL_INDEX), _power_law(rng, background, index=BACKGROUND_INDEX)]
    )
    count = signal + background
    mixed = rng.permutation(count)
    ra, dec = (np.concatenate([source[axis], field[axis]])[mixed] for axis in (0, 1))
    hdu = _table_hdu(
        "EVENTS",
        [
            ("EVENT_ID", "1K", None, np.arange(1, count + 1)),
            ("TIME", "1D", "s", np.sort(rng.uniform(run.start, run.stop, count))),
            ("RA", "1E", "deg", ra),
            ("DEC", "1E", "deg", dec),
            ("ENERGY", "1E", "TeV", energy[mixed]),
        ],
    )
    hdu.header.update(
        {
            **GADF,
            "HDUCLAS1": "EVENTS",
            "ORIGIN": "ctadata-providers",
            "CREATOR": "ctadata_providers.testing",
            "TELESCOP": "CTAO-N",
            "INSTRUME": "LST-1",
            **SITE,
            **TIME_REFERENCE,
            **run.header,
            "TELAPSE": ONTIME,
            "OBS_MODE": "WOBBLE",
            "RADECSYS": "FK5",
            "EQUINOX": 2000.0,
            "EUNIT": "TeV",
        }
    )
    hdu.header["COMMENT"] = "Simulated events for tests and trials: no observation was made."
    return hdu


def _scatter(
    rng: np.random.Generator, count: int, ra: float, dec: float, *, width: float
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Scatter directions about a centre, normally in two dimensions with this width in degrees."""
    right, declination = _offset(ra, dec, angle=rng.uniform(0, 360, count), distance=rng.rayleigh(width, count))
    return right, declination


def _power_law(rng: np.random.Generator, count: int, *, index: float) -> np.ndarray[Any, Any]:
    """Draw energies in TeV from dN/dE ~ E^-index between the limits."""
    low, high = (energy ** (1 - index) for energy in (MIN_ENERGY, MAX_ENERGY))
    drawn: np.ndarray[Any, Any] = rng.uniform(high, low, count) ** (1 / (1 - index))
    return drawn


def _gti_hdu(run: _Run) -> Any:
    """Make the GTI HDU: the whole run is one good time interval."""
    hdu = _table_hdu("GTI", [("START", "1D", "s", [run.start]), ("STOP", "1D", "s", [run.stop])])
    hdu.header.update({**GADF, "HDUCLAS1": "GTI", **TIME_REFERENCE, "TSTART": run.start, "TSTOP": run.stop})
    return hdu


def _observation_index(rows: list[dict[str, Any]]) -> Any:
    """Make the table with one row per run."""
    units = {"RA": "deg", "DEC": "deg", "ALT": "deg", "AZ": "deg", "ONTIME": "s", "LIVETIME": "s"}
    units |= {"TSTART": "s", "TSTOP": "s"}
    hdu = _rows_hdu("OBS_INDEX", rows, units={name: units.get(name.split("_")[0]) for name in rows[0]})
    hdu.header.update({**GADF, "HDUCLAS1": "INDEX", "HDUCLAS2": "OBS", **TIME_REFERENCE})
    return hdu


def _hdu_index(rows: list[dict[str, Any]]) -> Any:
    """Make the table that says in which file which HDU of which run is."""
    hdu = _rows_hdu("HDU_INDEX", rows, units={})
    hdu.header.update({**GADF, "HDUCLAS1": "INDEX", "HDUCLAS2": "HDU"})
    return hdu


def _hdu_row(run: _Run, hdu: Any) -> dict[str, str | int]:
    kind = hdu.name.lower()
    return {
        "OBS_ID": run.obs_id,
        "HDU_TYPE": kind,
        "HDU_CLASS": kind,
        "FILE_DIR": "data",
        "FILE_NAME": run.file_name,
        "HDU_NAME": hdu.name,
        "SIZE": int(hdu.filebytes()),
    }


def _rows_hdu(name: str, rows: list[dict[str, Any]], *, units: dict[str, str | None]) -> Any:
    """Make a table from rows; texts get the width of the longest."""
    columns: list[tuple[str, str, str | None, Any]] = []
    for key, first in rows[0].items():
        values = [row[key] for row in rows]
        kind = {int: "K", float: "D"}.get(type(first)) or f"{max(map(len, values))}A"
        columns.append((key, kind, units.get(key), values))
    return _table_hdu(name, columns)


def _table_hdu(name: str, columns: Sequence[tuple[str, str, str | None, Any]]) -> Any:
    """Make a FITS table from (name, FITS format, unit, values)."""
    from astropy.io import fits  # type: ignore[import-untyped]  # astropy ships no type information

    return fits.BinTableHDU.from_columns(
        [fits.Column(name=key, format=kind, unit=unit, array=values) for key, kind, unit, values in columns],
        name=name,
    )


def _write(path: Path, *hdus: Any) -> None:
    """Write a gzipped FITS file that has no date in it, so that equal content is equal bytes."""
    from astropy.io import fits

    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(buffer)
    path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))

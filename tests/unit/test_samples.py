"""A night of sample files: GADF columns, units, headers and indices, and events that suit them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from ctadata_providers.testing.samples import write_night

RUNS = [7, 19682, 19683]


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    write_night(folder, runs=RUNS, seed=1)
    return folder


@pytest.fixture(scope="module", params=RUNS)
def run_file(night, request):
    return night / "data" / f"sample_dl3_obs_id_{request.param:06d}.fits.gz"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.gz")}


def test_night_holds_one_file_per_run_and_both_indices(night):
    assert sorted(contents(night)) == [
        "data/sample_dl3_obs_id_000007.fits.gz",
        "data/sample_dl3_obs_id_019682.fits.gz",
        "data/sample_dl3_obs_id_019683.fits.gz",
        "hdu-index.fits.gz",
        "obs-index.fits.gz",
    ]


def test_run_numbers_are_returned_in_the_order_given(tmp_path):
    assert write_night(tmp_path, runs=(12, 5)) == [12, 5]


def test_same_seed_gives_same_bytes(night, tmp_path):
    write_night(tmp_path, runs=RUNS, seed=1)

    assert contents(tmp_path) == contents(night)


def test_other_seed_gives_other_events(night, tmp_path):
    write_night(tmp_path, runs=RUNS, seed=2)

    name = "data/sample_dl3_obs_id_019682.fits.gz"
    assert (tmp_path / name).read_bytes() != (night / name).read_bytes()


@pytest.mark.parametrize("runs", [(), (3, 3), (0,), (-1, 4)])
def test_impossible_run_numbers_are_refused_and_nothing_is_written(runs, tmp_path):
    with pytest.raises(ValueError, match="run numbers"):
        write_night(tmp_path / "night", runs=runs)

    assert not (tmp_path / "night").exists()


def test_events_have_gadf_columns_types_and_units(run_file):
    with fits.open(run_file) as hdus:
        columns = hdus["EVENTS"].columns

    assert [(column.name, column.format, column.unit) for column in columns] == [
        ("EVENT_ID", "1K", None),
        ("TIME", "1D", "s"),
        ("RA", "1E", "deg"),
        ("DEC", "1E", "deg"),
        ("ENERGY", "1E", "TeV"),
    ]


def test_events_header_has_what_gadf_asks_for(run_file):
    header = fits.getheader(run_file, "EVENTS")

    assert (header["HDUCLASS"], header["HDUVERS"], header["HDUCLAS1"]) == ("GADF", "0.2", "EVENTS")
    assert header["HDUDOC"].startswith("https://")
    assert f"{header['OBS_ID']:06d}" in run_file.name
    assert header["LIVETIME"] == pytest.approx(header["ONTIME"] * header["DEADC"])
    assert header["TSTOP"] - header["TSTART"] == pytest.approx(header["ONTIME"])
    wanted = "TELESCOP INSTRUME ORIGIN CREATOR OBJECT RA_OBJ DEC_OBJ RA_PNT DEC_PNT ALT_PNT AZ_PNT RADECSYS EQUINOX"
    wanted += " OBS_MODE N_TELS TELLIST GEOLON GEOLAT ALTITUDE EUNIT TIMEUNIT TIMESYS TIMEREF TELAPSE"
    assert [key for key in wanted.split() if key not in header] == []


def test_dates_in_the_header_agree_with_the_mission_time(run_file):
    header = fits.getheader(run_file, "EVENTS")
    reference = Time(header["MJDREFI"], header["MJDREFF"], format="mjd", scale=header["TIMESYS"].lower())

    for met, end in (("TSTART", "OBS"), ("TSTOP", "END")):
        written = Time(f"{header[f'DATE-{end}']}T{header[f'TIME-{end}']}", scale="tt")
        assert abs((reference - written).sec + header[met]) < 0.001


def test_events_lie_in_the_good_time_interval_in_order_of_time(run_file):
    events, interval = Table.read(run_file, hdu="EVENTS"), Table.read(run_file, hdu="GTI")

    assert interval["START"].unit == interval["STOP"].unit == "s"
    assert (np.diff(events["TIME"]) >= 0).all()
    assert interval["START"][0] <= events["TIME"].min()
    assert events["TIME"].max() <= interval["STOP"][0]
    assert len(set(events["EVENT_ID"])) == len(events)


def test_a_run_has_several_hundred_events_and_a_source_on_a_background(run_file):
    events = Table.read(run_file, hdu="EVENTS")
    place = SkyCoord(events["RA"], events["DEC"])
    source = SkyCoord(events.meta["RA_OBJ"], events.meta["DEC_OBJ"], unit="deg")
    pointing = SkyCoord(events.meta["RA_PNT"], events.meta["DEC_PNT"], unit="deg")
    opposite = source.directional_offset_by(source.position_angle(pointing), 2 * source.separation(pointing))

    assert source.separation(pointing).deg == pytest.approx(0.5)
    assert 500 < len(events) < 1000
    near_source, near_opposite = (int((place.separation(x).deg < 0.2).sum()) for x in (source, opposite))
    assert near_source - near_opposite > 60
    assert near_opposite > 0
    assert events["ENERGY"].min() >= 0.3
    assert events["ENERGY"].max() <= 50


def test_pointing_changes_from_run_to_run(night):
    index = Table.read(night / "obs-index.fits.gz", hdu="OBS_INDEX")

    assert len({(row["RA_PNT"], row["DEC_PNT"]) for row in index}) == len(RUNS)


def test_observation_index_repeats_the_headers(night):
    index = Table.read(night / "obs-index.fits.gz", hdu="OBS_INDEX")

    assert (index.meta["HDUCLAS1"], index.meta["HDUCLAS2"]) == ("INDEX", "OBS")
    assert list(index["OBS_ID"]) == RUNS
    assert (index["RA_PNT"].unit, index["LIVETIME"].unit, index["TSTART"].unit) == ("deg", "s", "s")
    for row in index:
        events = fits.getheader(night / "data" / f"sample_dl3_obs_id_{row['OBS_ID']:06d}.fits.gz", "EVENTS")
        assert row["EVENT_COUNT"] == events["NAXIS2"]
        shared = [name for name in index.colnames if name != "EVENT_COUNT"]
        assert [row[name] for name in shared] == [events[name] for name in shared]


def test_hdu_index_leads_to_every_hdu(night):
    index = Table.read(night / "hdu-index.fits.gz", hdu="HDU_INDEX")

    assert (index.meta["HDUCLAS1"], index.meta["HDUCLAS2"]) == ("INDEX", "HDU")
    assert [(row["OBS_ID"], row["HDU_TYPE"]) for row in index] == [
        (run, kind) for run in RUNS for kind in ("events", "gti")
    ]
    for row in index:
        with fits.open(night / row["FILE_DIR"] / row["FILE_NAME"]) as hdus:
            assert hdus[row["HDU_NAME"]].header["HDUCLAS1"] == row["HDU_NAME"]
            assert hdus[row["HDU_NAME"]].filebytes() == row["SIZE"]


def test_importing_samples_imports_no_astropy():
    code = "import sys, ctadata_providers.testing.samples; sys.exit('astropy' in sys.modules or 'numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The example analysis: counts that are known beforehand, background regions, sums, files."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from ctadata_providers.testing.samples import write_night

SCRIPT = Path(__file__).parents[2] / "example_workflows" / "dl3_analysis.py"
_spec = importlib.util.spec_from_file_location("dl3_analysis", SCRIPT)
analysis = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(analysis)

POINTING = SkyCoord(80.0, 20.0, unit="deg")


def write_events(path, positions, energies, *, obs_id=1, offset=0.5, object_name="Crab Nebula"):
    """Write an event list whose source lies due east of the pointing; return the path."""
    source = POINTING.directional_offset_by(90 * u.deg, offset * u.deg)
    meta = {
        "EXTNAME": "EVENTS",
        "OBS_ID": obs_id,
        "OBJECT": object_name,
        "LIVETIME": 600.0,
        "RA_PNT": POINTING.ra.deg,
        "DEC_PNT": POINTING.dec.deg,
        "RA_OBJ": source.ra.deg,
        "DEC_OBJ": source.dec.deg,
    }
    columns = {"RA": positions.ra, "DEC": positions.dec, "ENERGY": np.asarray(energies) * u.TeV}
    Table(columns, meta=meta).write(path, overwrite=True)
    return path


def around(angles, distances):
    """Places seen from the pointing: position angles (the source's is 90) and distances, degrees."""
    return POINTING.directional_offset_by(np.asarray(angles) * u.deg, np.asarray(distances) * u.deg)


def known_run(path, **keywords):
    """A run with 5 events at the source, 7 in off regions and 6 in neither.

    With an offset of 0.5 deg seven circles of 0.2 deg fit around the pointing; those next to the source's are left out.
    """
    step = 360 / 7
    on = [(90, 0.5), (90, 0.5), (90, 0.62), (90, 0.35), (78, 0.5)]
    off = [(90 + k * step, 0.5) for k in (2, 3, 4, 5)] + [(90 + 3 * step, 0.65)] * 2 + [(90 + 2 * step - 10, 0.45)]
    neither = [(0, 0.0), (90 + step, 0.5), (90 - step, 0.5), (90, 0.75), (270, 1.5), (90, 0.25)]
    angles, distances = zip(*on, *off, *neither, strict=True)
    energies = [0.2, 0.2, 3.0, 30.0, 30.0] + [0.2] * 4 + [3.0] * 3 + [1.0] * 6
    return write_events(path, around(angles, distances), energies, **keywords)


def test_counts_are_those_put_in(tmp_path):
    (row,) = analysis.histogram(known_run(tmp_path / "run.fits", obs_id=42))

    assert (row["OBS_ID"], row["OBJECT"], row["LIVETIME"]) == (42, "Crab Nebula", 600)
    assert row["OFFSET"] == pytest.approx(0.5)
    assert (row["N_ON"], row["N_OFF"], row["ALPHA"]) == (5, 7, 1 / 4)
    assert row["EXCESS"] == 5 - 7 / 4
    assert row["EXCESS_ERR"] == pytest.approx((5 + 7 / 16) ** 0.5)


def test_energies_fall_into_their_bins(tmp_path):
    (row,) = analysis.histogram(known_run(tmp_path / "run.fits"))

    bins = np.searchsorted(analysis.ENERGY_EDGES, [0.2, 3.0, 30.0]) - 1
    assert list(row["ENERGY_ON"][bins]) == [2, 1, 2]
    assert list(row["ENERGY_OFF"][bins]) == [4, 3, 0]
    assert (row["ENERGY_ON"].sum(), row["ENERGY_OFF"].sum()) == (row["N_ON"], row["N_OFF"])


def test_squared_offsets_are_from_the_source_and_from_the_opposite_point(tmp_path):
    places = around([90, 90, 90, 270, 270], [0.5, 0.65, 0.81, 0.5, 0.62])

    (row,) = analysis.histogram(write_events(tmp_path / "run.fits", places, [1.0] * 5))

    on, off = np.zeros(20), np.zeros(20)
    on[[0, 2, 9]] = 1  # 0, 0.15 and 0.31 deg: 0, 0.0225 and 0.0961 deg2
    off[[0, 1]] = 1  # 0 and 0.12 deg: 0 and 0.0144 deg2
    assert (list(row["THETA2_ON"]), list(row["THETA2_OFF"])) == (list(on), list(off))


def test_energies_outside_the_bins_are_counted_nowhere(tmp_path):
    places = around([90] * 4, [0.5] * 4)

    (row,) = analysis.histogram(write_events(tmp_path / "run.fits", places, [0.09, 0.11, 99.0, 101.0]))

    assert (row["N_ON"], row["ENERGY_ON"].sum(), row["THETA2_ON"].sum()) == (2, 2, 2)


@pytest.mark.parametrize("offset", [0.4, 0.5, 0.7, 1.0, 1.5, 2.5])
def test_off_regions_are_as_far_from_the_pointing_apart_and_clear_of_the_source(offset):
    source = around([37], [offset])[0]

    regions = analysis.off_regions(source, POINTING)

    apart = regions[:, np.newaxis].separation(regions).deg + 10 * np.eye(len(regions))
    assert len(regions) >= 2
    assert regions.separation(POINTING).deg == pytest.approx(offset)
    assert apart.min() >= 2 * analysis.THETA - 1e-9
    assert regions.separation(source).deg.min() >= analysis.THETA + analysis.GAP


@pytest.mark.parametrize("offset", [0.5, 1.5])
def test_a_field_without_source_has_no_excess(offset, tmp_path):
    rng = np.random.default_rng(5)
    places = around(rng.uniform(0, 360, 40_000), rng.rayleigh(1.0, 40_000))

    (row,) = analysis.histogram(
        write_events(tmp_path / "run.fits", places, rng.uniform(0.2, 50, 40_000), offset=offset)
    )

    assert row["N_OFF"] > 1000
    assert abs(row["SIGNIFICANCE"]) < 3
    assert abs(row["THETA2_ON"].sum() - row["THETA2_OFF"].sum()) < 4 * (2 * row["THETA2_OFF"].sum()) ** 0.5


def test_source_at_the_pointing_is_refused(tmp_path):
    run = write_events(tmp_path / "run.fits", around([90], [0.3]), [1.0], obs_id=9, offset=0.3)

    with pytest.raises(ValueError, match=r"run 9: the source is 0\.30 deg from the pointing"):
        analysis.histogram(run)


@pytest.mark.parametrize(
    ("n_on", "n_off", "alpha", "significance"),
    # Square roots of the Wstat test statistic as gammapy 2.1 gives them.
    [
        (13, 11, 0.5, 2.09283236849328),
        (374, 107, 0.25, 27.23521014571256),
        (5, 40, 0.25, -1.5971770733406216),
        (8, 0, 0.25, 5.074544964718078),
        (0, 9, 0.5, -2.701549915501648),
        (10, 40, 0.25, 0),
        (0, 0, 0.25, 0),
    ],
)
def test_significance_is_that_of_li_and_ma(n_on, n_off, alpha, significance):
    assert analysis.li_ma(n_on, n_off, alpha) == pytest.approx(significance)


def merged(tmp_path):
    """Merge two runs of different background scale: 5 on, 7 off at 1/4; 3 on, 1 off at 1/20."""
    # At 1.5 deg there is room for 23 circles; the source's and its two neighbours' are left out.
    places = around([90, 90, 90, 90 + 10 * 360 / 23], [1.5] * 4)
    wide = write_events(tmp_path / "wide.fits", places, [1.0] * 4, obs_id=3, offset=1.5)
    return analysis.merge([analysis.histogram(run) for run in (known_run(tmp_path / "run.fits", obs_id=8), wide)])


def test_merged_table_has_a_row_per_run_by_number(tmp_path):
    table = merged(tmp_path)

    assert list(table["OBS_ID"]) == [3, 8]
    assert list(table["N_ON"]) == [3, 5]
    assert list(table["N_OFF"]) == [1, 7]
    assert list(table["ALPHA"]) == [1 / 20, 1 / 4]


def test_runs_are_stacked_with_their_own_background_scale(tmp_path):
    table = merged(tmp_path)

    total = table.meta["STACKED"]
    assert (total["LIVETIME"], total["N_ON"], total["N_OFF"]) == (1200, 8, 8)
    assert total["ALPHA"] == pytest.approx((1 / 20 + 7 / 4) / 8)
    assert total["EXCESS"] == pytest.approx(8 - 1 / 20 - 7 / 4)
    assert total["EXCESS"] == pytest.approx(table["EXCESS"].sum())
    assert sum(total["ENERGY_ON"]) == 8
    assert sum(total["ENERGY_BACKGROUND"]) == pytest.approx(1 / 20 + 7 / 4)
    assert sum(total["ENERGY_EXCESS"]) == pytest.approx(total["EXCESS"])
    assert np.square(total["ENERGY_EXCESS_ERR"]).sum() == pytest.approx(8 + 1 / 400 + 7 / 16)
    assert total["THETA2_ON"] == table["THETA2_ON"].sum(axis=0).tolist()
    assert total["THETA2_OFF"] == table["THETA2_OFF"].sum(axis=0).tolist()


def test_merged_table_survives_ecsv(tmp_path):
    table = merged(tmp_path)

    table.write(tmp_path / "table.ecsv")
    again = Table.read(tmp_path / "table.ecsv")

    assert again.colnames == table.colnames
    assert all((again[name] == table[name]).all() for name in table.colnames)
    assert again["LIVETIME"].unit == "s"
    assert again.meta == table.meta


def test_a_run_that_comes_twice_is_refused(tmp_path):
    run = analysis.histogram(known_run(tmp_path / "run.fits"))

    with pytest.raises(ValueError, match="twice"):
        analysis.merge([run, run])


def test_runs_of_different_sources_are_refused(tmp_path):
    runs = [
        analysis.histogram(known_run(tmp_path / "run.fits", obs_id=number, object_name=name))
        for number, name in enumerate(["Crab Nebula", "Mrk 421"])
    ]

    with pytest.raises(ValueError, match=r"Crab Nebula.*Mrk 421"):
        analysis.merge(runs)


def test_tables_of_another_binning_and_no_tables_are_refused(tmp_path):
    run = analysis.histogram(known_run(tmp_path / "run.fits"))
    run.meta["THETA"] = 0.1

    for tables in ([run], []):
        with pytest.raises(ValueError, match="binning"):
            analysis.merge(tables)


def test_runs_and_their_files_come_from_the_index(tmp_path):
    write_night(tmp_path, runs=[30, 4])

    assert list(analysis.list_runs(tmp_path / "hdu-index.fits.gz").items()) == [
        (4, "data/sample_dl3_obs_id_000004.fits.gz"),
        (30, "data/sample_dl3_obs_id_000030.fits.gz"),
    ]


@pytest.mark.parametrize("kinds", [["gti"], ["events", "events"]])
def test_index_without_one_event_list_per_run_is_refused(kinds, tmp_path):
    columns = {"OBS_ID": [5] * len(kinds), "HDU_TYPE": kinds, "FILE_DIR": ["data"] * len(kinds)}
    Table({**columns, "FILE_NAME": [f"{n}.fits" for n in range(len(kinds))]}).write(tmp_path / "index.fits")

    with pytest.raises(ValueError, match="one event list per run"):
        analysis.list_runs(tmp_path / "index.fits")


def test_sample_night_gives_the_significance_it_was_made_for(tmp_path):
    write_night(tmp_path, runs=[1, 2, 3])
    files = analysis.list_runs(tmp_path / "hdu-index.fits.gz")

    total = analysis.merge(analysis.histogram(tmp_path / file) for file in files.values()).meta["STACKED"]

    # 90 gamma rays a run, nearly all within the on region.
    assert total["EXCESS"] == pytest.approx(270, abs=3 * total["EXCESS_ERR"])
    assert total["SIGNIFICANCE"] > 15


def command(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["dl3_analysis.py", *map(str, words)])
    analysis.main()


def test_commands_lead_from_the_index_to_the_plot(tmp_path, monkeypatch):
    write_night(tmp_path, runs=[1, 2])

    command(monkeypatch, "runs", tmp_path / "hdu-index.fits.gz", "-o", tmp_path / "runs.json")
    for run in (1, 2):
        file = tmp_path / "data" / f"sample_dl3_obs_id_{run:06d}.fits.gz"
        command(monkeypatch, "histogram", file, "-o", tmp_path / f"{run}.ecsv")
    command(monkeypatch, "merge", tmp_path / "2.ecsv", tmp_path / "1.ecsv", "-o", tmp_path / "table.ecsv")
    command(monkeypatch, "plot", tmp_path / "table.ecsv", "-o", tmp_path / "plot.png")

    assert '"1": "data/sample_dl3_obs_id_000001.fits.gz"' in (tmp_path / "runs.json").read_text()
    assert list(Table.read(tmp_path / "table.ecsv")["OBS_ID"]) == [1, 2]
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_night_without_events_in_range_can_be_drawn(tmp_path):
    run = analysis.histogram(write_events(tmp_path / "run.fits", around([90], [0.5]), [0.01]))

    analysis.plot(analysis.merge([run]), tmp_path / "plot.png")

    assert (tmp_path / "plot.png").stat().st_size > 10_000

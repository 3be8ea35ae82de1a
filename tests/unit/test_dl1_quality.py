"""The example's look at DL1: files that are not what they say, a light yield that is known beforehand, good runs."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.table import Table

from ctadata_providers.testing.dl1_samples import INTENSITY_INDEX, MIN_INTENSITY, SUBRUN_SECONDS, write_dl1_night

SCRIPT = Path(__file__).parents[2] / "example_workflows" / "dl1_quality.py"
_spec = importlib.util.spec_from_file_location("dl1_quality", SCRIPT)
quality = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(quality)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Two runs of two subruns, the second run through clouds."""
    return write_dl1_night(tmp_path_factory.mktemp("night"), runs=[7, 41], subruns=2, cloudy=[41])


def test_the_light_yield_is_that_put_in(night):
    clear, cloudy = quality.merge(map(quality.summarise, night)).meta["RUNS"]
    rate = 4000 / SUBRUN_SECONDS
    index = INTENSITY_INDEX
    expected = rate * (index - 1) / MIN_INTENSITY * (quality.REFERENCE / MIN_INTENSITY) ** -index

    assert clear["SUBRUNS"] == 2
    assert clear["RATE"] == pytest.approx(rate, rel=0.05)
    assert clear["RATE_422"] == pytest.approx(expected, abs=4 * clear["RATE_422_ERR"])
    assert clear["INDEX"] == pytest.approx(-index, abs=0.6)
    assert cloudy["RATE_422"] / clear["RATE_422"] == pytest.approx(0.5 ** (index - 1), rel=0.2)


def test_only_runs_without_clouds_are_good(night, tmp_path):
    merged = quality.merge(map(quality.summarise, reversed(night)))
    merged.write(tmp_path / "night.ecsv")
    read = Table.read(tmp_path / "night.ecsv")

    assert read["SUBRUN"].tolist() == [0, 1, 0, 1]
    assert quality.choose(read)["OBS_ID"].tolist() == [7]
    quality.plot(read, tmp_path / "night.png")
    assert (tmp_path / "night.png").read_bytes().startswith(b"\x89PNG")


def bend(file, column, value):
    with h5py.File(file, "r+") as opened:
        table = opened[quality.PARAMETERS][:]
        table[column][5] = value
        opened[quality.PARAMETERS][:] = table


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]), "cannot be read"),
        (lambda file: file.write_bytes(b"<html>"), "cannot be read"),
        (lambda file: bend(file, "obs_id", 8), r"events of run \[7, 8\]"),
        (lambda file: bend(file, "event_id", 1), "not in order"),
        (lambda file: bend(file, "dragon_time", 0.0), "not in order"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(night, tmp_path, damage, message):
    file = Path(shutil.copy(night[0], tmp_path))
    damage(file)

    with pytest.raises(ValueError, match=message):
        quality.summarise(file)


def test_a_file_of_another_name_without_events_or_twice_is_refused(night, tmp_path):
    with pytest.raises(ValueError, match="not the name"):
        quality.summarise(tmp_path / "dl2_LST-1.Run00007.0000.h5")
    with h5py.File(tmp_path / "dl1_LST-1.Run00007.0000.h5", "w") as empty, h5py.File(night[0]) as full:
        empty.create_dataset(quality.PARAMETERS, data=full[quality.PARAMETERS][:0])
    with pytest.raises(ValueError, match="no event"):
        quality.summarise(tmp_path / "dl1_LST-1.Run00007.0000.h5")
    table = quality.summarise(night[0])
    with pytest.raises(ValueError, match="twice"):
        quality.merge([table, table])
    with pytest.raises(ValueError, match="nothing"):
        quality.merge([])


def test_a_run_without_light_has_no_yield():
    assert quality.light_yield(np.array([0, 0, 3, 0]), 10.0)[:2] == (0.0, 0.0)


def test_each_step_is_a_command(night, tmp_path):
    def step(*words):
        subprocess.run([sys.executable, SCRIPT, *map(str, words)], check=True)

    step("summarise", night[0], "-o", tmp_path / "0.ecsv")

    assert Table.read(tmp_path / "0.ecsv")["OBS_ID"].tolist() == [7]


@pytest.mark.parametrize("wrong", [{"runs": []}, {"runs": [1, 1]}, {"runs": [0]}, {"subruns": 0}, {"events": 0}])
def test_a_night_that_cannot_be_is_not_made(tmp_path, wrong):
    with pytest.raises(ValueError, match="must be"):
        write_dl1_night(tmp_path, **wrong)

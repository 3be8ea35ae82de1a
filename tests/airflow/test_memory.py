"""What a task with a large file costs beside the same task doing nothing, each in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers.testing import FakeCta

SIZE = 4 * 1024**3
ALLOWED_MIB = {"download": 50, "upload": 50, "give": 50, "take": 50, "path": 120}
"""An open path keeps 32 MiB of the file that was read last."""


@pytest.fixture
def large(tmp_path: Path) -> Iterator[FakeCta]:
    """A data centre with a file of 4 GiB."""
    (tmp_path / "root" / "lst").mkdir(parents=True)
    with (tmp_path / "root" / "lst" / "large").open("wb") as file:
        file.truncate(SIZE)
    with FakeCta(root=tmp_path / "root", token_lifetime=7200.0) as cta:
        yield cta


def peak_mib(name: str, cta: FakeCta, folder: Path) -> float:
    """Return the most memory that the process of a task has taken."""
    extra = {"door_url": cta.door_url, "ca_path": str(cta.ca_file)}
    connection = json.dumps({"conn_type": "cta", "password": cta.token, "extra": extra})
    told = subprocess.run(
        [sys.executable, "-m", "tests.airflow.one_task", name, str(folder), str(SIZE)],
        capture_output=True,
        text=True,
        timeout=900,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "AIRFLOW_CONN_CTA_DEFAULT": connection},
    )
    return int(told.stdout.splitlines()[-1]) / 1024


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_four_gibibytes_cost_little_more_than_nothing(large: FakeCta, tmp_path: Path) -> None:
    nothing = peak_mib("nothing", large, tmp_path)
    costs = {name: peak_mib(name, large, tmp_path) - nothing for name in ALLOWED_MIB}
    figures = {"nothing": f"{nothing:.0f} MiB", **{name: f"{cost:+.0f} MiB" for name, cost in costs.items()}}
    sys.stderr.write(f"{figures}\n")  # for docs/airflow.md

    assert (tmp_path / "file").stat().st_size == SIZE
    assert {name: cost for name, cost in costs.items() if cost > ALLOWED_MIB[name]} == {}

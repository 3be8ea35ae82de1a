"""The example Snakefile, run by the real engine on a small night."""

from pathlib import Path

import matplotlib
import pytest
from astropy.table import Table

from ctadata_providers.testing import FakeCta
from ctadata_providers.testing.samples import write_night
from tests.snakemake.conftest import Workdir

SNAKEFILE = Path(__file__).parents[2] / "example_workflows" / "snakemake" / "Snakefile"
NIGHT, OUT = "cta://lst/DL3/20241114", "cta://lst/users/alice/a night"


class Night:
    """A night in the data centre, and the workflow on it."""

    def __init__(self, workdir: Workdir, cta: FakeCta, folder: Path) -> None:
        self.workdir, self.cta, self.folder = workdir, cta, folder
        # The workflow's own HOME is empty, and matplotlib would look through all fonts of the machine once more.
        workdir.environ["MPLCONFIGDIR"] = matplotlib.get_cachedir()

    def store(self, *runs: int) -> None:
        write_night(self.folder, runs=runs, seed=3)
        for file in self.folder.rglob("*.gz"):
            path, data = f"/lst/DL3/20241114/{file.relative_to(self.folder)}", file.read_bytes()
            # What is written anew, even with the same content, is new for Snakemake.
            if not self.cta.exists(path) or self.cta.get(path) != data:
                self.cta.put(path, data)

    def analyse(self, *options: str) -> str:
        settings = (f"night={NIGHT}", f"out={OUT}")
        return self.workdir.succeed("--snakefile", str(SNAKEFILE), *options, "--config", *settings)

    @property
    def results(self) -> dict[str, bytes]:
        stored = [path for path in self.cta.paths() if not path.startswith("/lst/DL3/")]
        return {path: self.cta.get(path) for path in stored}


@pytest.fixture
def night(workdir: Workdir, fake_cta: FakeCta, tmp_path: Path) -> Night:
    return Night(workdir, fake_cta, tmp_path / "night")


def test_runs_of_the_index_become_a_table_and_a_plot_and_later_only_a_new_run_is_computed(night: Night) -> None:
    night.store(41)
    night.analyse("--until", "merge")
    first = night.results
    night.store(41, 7)
    said = night.analyse()
    table = Table.read(night.results["/lst/users/alice/a night/table.ecsv"].decode(), format="ascii.ecsv")

    assert list(first) == ["/lst/users/alice/a night/table.ecsv"]
    assert list(night.results) == ["/lst/users/alice/a night/plot.png", "/lst/users/alice/a night/table.ecsv"]
    assert night.results["/lst/users/alice/a night/plot.png"].startswith(b"\x89PNG")
    assert list(table["OBS_ID"]) == [7, 41]
    assert (table["SIGNIFICANCE"] > 5).all()
    assert table.meta["STACKED"]["N_ON"] == table["N_ON"].sum()
    assert "output: runs/7.ecsv" in said
    assert "output: runs/41.ecsv" not in said

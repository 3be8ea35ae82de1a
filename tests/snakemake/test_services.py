"""The example Snakefile over the CTA services, with nothing but CTADS_URL and a hub token."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers.testing import FakeCta
from tests.snakemake.conftest import Workdir
from tests.snakemake.test_example import NIGHT, SNAKEFILE, Night

OUT = "cta://lst/users/alice/20241114"


@pytest.fixture
def services() -> Iterator[FakeCta]:
    with FakeCta(services=True, bans=False) as cta:
        yield cta


def test_the_demo_pipeline_stores_its_results_below_the_users_own_folder(
    services: FakeCta, workdir: Workdir, tmp_path: Path
) -> None:
    night = Night(workdir, services, tmp_path / "night")
    for name in [name for name in workdir.environ if name.startswith(("CTA_", "BEARER_"))]:
        del workdir.environ[name]
    workdir.environ.update(services.service_environ())
    night.store(41)

    workdir.succeed("--snakefile", str(SNAKEFILE), "--config", f"night={NIGHT}", f"out={OUT}")

    assert list(night.results) == ["/lst/users/alice/20241114/plot.png", "/lst/users/alice/20241114/table.ecsv"]
    assert services.hub_token not in "".join(
        file.read_text(errors="replace") for file in (workdir.path / ".snakemake" / "log").iterdir()
    )

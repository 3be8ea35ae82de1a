"""The example analysis by both engines, on event lists that a real XRootD serves for a bearer token."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from astropy.table import Table  # type: ignore[import-untyped]  # astropy ships no type information

from ctadata_providers.cli.demo import Steps, environment
from ctadata_providers.testing.samples import write_night
from tests.servers.pki import Pki
from tests.servers.server import Server
from tests.servers.tokens import TokenIssuer
from tests.servers.xrootd import xrootd

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

RUNS: tuple[int, ...] = (23523, 23526, 23559, 23592)
"""The Crab runs of the H.E.S.S. DL3 test data release; generated files take the same numbers."""
_HESS = Path(__file__).parents[3] / "shared" / "data" / "dl3" / "hess"


@dataclass(frozen=True)
class Night:
    """A folder of event lists on a server, and its runs."""

    server: Server
    runs: tuple[int, ...]
    address: str = "cta://lst/DL3/night"


@pytest.fixture(scope="module")
def night(pki: Pki, issuer: TokenIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Real event lists where there are some (CTA_TEST_DL3 names them), else generated ones."""
    chosen, runs = os.environ.get("CTA_TEST_DL3"), RUNS
    if chosen:
        folder = Path(chosen)
        runs = tuple(sorted(int(run) for run in Table.read(folder / "obs-index.fits.gz", hdu=1)["OBS_ID"]))
    elif _HESS.is_dir():
        folder = _HESS
    else:
        folder = tmp_path_factory.mktemp("night")
        write_night(folder, runs=RUNS)
    with xrootd("token", pki=pki, issuer=issuer) as server:
        server.publish(folder, "/lst/DL3/night")
        yield Night(server, runs)


@pytest.mark.parametrize("engine", ["snakemake", "airflow"])
def test_the_pipeline_stores_a_table_of_all_runs_and_a_plot(night: Night, engine: str, tmp_path: Path) -> None:
    assert night.server.make_token is not None
    token = night.server.make_token()
    door = {
        "CTA_DOOR_URL": night.server.url,
        "CTA_CA_PATH": str(night.server.ca_file),
        "BEARER_TOKEN": token,
    }
    log = tmp_path / "log"
    log.touch()
    steps = Steps(scratch=tmp_path, log=log, environ=environment(door, tmp_path))
    run = {"snakemake": steps.run_snakemake, "airflow": steps.run_airflow}[engine]
    run(night.address, f"cta://lst/users/alice/{engine}")
    results = night.server.root / "lst" / "users" / "alice" / engine
    table = Table.read(results / "table.ecsv")

    assert tuple(table["OBS_ID"]) == night.runs
    assert (table["N_ON"] > 0).all()
    assert (results / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in results.iterdir()) == ["plot.png", "table.ecsv"]
    assert _files_with(token, tmp_path) == ["token"]


def _files_with(secret: str, folder: Path) -> list[str]:
    """Return the files, logs and databases below a folder that hold a secret."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in files if secret.encode() in path.read_bytes())

"""The example Snakefile on the CTA services: the address of one, a hub token, and results in one's own folder."""

import os
from pathlib import Path

import matplotlib
from astropy.table import Table

from ctadata_providers.testing import FakeCta
from ctadata_providers.testing.samples import write_night
from tests.snakemake.conftest import Workdir

SNAKEFILE = Path(__file__).parents[2] / "example_workflows" / "snakemake" / "Snakefile"
HOME = "/lst/users/alice"


def services(cta: FakeCta, folder: Path) -> Workdir:
    """Return a place for a workflow whose user has set nothing but what leads to the services."""
    foreign = ("CTA", "BEARER_TOKEN", "X509_", "SNAKEMAKE_", "XDG_", "JUPYTERHUB_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    told = cta.service_environ()
    given = {name: told[name] for name in ("CTADS_URL", "JUPYTERHUB_API_TOKEN", "CTA_CA_PATH")}
    work, home = folder / "work", folder / "home"
    work.mkdir()
    home.mkdir()
    where = {"HOME": str(home), "MPLCONFIGDIR": matplotlib.get_cachedir()}
    return Workdir(work, cta, {**inherited, **where, **given})


def test_the_example_runs_with_the_address_of_the_service_and_a_hub_token_alone(
    fake_cta_services: FakeCta, tmp_path: Path
) -> None:
    cta, night = fake_cta_services, tmp_path / "night"
    write_night(night, runs=(41, 7), seed=3)
    for file in night.rglob("*.gz"):
        cta.put(f"/lst/DL3/20241114/{file.relative_to(night)}", file.read_bytes())
    workdir = services(cta, tmp_path)
    settings = ("night=cta://lst/DL3/20241114", f"out=cta:/{HOME}/a night")
    said = workdir.succeed("--snakefile", str(SNAKEFILE), "--config", *settings)
    table = Table.read(cta.get(f"{HOME}/a night/table.ecsv").decode(), format="ascii.ecsv")
    stored = [path for path in cta.paths() if not path.startswith("/lst/DL3/")]

    assert stored == [f"{HOME}/a night/plot.png", f"{HOME}/a night/table.ecsv"]
    assert list(table["OBS_ID"]) == [7, 41]
    assert cta.get(f"{HOME}/a night/plot.png").startswith(b"\x89PNG")
    assert cta.hub_token not in said
    assert asked_of(cta) <= {"downloadservice", "hub"}


def asked_of(cta: FakeCta) -> set[str]:
    return {request.server for request in cta.requests}


WORKFLOW = f"""
rule all:
    input:
        storage.cta("cta:/{HOME}/b")

rule a:
    output:
        storage.cta(directory("cta:/{HOME}/a"))
    shell:
        "mkdir {{output}}; date +%N > {{output}}/x"

rule b:
    input:
        storage.cta("cta:/{HOME}/a")
    output:
        storage.cta("cta:/{HOME}/b")
    shell:
        "cat {{input}}/x > {{output}}; test -e {{workflow.basedir}}/ok"
"""


def test_jobs_replace_what_nothing_can_remove_and_a_failed_one_stores_nothing(
    fake_cta_services: FakeCta, tmp_path: Path
) -> None:
    cta = fake_cta_services
    workdir = services(cta, tmp_path)
    workdir.write(WORKFLOW)
    workdir.fail()
    after_failure = cta.paths()
    (workdir.path / "ok").touch()
    workdir.succeed()
    first = cta.get(f"{HOME}/b")
    said = workdir.succeed("--forceall")

    assert after_failure == [f"{HOME}/a/x"]
    assert cta.paths() == [f"{HOME}/a/x", f"{HOME}/b"]
    assert cta.get(f"{HOME}/b") == cta.get(f"{HOME}/a/x") != first
    assert f"cta:/{HOME}/b stays as it is until it is stored anew" in said

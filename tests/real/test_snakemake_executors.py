"""Workflows whose jobs run on Slurm and on cluster-generic: inputs and outputs on `cta://` only, no shared copies."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers.testing import FakeCta
from tests.canaries import Canaries
from tests.servers.slurm import Slurm, slurm
from tests.snakemake.conftest import Workdir, workdir
from tests.snakemake.test_canaries import log_in, secrets_in, store

__all__ = ["workdir"]
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

JOBS = 10
WORKFLOW = """
rule all:
    input: storage.cta(expand("cta://lst/users/alice/{{run}}.txt", run=range({jobs})))

rule one:
    input: storage.cta("cta://lst/DL3/run_{{run}}.txt")
    output: storage.cta("cta://lst/users/alice/{{run}}.txt")
    resources: runtime=5, mem_mb=100
    shell: "cp {{input}} {{output}}"
"""
NOT_SHARED = (
    *("--shared-fs-usage", "sources", "source-cache", "persistence", "software-deployment"),
    *("--default-storage-provider", "cta", "--default-storage-prefix", "cta://lst/users/alice"),
)
SUBMIT = """#!/bin/sh
cp "$1" jobscripts/
JOB=$$ sh "$1" > "jobscripts/$$.log" 2>&1 &
echo $!
"""


@pytest.fixture(scope="session")
def running_slurm() -> Iterator[Slurm]:
    with slurm() as running:
        yield running


@pytest.fixture
def logged_in(workdir: Workdir, fake_cta: FakeCta, tmp_path: Path) -> Workdir:
    """A workflow of 10 jobs, of a user who has logged in, for tokens that outlive none of it."""
    for number in range(JOBS):
        fake_cta.put(f"/lst/DL3/run_{number}.txt", f"{number}\n".encode() * 100)
    workdir.write(WORKFLOW.format(jobs=JOBS))
    (workdir.path / "jobscripts").mkdir()
    (tmp_path / "copies").mkdir()
    workdir.environ.pop("BEARER_TOKEN")
    workdir.environ |= fake_cta.oidc_environ()
    workdir.environ.pop("BEARER_TOKEN", None)
    fake_cta.issuer.configure(token_lifetime=3600.0)
    return workdir


def check(workdir: Workdir, cta: FakeCta, secrets: list[str], *folders: Path) -> None:
    """All outputs are right, each input was fetched once and each output sent once, and no secret lies about."""
    outputs = [f"/lst/users/alice/{number}.txt" for number in range(JOBS)]
    asked = Counter((request.method, request.path) for request in cta.requests if request.server == "door")

    assert [path for path in cta.paths() if path.startswith("/lst/users/")] == outputs
    assert all(cta.get(path) == f"{number}\n".encode() * 100 for number, path in enumerate(outputs))
    assert [asked["GET", f"/lst/DL3/run_{number}.txt"] for number in range(JOBS)] == [1] * JOBS
    assert sum(count for (method, _), count in asked.items() if method == "PUT") == JOBS
    # The token of the login is good for all of them.
    assert cta.issuer.grants("refresh_token") == []
    assert Canaries(*secrets).below(workdir.path, *folders) == []


def run(workdir: Workdir, *options: str) -> str:
    process = workdir.start(*NOT_SHARED, *options)
    text, _ = process.communicate(timeout=400)
    logs = "".join(path.read_text(errors="replace") for path in workdir.path.rglob("*.log"))

    assert process.returncode == 0, text + logs
    return text


def test_10_jobs_on_slurm_store_each_output_once_and_leave_no_secret(
    logged_in: Workdir, fake_cta: FakeCta, running_slurm: Slurm, tmp_path: Path
) -> None:
    secrets = log_in(logged_in)
    path = f"{running_slurm.environ['PATH']}:{logged_in.environ['PATH']}"
    logged_in.environ |= {**running_slurm.environ, "PATH": path}
    fake_cta.clear_requests()
    text = run(
        logged_in,
        *("--executor", "slurm", "--jobs", "10", "--slurm-no-account", "--slurm-status-command", "squeue"),
        *("--slurm-init-seconds-before-status-checks", "5", "--default-resources", "slurm_partition=main"),
        *("--remote-job-local-storage-prefix", f"{tmp_path}/copies/$SLURM_JOB_ID"),
    )

    check(logged_in, fake_cta, [*secrets, *secrets_in(store(logged_in))], running_slurm.folder, tmp_path / "copies")
    assert text.count("Finished jobid") == JOBS + 1


def test_10_jobs_on_cluster_generic_store_each_output_once_and_leave_no_secret(
    logged_in: Workdir, fake_cta: FakeCta, tmp_path: Path
) -> None:
    secrets = log_in(logged_in)
    (logged_in.path / "submit.sh").write_text(SUBMIT)
    fake_cta.clear_requests()
    run(
        logged_in,
        *("--executor", "cluster-generic", "--cluster-generic-submit-cmd", "sh submit.sh", "--jobs", "4"),
        *("--seconds-between-status-checks", "1"),
        *("--remote-job-local-storage-prefix", f"{tmp_path}/copies/$JOB"),
    )

    check(logged_in, fake_cta, [*secrets, *secrets_in(store(logged_in))], tmp_path / "copies")
    assert len(list((logged_in.path / "jobscripts").glob("*.sh"))) == JOBS
    shutil.rmtree(tmp_path / "copies")

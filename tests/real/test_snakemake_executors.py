"""Workflows whose jobs run on Slurm and on cluster-generic: inputs and outputs on `cta://` only, no shared copies."""

import logging
import shutil
import time
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
logger = logging.getLogger(__name__)

JOBS, MANY_JOBS = 10, 200
SHORT_LIFE = 60.0
RENEWED_AFTER = 0.65  # of a life, at the earliest
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
    """A workflow of 10 jobs, of a user who has logged in, for tokens that outlive all of it."""
    (workdir.path / "jobscripts").mkdir()
    (tmp_path / "copies").mkdir()
    workdir.environ.pop("BEARER_TOKEN")
    workdir.environ |= fake_cta.oidc_environ()
    workdir.environ.pop("BEARER_TOKEN", None)
    fake_cta.issuer.configure(token_lifetime=3600.0)
    with_jobs(workdir, JOBS)
    return workdir


def with_jobs(workdir: Workdir, jobs: int) -> None:
    for number in range(jobs):
        workdir.cta.put(f"/lst/DL3/run_{number}.txt", f"{number}\n".encode() * 100)
    workdir.write(WORKFLOW.format(jobs=jobs))


def check(workdir: Workdir, secrets: list[str], *folders: Path, jobs: int = JOBS) -> None:
    """All outputs are right, each input was fetched once and each output sent once, and no secret lies about."""
    cta = workdir.cta
    outputs = {f"/lst/users/alice/{number}.txt": f"{number}\n".encode() * 100 for number in range(jobs)}
    asked = Counter((request.method, request.path) for request in cta.requests if request.server == "door")

    assert {path: cta.get(path) for path in cta.paths() if path.startswith("/lst/users/")} == outputs
    assert [asked["GET", f"/lst/DL3/run_{number}.txt"] for number in range(jobs)] == [1] * jobs
    assert sum(count for (method, _), count in asked.items() if method == "PUT") == jobs
    assert cta.issuer.revoked_families == []
    assert Canaries(*secrets).below(workdir.path, *folders) == []


def run(workdir: Workdir, *options: str, timeout: float = 400.0) -> str:
    process = workdir.start(*NOT_SHARED, *options)
    text, _ = process.communicate(timeout=timeout)
    logs = "".join(path.read_text(errors="replace") for path in workdir.path.rglob("*.log"))

    assert process.returncode == 0, text + logs
    return text


def run_on_slurm(workdir: Workdir, running: Slurm, copies: Path, *, timeout: float = 400.0) -> str:
    """Run a workflow whose jobs have copies of their own."""
    workdir.environ |= {**running.environ, "PATH": f"{running.environ['PATH']}:{workdir.environ['PATH']}"}
    workdir.cta.clear_requests()
    return run(
        workdir,
        *("--executor", "slurm", "--jobs", "10", "--slurm-no-account", "--slurm-status-command", "squeue"),
        *("--slurm-init-seconds-before-status-checks", "5", "--default-resources", "slurm_partition=main"),
        *("--remote-job-local-storage-prefix", f"{copies}/$SLURM_JOB_ID"),
        timeout=timeout,
    )


def test_10_jobs_on_slurm_store_each_output_once_and_leave_no_secret(
    logged_in: Workdir, running_slurm: Slurm, tmp_path: Path
) -> None:
    secrets = log_in(logged_in)
    text = run_on_slurm(logged_in, running_slurm, tmp_path / "copies")

    check(logged_in, [*secrets, *secrets_in(store(logged_in))], running_slurm.folder, tmp_path / "copies")
    assert text.count("Finished jobid") == JOBS + 1
    # The token of the login is good for all of them.
    assert logged_in.cta.issuer.grants("refresh_token") == []


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_200_jobs_on_slurm_renew_their_token_once_a_life(
    logged_in: Workdir, running_slurm: Slurm, tmp_path: Path
) -> None:
    cta = logged_in.cta
    cta.issuer.configure(token_lifetime=SHORT_LIFE)
    with_jobs(logged_in, MANY_JOBS)
    secrets = log_in(logged_in)
    begun = time.monotonic()
    text = run_on_slurm(logged_in, running_slurm, tmp_path / "copies", timeout=7000)
    seconds = time.monotonic() - begun
    renewed = len(cta.issuer.grants("refresh_token"))
    asked = Counter(request.method for request in cta.requests if request.server == "door")
    logger.info("%s jobs: %.0f s, %s requests %s, renewed %s times", MANY_JOBS, seconds, asked.total(), asked, renewed)

    check(
        logged_in,
        [*secrets, *secrets_in(store(logged_in))],
        running_slurm.folder,
        tmp_path / "copies",
        jobs=MANY_JOBS,
    )
    assert text.count("Finished jobid") == MANY_JOBS + 1
    assert 1 <= renewed <= seconds / (RENEWED_AFTER * SHORT_LIFE) + 1


def test_10_jobs_on_cluster_generic_store_each_output_once_and_leave_no_secret(
    logged_in: Workdir, tmp_path: Path
) -> None:
    secrets = log_in(logged_in)
    (logged_in.path / "submit.sh").write_text(SUBMIT)
    logged_in.cta.clear_requests()
    run(
        logged_in,
        *("--executor", "cluster-generic", "--cluster-generic-submit-cmd", "sh submit.sh", "--jobs", "4"),
        *("--seconds-between-status-checks", "1"),
        *("--remote-job-local-storage-prefix", f"{tmp_path}/copies/$JOB"),
    )

    check(logged_in, [*secrets, *secrets_in(store(logged_in))], tmp_path / "copies")
    assert logged_in.cta.issuer.grants("refresh_token") == []
    assert len(list((logged_in.path / "jobscripts").glob("*.sh"))) == JOBS
    shutil.rmtree(tmp_path / "copies")

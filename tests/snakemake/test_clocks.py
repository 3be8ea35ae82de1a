"""Clocks that differ, here and at the server: no job fails or runs again because of that."""

import os

import pytest

from ctadata_providers.testing import FakeCta
from tests.snakemake.conftest import Workdir

# Above the size up to which Snakemake compares checksums, so that times alone decide.
LARGE = 2_000_000
WORKFLOW = """
rule all:
    input: storage.cta("cta://lst/users/last.txt"), storage.cta("cta://lst/users/own.txt")

rule first:
    input: storage.cta("cta://lst/DL3/run_1.txt")
    output: storage.cta("cta://lst/users/first.txt")
    shell: "cp {input} {output}"

rule last:
    input: storage.cta("cta://lst/users/first.txt")
    output: storage.cta("cta://lst/users/last.txt")
    shell: "cp {input} {output}"

rule own:
    input: "own.bin"
    output: storage.cta("cta://lst/users/own.txt")
    shell: "head -c 1 {input} > {output}"
"""


@pytest.mark.parametrize("ahead", [600.0, 1.5, -600.0])
def test_a_server_whose_clock_is_wrong_fails_no_job_and_causes_no_reruns(
    workdir: Workdir, fake_cta: FakeCta, ahead: float
) -> None:
    fake_cta.clock_ahead = ahead
    workdir.environ["BEARER_TOKEN"] = fake_cta.make_token()
    fake_cta.put("/lst/DL3/run_1.txt", b"content")
    own = workdir.path / "own.bin"
    own.write_bytes(bytes(LARGE))
    os.utime(own, times=(0, own.stat().st_mtime - 5))
    workdir.write(WORKFLOW)
    workdir.succeed()

    assert fake_cta.get("/lst/users/last.txt") == b"content"
    assert "Nothing to be done" in workdir.succeed("--dry-run")

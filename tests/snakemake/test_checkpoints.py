"""Checkpoints in the storage: what they have made is looked at in a later run as in the first."""

import os
from collections import Counter
from pathlib import Path

import pytest

from ctadata_providers.testing import FakeCta
from tests.snakemake.conftest import Workdir

DEFAULT = ("--default-storage-provider", "cta", "--default-storage-prefix", "cta://lst/me")
LOCAL_GLOB = """
rule all:
    input: "sum.txt"

checkpoint split:
    output: directory("split")
    shell: "mkdir -p {output}; for n in 1 2 3; do echo $n > {output}/$n.txt; done"

rule one:
    input: "split/{n}.txt"
    output: "one/{n}.txt"
    shell: "cp {input} {output}"

def ones(wildcards):
    folder = checkpoints.split.get().output[0]
    return expand("one/{n}.txt", n=sorted(glob_wildcards(os.path.join(folder, "{n}.txt")).n))

rule sum:
    input: ones
    output: "sum.txt"
    shell: "cat /dev/null {input} > {output}"
"""
REMOTE_GLOB = """
rule all:
    input: storage.cta("cta://lst/me/sum.txt")

checkpoint split:
    output: storage.cta(directory("cta://lst/me/split"))
    shell: "mkdir -p {output}; for n in 1 2 3; do echo $n > {output}/$n.txt; done"

rule one:
    input: storage.cta("cta://lst/me/split/{n}.txt")
    output: storage.cta("cta://lst/me/one/{n}.txt")
    shell: "cp {input} {output}"

def ones(wildcards):
    checkpoints.split.get()
    numbers = glob_wildcards(storage.cta("cta://lst/me/split/{n}.txt")).n
    return storage.cta(expand("cta://lst/me/one/{n}.txt", n=sorted(numbers)))

rule sum:
    input: ones
    output: storage.cta("cta://lst/me/sum.txt")
    shell: "cat /dev/null {input} > {output}"
"""
SUM = b"1\n2\n3\n"


@pytest.mark.parametrize(("workflow", "options"), [(LOCAL_GLOB, DEFAULT), (REMOTE_GLOB, ())], ids=["local", "remote"])
def test_a_second_run_sees_the_folder_of_a_checkpoint_as_the_first_did(
    workdir: Workdir, fake_cta: FakeCta, workflow: str, options: tuple[str, ...]
) -> None:
    workdir.write(workflow)
    workdir.succeed(*options)
    first = fake_cta.paths()

    assert fake_cta.get("/lst/me/sum.txt") == SUM
    assert not [path for path in workdir.copies.rglob("*") if path.is_file()]

    fake_cta.clear_requests()
    for again in ("--dry-run", "--printshellcmds"):
        assert "Nothing to be done" in workdir.succeed(*options, again)
    fetched = Counter(workdir.asked("GET"))

    assert fake_cta.paths() == first
    assert fake_cta.get("/lst/me/sum.txt") == SUM
    assert not workdir.asked("PUT")
    assert fetched == {f"/lst/me/split/{n}.txt": 2 for n in (1, 2, 3)}

    workdir.succeed(*options, "--forceall")

    assert fake_cta.paths() == first
    assert fake_cta.get("/lst/me/sum.txt") == SUM


def test_a_folder_that_has_changed_since_is_fetched_again(fake_root: Path, workdir: Workdir) -> None:
    workdir.follow(os.environ)
    workdir.write(LOCAL_GLOB)
    workdir.succeed(*DEFAULT)
    workdir.succeed(*DEFAULT)
    split = fake_root / "lst" / "me" / "split"
    (split / "4.txt").write_text("4\n")
    newer = (fake_root / "lst" / "me" / "sum.txt").stat().st_mtime + 5
    os.utime(split, (newer, newer))
    workdir.succeed(*DEFAULT, "--rerun-triggers", "mtime")

    assert (fake_root / "lst" / "me" / "sum.txt").read_text() == "1\n2\n3\n4\n"


def test_the_job_of_a_process_of_its_own_sees_what_the_process_of_the_workflow_saw(
    workdir: Workdir, fake_cta: FakeCta
) -> None:
    begun = LOCAL_GLOB.rindex("shell:")
    workdir.write(f'{LOCAL_GLOB[:begun]}run: shell("cat {{input}} > {{output}}")')
    workdir.succeed(*DEFAULT)
    workdir.succeed(*DEFAULT, "--forcerun", "sum")

    assert fake_cta.get("/lst/me/sum.txt") == SUM


def test_a_folder_that_cannot_be_fetched_is_told_and_nothing_is_replaced(workdir: Workdir, fake_cta: FakeCta) -> None:
    workdir.write(LOCAL_GLOB)
    workdir.succeed(*DEFAULT)
    with fake_cta.fault("forbidden", method="GET", path="/lst/me/split/**"):
        text = workdir.fail(*DEFAULT)

    assert "Failed to retrieve storage object from cta://lst/me/split" in text
    assert "PermissionDeniedError" in text
    assert fake_cta.get("/lst/me/sum.txt") == SUM


@pytest.mark.parametrize("runs", [1, 2])
def test_a_file_of_a_checkpoint_that_was_opened_does_not_stop_a_later_run_of_all(
    workdir: Workdir, fake_cta: FakeCta, runs: int
) -> None:
    workdir.write("""
rule all:
    input: "sum.txt"

checkpoint choose:
    output: "chosen.txt"
    shell: "echo 2 > {output}; echo 3 >> {output}"

rule one:
    output: "one/{n}.txt"
    shell: "echo {wildcards.n} > {output}"

def chosen(wildcards):
    with checkpoints.choose.get().output[0].open() as file:
        return [f"one/{line.strip()}.txt" for line in file]

rule sum:
    input: chosen
    output: "sum.txt"
    shell: "cat {input} > {output}"
""")
    for _ in range(runs):
        workdir.succeed(*DEFAULT)
    workdir.succeed(*DEFAULT, "--dry-run")
    for _ in range(2):
        workdir.succeed(*DEFAULT, "--forceall")

    assert fake_cta.get("/lst/me/sum.txt") == b"2\n3\n"


def test_the_folder_of_a_checkpoint_that_is_kept_is_not_fetched_again(workdir: Workdir, fake_cta: FakeCta) -> None:
    workdir.write(LOCAL_GLOB)
    workdir.succeed(*DEFAULT, "--keep-storage-local-copies")
    fake_cta.clear_requests()
    workdir.succeed(*DEFAULT, "--keep-storage-local-copies")

    assert not workdir.asked("GET")
    assert (workdir.copies / "lst" / "me" / "split" / "1.txt").exists()

"""Whole workflows, run by the real engine against a data centre on loopback."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers.testing import FakeCta
from tests.snakemake.conftest import Workdir, kill_while_it_writes

DEFAULT = ("--default-storage-provider", "cta", "--default-storage-prefix", "cta://lst")

ODD = "a b #1+2%41 [ü]"
FILES_AND_FOLDERS = f"""
RUNS = glob_wildcards(storage.cta("cta://lst/DL3/run_{{run}}.txt")).run

rule all:
    input:
        storage.cta("cta://lst/users/{ODD}/merged.txt"),

rule one:
    input: storage.cta("cta://lst/DL3/run_{{run}}.txt")
    output: storage.cta(temp("cta://lst/users/tmp/h_{{run}}.txt"))
    shell: "cat {{input:q}} > {{output:q}}"

rule folder:
    input: storage.cta("cta://lst/DL3/run_1.txt")
    output: storage.cta(directory("cta://lst/users/folder"))
    shell: "mkdir -p {{output:q}}/sub; cp {{input:q}} {{output:q}}/sub/'{ODD}'"

rule merge:
    input:
        hists=storage.cta(expand("cta://lst/users/tmp/h_{{run}}.txt", run=sorted(RUNS))),
        folder=storage.cta("cta://lst/users/folder/"),
    output: storage.cta(ensure("cta://lst/users/{ODD}/merged.txt", non_empty=True))
    shell: "cat {{input.folder:q}}/sub/* {{input.hists:q}} > {{output:q}}"
"""


def test_files_folders_glob_temp_ensure_and_odd_names(
    workdir: Workdir, fake_cta: FakeCta, with_runs: Callable[[int], list[str]]
) -> None:
    runs = with_runs(3)
    fake_cta.put("/lst/DL3/index.txt", b"")
    workdir.write(FILES_AND_FOLDERS)
    workdir.succeed()
    merged = f"/lst/users/{ODD}/merged.txt"

    assert fake_cta.get(merged).decode().splitlines() == [runs[0], *runs]
    assert fake_cta.paths() == sorted([*runs, "/lst/DL3/index.txt", merged, f"/lst/users/folder/sub/{ODD}"])
    assert sorted(set(workdir.asked("GET")) & set(runs)) == runs
    assert not [path for path in workdir.copies.rglob("*") if path.is_file()]

    fake_cta.clear_requests()

    assert "Nothing to be done" in workdir.succeed()
    assert [request for request in fake_cta.requests if request.method != "PROPFIND"] == []


def test_default_provider_takes_all_files_logs_benchmarks_and_checkpoints(
    workdir: Workdir, fake_cta: FakeCta, with_runs: Callable[[int], list[str]]
) -> None:
    with_runs(3)
    workdir.write("""
rule all:
    input: "users/sum.txt"

checkpoint choose:
    input: "DL3/run_1.txt"
    output: "users/chosen.txt"
    shell: "echo 2 > {output}; echo 3 >> {output}"

rule one:
    input: "DL3/run_{run}.txt"
    output: "users/one/{run}.txt"
    log: "users/log/{run}.log"
    benchmark: "users/benchmark/{run}.tsv"
    shell: "cat {input} > {output} 2> {log}"

def chosen(wildcards):
    with checkpoints.choose.get().output[0].open() as file:
        return [f"users/one/{line.strip()}.txt" for line in file]

rule sum:
    input: chosen
    output: "users/sum.txt"
    shell: "cat {input} > {output}"
""")
    workdir.succeed(*DEFAULT)
    below = {path.removeprefix("/lst/users/") for path in fake_cta.paths() if path.startswith("/lst/users/")}

    assert fake_cta.get("/lst/users/sum.txt") == b"/lst/DL3/run_2.txt\n/lst/DL3/run_3.txt\n"
    assert below == {"sum.txt", "chosen.txt"} | {
        name for run in (2, 3) for name in (f"one/{run}.txt", f"log/{run}.log", f"benchmark/{run}.tsv")
    }


COPY = """
RUNS = glob_wildcards(storage.cta("cta://lst/DL3/run_{run}.txt")).run

rule all:
    input: storage.cta(expand("cta://lst/users/{run}.txt", run=RUNS))

rule one:
    input: storage.cta("cta://lst/DL3/run_{run}.txt")
    output: storage.cta("cta://lst/users/{run}.txt")
    shell: "cp {input} {output}"
"""
MERGE = """
rule all:
    input: storage.cta(expand("cta://lst/DL3/run_{run}.txt", run=range(1, 51)))
    output: "merged.txt"
    run: shell("cat {input} > {output}")
"""


def test_50_inputs_cost_one_listing_and_50_downloads_and_settings_reach_the_jobs_process(
    workdir: Workdir, fake_cta: FakeCta, with_runs: Callable[[int], list[str]]
) -> None:
    runs = with_runs(50)
    workdir.write(MERGE)
    workdir.succeed("--dry-run")

    assert [(request.method, request.headers["depth"]) for request in fake_cta.requests] == [("PROPFIND", "1")]

    fake_cta.clear_requests()
    (workdir.path / "token").write_text(fake_cta.token)
    for name in fake_cta.environ():
        del workdir.environ[name]
    begun = time.monotonic()
    workdir.succeed(
        *("--storage-cta-door-url", fake_cta.door_url),
        *("--storage-cta-token-file", "token"),
        *("--storage-cta-ca-path", str(fake_cta.ca_file)),
        *("--storage-cta-allow-http-pools", "false", "--storage-cta-max-parallel", "4"),
    )
    aged = int(
        (time.monotonic() - begun) / 10
    )  # so often a busy machine may look again: a listing is believed for 10 s

    assert (workdir.path / "merged.txt").read_text().splitlines() == [f"/lst/DL3/run_{n}.txt" for n in range(1, 51)]
    assert sorted(workdir.asked("GET")) == sorted(runs)
    # The process of the job, which `run:` starts, looks for itself.
    assert 2 <= len(workdir.asked("PROPFIND")) <= 2 + aged
    assert workdir.asked("HEAD") == []


def test_a_missing_input_is_one_clear_error_that_names_it(workdir: Workdir) -> None:
    workdir.write('rule all:\n    input: storage.cta("cta://lst/DL3/missing one.txt")\n')
    text = workdir.fail()

    assert "MissingInputException" in text
    assert "cta://lst/DL3/missing one.txt" in text
    assert "Traceback" not in text


def test_a_wrong_token_is_one_clear_error_and_asked_once(
    workdir: Workdir, fake_cta: FakeCta, with_runs: Callable[[int], list[str]]
) -> None:
    with_runs(50)
    workdir.environ["BEARER_TOKEN"] = fake_cta.make_token(lifetime=-600)
    workdir.write(MERGE)
    text = workdir.fail()

    assert "CredentialError" in text
    assert "cta://lst/DL3/run_1.txt" in text
    assert "Traceback" not in text
    assert len(fake_cta.requests) <= 1


def test_a_dry_run_without_remote_questions_needs_no_credential_and_no_server(workdir: Workdir) -> None:
    for name in ("BEARER_TOKEN", "CTA_CA_PATH"):
        del workdir.environ[name]
    workdir.environ["CTA_DOOR_URL"] = "https://nowhere.invalid:1"
    workdir.write("""
rule here:
    output: "here.txt"
    shell: "touch {output}"

rule there:
    input: storage.cta("cta://dev@lst/DL3/run_{run}.txt")
    output: storage.cta("cta://lst/users/{run}.txt")
    shell: "cp {input} {output}"
""")

    assert "rule here" in workdir.succeed("--dry-run")


def test_a_failing_job_leaves_its_input_and_no_output(
    workdir: Workdir, fake_cta: FakeCta, with_runs: Callable[[int], list[str]]
) -> None:
    runs = with_runs(1)
    workdir.write("""
rule one:
    input: "DL3/run_1.txt"
    output: "users/one.txt", directory("users/folder")
    shell: "cp {input} {output[0]}; mkdir {output[1]}; exit 3"
""")
    workdir.fail(*DEFAULT)

    assert fake_cta.paths() == runs


def test_touch_renews_outputs_and_keeps_their_content(fake_root: Path, workdir: Workdir) -> None:
    workdir.follow(os.environ)
    write(fake_root / "lst/DL3/run_1.txt", "new", at=3000)
    write(fake_root / "lst/users/1.txt", "kept", at=2000)
    workdir.write(COPY)
    workdir.succeed("--touch")

    assert (fake_root / "lst/users/1.txt").read_text() == "kept"
    assert (fake_root / "lst/users/1.txt").stat().st_mtime > 3000


def test_a_changed_input_reruns_its_job_only(fake_root: Path, workdir: Workdir) -> None:
    workdir.follow(os.environ)
    for run in (1, 2):
        write(fake_root / "lst/DL3" / f"run_{run}.txt", f"old {run}", at=1000)
    workdir.write(COPY)
    workdir.succeed()
    for run in (1, 2):
        os.utime(fake_root / "lst/users" / f"{run}.txt", (2000, 2000))
    write(fake_root / "lst/DL3/run_2.txt", "new 2", at=3000)
    text = workdir.succeed()

    assert "Updated input files: cta://lst/DL3/run_2.txt" in text
    assert text.count("rule one:") == 1
    assert (fake_root / "lst/users/1.txt").read_text() == "old 1"
    assert (fake_root / "lst/users/2.txt").read_text() == "new 2"


def test_a_changed_input_of_which_an_old_copy_was_kept_reruns_its_job_with_the_new_content(
    fake_root: Path, workdir: Workdir
) -> None:
    workdir.follow(os.environ)
    write(fake_root / "lst/DL3/run_1.txt", "old", at=1000)
    workdir.write(COPY)
    workdir.succeed("--keep-storage-local-copies")
    os.utime(fake_root / "lst/users/1.txt", (2000, 2000))
    write(fake_root / "lst/DL3/run_1.txt", "new", at=3000)
    workdir.succeed("--keep-storage-local-copies")

    assert (fake_root / "lst/users/1.txt").read_text() == "new"


def test_copies_that_were_kept_of_one_instance_are_none_of_another(workdir: Workdir, fake_cta: FakeCta) -> None:
    fake_cta.put("/test/lst/x", b"test")
    fake_cta.put("/lst/x", b"production")
    workdir.write("""
rule all:
    input: storage.cta("cta://lst/x", keep_local=True)
    output: "x"
    shell: "cp {input} {output}"
""")
    (workdir.copies / "dev@lst").mkdir(parents=True)
    for base, expected in (("/", "production"), ("/test", "test")):
        workdir.environ["CTA_BASE_PATH"] = base
        workdir.succeed("--forceall")

        assert (workdir.path / "x").read_text() == expected
    assert (workdir.copies / "dev@lst").exists()


def write(path: Path, text: str, *, at: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def test_profiles_in_addresses_are_instances_of_their_own(workdir: Workdir, fake_cta: FakeCta) -> None:
    config = Path(workdir.environ["HOME"]) / ".config" / "ctadata-providers" / "config.toml"
    config.parent.mkdir(parents=True)
    token = config.with_name("token")
    token.write_text(fake_cta.token)
    config.write_text(
        f'[profiles.test]\ndoor_url = "{fake_cta.door_url}"\nbase_path = "/test"\ntoken_file = "{token}"\n'
    )
    fake_cta.put("/lst/x.txt", b"production\n")
    fake_cta.put("/test/lst/x.txt", b"test\n")
    expected = f"production\ntest\n{fake_cta.door_url}/lst/x.txt\n".encode()
    workdir.write(f"""
storage:
    provider="cta",
    max_parallel=2,
    checksum="require",

rule both:
    input:
        storage.cta("cta://lst/x.txt"),
        storage.cta("cta://test@lst/x.txt"),
        address=storage.cta("cta://lst/x.txt", retrieve=False),
    output:
        storage.cta(ensure("cta://test@lst/users/both.txt", sha256="{hashlib.sha256(expected).hexdigest()}")),
    shell: "cat {{input[0]}} {{input[1]}} > {{output}}; echo {{input.address}} >> {{output}}"
""")
    workdir.succeed()

    assert fake_cta.get("/test/lst/users/both.txt") == expected
    assert not fake_cta.exists("/lst/users")


def test_a_kill_during_a_retrieve_leaves_nothing_partial_and_a_rerun_resumes(workdir: Workdir, tmp_path: Path) -> None:
    size = 200_000_000
    served = tmp_path / "served"
    served.mkdir()
    with (served / "large.bin").open("wb") as file:
        file.truncate(size)
    workdir.write("""
rule count:
    input: storage.cta("cta://large.bin")
    output: "size.txt"
    shell: "stat -c %s {input} > {output}"
""")
    with FakeCta(root=served) as cta:
        workdir.follow(cta.environ())
        kill_while_it_writes(workdir.start(), workdir.copies)
        arrived = [path for path in workdir.copies.rglob("*.ctapart") if path.is_file()]

        assert 0 < sum(path.stat().st_size for path in arrived) < size
        assert not (workdir.copies / "large.bin").exists()
        before = len(cta.requests)
        workdir.succeed("--nolock", "--rerun-incomplete")
        asked = [request.headers["range"] for request in cta.requests[before:] if request.server == "pool"]

    assert (workdir.path / "size.txt").read_text().strip() == str(size)
    assert 0 < _covered(asked, size) < size


@pytest.mark.parametrize("address", ["cta://lst/users/d", "cta://lst/users/{n}/d/"], ids=["plain", "wildcards"])
def test_a_rerun_after_a_kill_does_not_store_what_the_killed_job_has_left_in_an_output_folder(
    workdir: Workdir, fake_cta: FakeCta, address: str
) -> None:
    workdir.write(f"""
rule all:
    input: storage.cta("{address.format(n=1)}")

rule folder:
    output: storage.cta(directory("{address}"))
    shell: "mkdir -p {{output}}/sub; echo > {{output}}/sub/$$; [ -e end ] || sleep 60"
""")
    kill_while_it_writes(workdir.start(), workdir.copies / "lst" / "users")

    assert not fake_cta.paths()

    left = [path for path in (workdir.copies / "lst" / "users").rglob("*") if path.is_file()]
    workdir.succeed("--summary")  # while the lock tells that another Snakemake may be at work

    assert len(left) == 1
    assert left[0].exists()

    (workdir.path / "end").touch()
    workdir.succeed("--unlock")
    workdir.succeed()

    assert len(fake_cta.paths()) == 1


def _covered(asked: list[str], size: int) -> int:
    """Return how many bytes headers `Range` ask for; what is shared out among connections is asked for twice."""
    spans = [text.removeprefix("bytes=").split("-") for text in asked]
    covered = last = 0
    for start, end in sorted((int(start), int(end or size - 1) + 1) for start, end in spans):
        covered += max(0, end - max(last, start))
        last = max(last, end)
    return covered

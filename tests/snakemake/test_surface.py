"""What Snakemake offers for files, each in a whole workflow on remote files."""

import hashlib
import os
import ssl
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_storage_plugin_cta import StorageObject, outputs

from ctadata_providers import PermissionDeniedError
from ctadata_providers.testing import FakeCta
from tests.snakemake.conftest import Workdir

WithRuns = Callable[[int], list[str]]
DEFAULT = ("--default-storage-provider", "cta", "--default-storage-prefix", "cta://lst")


def test_touch_makes_an_empty_output(workdir: Workdir, fake_cta: FakeCta) -> None:
    workdir.write('rule all:\n    output: storage.cta(touch("cta://lst/users/done"))\n    shell: "true"\n')
    workdir.succeed()

    assert fake_cta.get("/lst/users/done") == b""


def test_a_protected_output_is_stored_and_leaves_no_copy(
    workdir: Workdir, fake_cta: FakeCta, with_runs: WithRuns
) -> None:
    inputs = with_runs(1)
    workdir.write("""
rule all:
    input: storage.cta("cta://lst/users/1.txt"), storage.cta("cta://lst/users/d")

rule one:
    input: storage.cta("cta://lst/DL3/run_{run}.txt")
    output: storage.cta("cta://lst/users/{run}.txt"), storage.cta(protected("cta://lst/users/{run}.kept"))
    shell: "touch {output}"

rule folder:
    input: storage.cta("cta://lst/DL3/run_1.txt")
    output: storage.cta(protected(directory("cta://lst/users/d")))
    shell: "mkdir {output}; touch {output}/x"
""")
    workdir.succeed()

    assert fake_cta.paths() == [*inputs, "/lst/users/1.kept", "/lst/users/1.txt", "/lst/users/d/x"]
    assert not [path for path in workdir.copies.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("promise", "kept"),
    [
        (f'sha256="{hashlib.sha256(b"content").hexdigest()}"', True),
        (f'md5="{hashlib.md5(b"content", usedforsecurity=False).hexdigest()}"', True),
        ("non_empty=True", True),
        (f'sha256="{hashlib.sha256(b"other").hexdigest()}"', False),
        (f'md5="{hashlib.md5(b"other", usedforsecurity=False).hexdigest()}"', False),
    ],
)
def test_ensure_stores_what_keeps_the_promise_only(
    workdir: Workdir, fake_cta: FakeCta, promise: str, kept: bool
) -> None:
    workdir.write(f"""
rule all:
    output: storage.cta(ensure("cta://lst/users/out", {promise}))
    shell: "printf content > {{output}}"
""")
    outcome = workdir.run()

    assert (outcome.code == 0) == kept, outcome.text
    assert fake_cta.paths() == (["/lst/users/out"] if kept else [])


def test_ensure_refuses_an_empty_output(workdir: Workdir, fake_cta: FakeCta) -> None:
    workdir.write(
        'rule all:\n    output: storage.cta(ensure("cta://lst/out", non_empty=True))\n    shell: "touch {output}"\n'
    )
    workdir.fail()

    assert fake_cta.paths() == []


def test_globs_and_rules_keep_to_constraints(workdir: Workdir, fake_cta: FakeCta) -> None:
    for name in ("run_1.txt", "run_22.txt", "run_x.txt", "run_3/4.txt"):
        fake_cta.put(f"/lst/DL3/{name}", name.encode())
    workdir.write(r"""
RUNS = glob_wildcards(storage.cta("cta://lst/DL3/run_{run,\d+}.txt")).run

rule all:
    input: storage.cta(expand("cta://lst/users/{run}.txt", run=RUNS))

rule one:
    input: storage.cta("cta://lst/DL3/run_{run}.txt")
    output: storage.cta("cta://lst/users/{run,[^/?#]+}.txt")
    shell: "cp {input} {output}"
""")
    workdir.succeed()

    assert [path for path in fake_cta.paths() if "/users/" in path] == ["/lst/users/1.txt", "/lst/users/22.txt"]


def test_what_is_not_retrieved_is_a_url_that_the_token_opens(workdir: Workdir, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/DL3/a b#1.txt", b"content")
    workdir.write("""
rule all:
    input: storage.cta("cta://lst/DL3/{name}.txt".format(name="a b#1"), retrieve=False)
    output: "url"
    shell: "echo {input} > {output}"
""")
    workdir.succeed()
    url = (workdir.path / "url").read_text().strip()
    context = ssl.create_default_context(cafile=str(fake_cta.ca_file))
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {fake_cta.token}"})

    assert url == f"{fake_cta.door_url}/lst/DL3/a%20b%231.txt"
    with urllib.request.urlopen(request, context=context) as answer:
        assert answer.read() == b"content"
    assert fake_cta.exists("/lst/DL3/a b#1.txt")


def test_a_failing_job_does_not_remove_an_input_that_was_retrieved_once_and_now_is_not(
    workdir: Workdir, fake_cta: FakeCta, with_runs: WithRuns
) -> None:
    paths = with_runs(1)
    text = """
rule all:
    input: storage.cta("cta://lst/DL3/run_1.txt"{})
    output: "never"
    shell: "exit 3"
"""
    workdir.write(text.format(""))
    workdir.fail()
    workdir.write(text.format(", retrieve=False"))
    workdir.fail()

    assert fake_cta.paths() == paths


def test_copies_are_kept_when_asked_for(workdir: Workdir, with_runs: WithRuns) -> None:
    with_runs(2)
    workdir.write("""
rule all:
    input: storage.cta("cta://lst/DL3/run_1.txt", keep_local=True), storage.cta("cta://lst/DL3/run_2.txt")
    output: "done"
    shell: "touch {output}"
""")
    workdir.succeed()

    assert [path.name for path in workdir.copies.rglob("*") if path.is_file()] == ["run_1.txt"]


PIPELINE = """
rule all:
    input: "users/sum.txt"

rule one:
    input: "DL3/run_{run}.txt"
    output: temp("users/tmp/{run}.txt")
    shell: "cp {input} {output}"

rule sum:
    input: expand("users/tmp/{run}.txt", run=[1, 2])
    output: report("users/sum.txt", category="Sums")
    log: "users/sum.log"
    shell: "cat {input} > {output} 2> {log}"
"""


def test_summary_report_and_removal_of_all_outputs(workdir: Workdir, fake_cta: FakeCta, with_runs: WithRuns) -> None:
    inputs = with_runs(2)
    workdir.write(PIPELINE)
    workdir.succeed(*DEFAULT)

    assert fake_cta.paths() == [*inputs, "/lst/users/sum.log", "/lst/users/sum.txt"]

    summary = workdir.succeed("--summary", *DEFAULT)

    assert "sum.txt" in summary
    assert "no update" in summary

    workdir.succeed("--report", "report.html", *DEFAULT)

    assert "Sums" in (workdir.path / "report.html").read_text()

    workdir.succeed("--delete-all-output", *DEFAULT)

    assert fake_cta.paths() == [*inputs, "/lst/users/sum.log"]


def test_a_server_that_keeps_no_times_causes_no_reruns(workdir: Workdir, fake_root: Path) -> None:
    workdir.follow(os.environ)
    for run in (1, 2):
        path = fake_root / "lst/DL3" / f"run_{run}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    workdir.write(PIPELINE.replace("temp", ""))
    workdir.succeed(*DEFAULT)
    for path in fake_root.rglob("*"):
        os.utime(path, (0, 0))

    assert "Nothing to be done" in workdir.succeed(*DEFAULT)


def test_errors_name_file_status_and_remedy_in_one_message(
    workdir: Workdir, fake_cta: FakeCta, with_runs: WithRuns
) -> None:
    with_runs(1)
    workdir.environ["BEARER_TOKEN"] = fake_cta.make_token(scope="storage.read:/lst")
    workdir.write("""
rule all:
    input: storage.cta("cta://lst/DL3/run_1.txt")
    output: storage.cta("cta://lst/users/out.txt")
    shell: "cp {input} {output}"
""")
    text = workdir.fail()

    assert "Failed to store output in storage cta://lst/users/out.txt" in text
    assert "PermissionDeniedError" in text
    assert "403" in text
    assert "Traceback" not in text


class TestRemoval:
    """Nothing is removed that the workflow does not write."""

    @pytest.mark.parametrize(
        ("pattern", "query", "expected"),
        [
            ("cta://lst/users/{run}.txt", "cta://lst/users/1.txt", True),
            ("cta://lst/users/{run}.txt", "cta://lst/DL3/1.txt", False),
            ("cta://lst/{a}/{a}.txt", "cta://lst/x/x.txt", True),
            ("cta://lst/{a}/{a}.txt", "cta://lst/x/y.txt", False),
            ("cta://lst/d/", "cta://lst/d", True),
            ("cta://lst/d", "cta://lst/d/below", True),
            ("cta://lst/d", "cta://lst/d2", False),
            ("cta://lst/a+b", "cta://lst/aab", False),
        ],
    )
    def test_a_pattern_covers_what_it_stands_for(self, pattern: str, query: str, expected: bool) -> None:
        assert outputs.covers(pattern, query) == expected

    def test_an_input_is_not_removed_whoever_asks(
        self, workdir: Workdir, fake_cta: FakeCta, with_runs: WithRuns
    ) -> None:
        inputs = with_runs(1)
        workdir.write("""
rule all:
    input: storage.cta("cta://lst/DL3/run_1.txt")
    output: storage.cta("cta://lst/users/out.txt")
    shell: "touch {output}"

MANY_THAT_BELONG_TO_NO_RULE = storage.cta([f"cta://lst/DL3/{n}" for n in range(2500)])

onsuccess:
    import asyncio
    try:
        asyncio.run(workflow.get_rule("all").input[0].storage_object.managed_remove())
    except Exception as error:
        print(error)
""")
        text = workdir.succeed()

        assert "no rule of this workflow writes it" in text
        assert fake_cta.paths() == [*inputs, "/lst/users/out.txt"]

    @pytest.mark.usefixtures("cta_environ")
    def test_what_this_process_stored_may_be_removed(
        self, make: Callable[[str], StorageObject], fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stored, other = make("cta://lst/stored"), make("cta://lst/other")
        fake_cta.put("/lst/other", b"")
        monkeypatch.setattr(outputs, "workflow_of", lambda objects: SimpleNamespace(is_main_process=False))
        monkeypatch.setattr(outputs, "written", lambda workflow: {"cta://lst/users/{run}"})
        stored.local_path().parent.mkdir(parents=True)
        stored.local_path().touch()
        stored.store_object()
        stored.remove()

        with pytest.raises(PermissionDeniedError, match="ctadata rm"):
            other.remove()
        assert fake_cta.paths() == ["/lst/other"]


@pytest.mark.usefixtures("cta_environ")
class TestStoredTwice:
    """Slurm's jobs store each output from two processes."""

    def store_again(self, make: Callable[..., StorageObject], fake_cta: FakeCta) -> list[str]:
        fake_cta.clear_requests()
        make("cta://lst/out").store_object()
        return [request.method for request in fake_cta.requests if request.server == "door"]

    @pytest.fixture
    def stored(self, new_provider: Callable[..., object]) -> StorageObject:
        made: StorageObject = new_provider().object("cta://lst/out")  # type: ignore[attr-defined]  # a provider
        made.local_path().parent.mkdir(parents=True)
        made.local_path().write_bytes(b"content")
        made.store_object()
        return made

    def test_the_same_copy_is_not_sent_again(
        self, stored: StorageObject, make: Callable[[str], StorageObject], fake_cta: FakeCta
    ) -> None:
        assert self.store_again(make, fake_cta) == ["PROPFIND"]

    def test_a_copy_that_changed_is_sent(
        self, stored: StorageObject, make: Callable[[str], StorageObject], fake_cta: FakeCta
    ) -> None:
        stored.local_path().write_bytes(b"changed")
        os.utime(stored.local_path(), (3_000_000_000, 3_000_000_000))

        assert "PUT" in self.store_again(make, fake_cta)
        assert fake_cta.get("/lst/out") == b"changed"

    def test_what_others_changed_or_removed_is_sent(
        self, stored: StorageObject, make: Callable[[str], StorageObject], fake_cta: FakeCta
    ) -> None:
        fake_cta.put("/lst/out", b"another")

        assert "PUT" in self.store_again(make, fake_cta)
        assert fake_cta.get("/lst/out") == b"content"

    def test_no_note_is_left_at_the_end(self, stored: StorageObject) -> None:
        stored.cleanup()

        assert not (stored.provider.local_prefix / ".stored").exists()

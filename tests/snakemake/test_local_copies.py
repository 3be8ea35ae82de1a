"""Local copies: what is set aside, and what is removed when a workflow begins."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_storage_plugin_cta import leftovers
from snakemake_storage_plugin_cta.removal import NOT_STORED, set_aside


def test_a_folder_is_set_aside_where_a_file_was(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("new")
    (tmp_path / f"out{NOT_STORED}").write_text("old")
    place = set_aside(tmp_path / "out")

    assert place is not None
    assert (place / "x").read_text() == "new"


def test_what_has_the_longest_name_is_set_aside(tmp_path: Path) -> None:
    local = tmp_path / ("x" * 255)
    local.write_text("content")
    place = set_aside(local)

    assert place is not None
    assert place.name.endswith(NOT_STORED)
    assert place.read_text() == "content"


def output(query: str, *, keep: bool = False) -> Any:
    made = SimpleNamespace(query=query)
    return SimpleNamespace(flags={"storage_object": made}, is_storage=True, should_keep_local=keep)


def rule(*outputs: Any, checkpoint: bool = False) -> Any:
    return SimpleNamespace(output=outputs, input=(), log=(), benchmark=None, is_checkpoint=checkpoint)


def workflow(*rules: Any, running: tuple[str, ...] = ()) -> Any:
    notes = SimpleNamespace(
        _read_locks=list,
        _filter_incomplete_keys=lambda queries: [query for query in queries if query in running],
        _get_external_jobids=lambda queries: ["slurm-17" for query in queries if query in running],
    )
    settings = SimpleNamespace(keep_storage_local=False)
    return SimpleNamespace(rules=rules, persistence=notes, storage_settings=settings)


@pytest.mark.parametrize("running", [True, False])
def test_what_a_job_of_a_cluster_still_writes_for_a_checkpoint_stays(tmp_path: Path, *, running: bool) -> None:
    copy = tmp_path / "lst" / "chosen.txt"
    copy.parent.mkdir()
    copy.write_text("half")
    query = "cta://lst/chosen.txt"
    leftovers.clear(workflow(rule(output(query), checkpoint=True), running=(query,) * running), tmp_path)

    assert copy.exists() == running


def test_a_copy_that_another_rule_keeps_is_not_taken_for_a_checkpoints(tmp_path: Path) -> None:
    for name in ("kept/big.txt", "made.txt"):
        (tmp_path / "lst" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lst" / name).write_text("content")
    rules = rule(output("cta://lst/{n}.txt"), checkpoint=True), rule(output("cta://lst/kept/big.txt", keep=True))
    leftovers.clear(workflow(*rules), tmp_path)

    assert [path.name for path in tmp_path.rglob("*.txt")] == ["big.txt"]

"""The arithmetic of the benchmarks: order of the runs, medians, ratios, rows without figures, goals."""

import argparse
import json
import sys
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks import kept, plot, report
from benchmarks.__main__ import _size
from benchmarks.kept import Reached, Section
from benchmarks.programs import CannotRun, Usage, command, in_turn
from benchmarks.runner import Entry, Goal, Measured, Run, Scenario, faster, measure


def usage(seconds: float, **other: float) -> Usage:
    return Usage(seconds=seconds, cpu=other.get("cpu", 0.0), peak=int(other.get("peak", 0)))


def measured(name: str, *seconds: float, amount: float | None = None) -> Measured:
    return Measured(name=name, runs=tuple(Run(seconds=value) for value in seconds), amount=amount)


def a_section(**changed: object) -> Section:
    rows = [
        Measured(name="curl", runs=(Run(seconds=2.0, cpu=1.0, peak=20_000_000),), amount=100),
        Measured(name="davix", reason="not installed"),
        Measured(name="ours", runs=(Run(seconds=1.0, cpu=0.5, peak=0, connections=8),), amount=100),
    ]
    plain = {"key": "small-down", "title": "t", "note": "", "unit": "files", "peers": ["curl", "davix"], "rows": rows}
    return Section(**{**plain, **changed})


def test_runs_alternate_and_only_the_work_is_told() -> None:
    done: list[str] = []
    seconds = count(1)

    def work(name: str) -> Usage:
        done.append(name)
        return usage(float(next(seconds)))

    entries = [
        Entry(
            name=name,
            run=partial(work, name),
            prepare=partial(done.append, "before"),
            check=partial(done.append, "after"),
        )
        for name in ("a", "b")
    ]
    results = measure(Scenario(key="k", title="t", entries=entries, peers=["a"]), repeats=3)

    assert [name for name in done if name in "ab"] == ["a", "b", "b", "a", "a", "b"]
    assert done[:3] == ["before", "a", "after"]
    assert [[run.seconds for run in result.runs] for result in results] == [[1, 4, 5], [2, 3, 6]]


def test_what_cannot_run_says_why_and_is_not_tried_again() -> None:
    tries: list[int] = []

    def fail() -> Usage:
        tries.append(1)
        raise CannotRun("no room")

    entries = [Entry(name="a", run=fail)]
    scenario = Scenario(key="k", title="t", entries=entries, missing={"b": "not installed"})
    results = measure(scenario, repeats=3)

    assert [(result.name, result.reason, result.runs) for result in results] == [
        ("a", "no room", ()),
        ("b", "not installed", ()),
    ]
    assert len(tries) == 1


def test_a_row_that_fails_once_has_no_figures() -> None:
    turns = count()

    def fail_later() -> Usage:
        if next(turns):
            raise CannotRun("the second time")
        return usage(1.0)

    [result] = measure(Scenario(key="k", title="t", entries=[Entry(name="a", run=fail_later)]), repeats=3)

    assert (result.runs, result.reason) == ((), "the second time")


def test_connections_are_those_of_the_run() -> None:
    counted = iter([7, 3])
    entry = Entry(name="a", run=partial(usage, 1.0), connections=lambda: next(counted))
    [result] = measure(Scenario(key="k", title="t", entries=[entry]), repeats=1)

    assert result.runs[0].connections == 3


def test_less_work_than_the_others_do_is_compared_by_speed() -> None:
    entries = [Entry(name="all", run=partial(usage, 10.0)), Entry(name="few", run=partial(usage, 1.0), amount=5)]
    scenario = Scenario(key="k", title="t", entries=entries, amount=100, goals=[faster("all", "few", 1.0)])
    section = kept.measured(scenario, repeats=1)

    assert [row.speed for row in section.rows] == [10, 5]
    assert section.goals[0].value == 2.0


def test_a_goal_without_its_peer_is_not_reached() -> None:
    scenario = Scenario(
        key="k",
        title="t",
        entries=[Entry(name="ours", run=partial(usage, 1.0))],
        missing={"curl": "not installed"},
        goals=[faster("ours", "curl", 1.0), Goal(text="s", wanted=2, value=lambda r: r["ours"].median, at_most=True)],
    )
    section = kept.measured(scenario, repeats=1)

    assert [(goal.value, goal.met) for goal in section.goals] == [(None, False), (1.0, True)]


def test_the_table_has_rates_ratios_and_costs() -> None:
    text = report.table(a_section(title="Small files"))

    assert text.splitlines() == [
        "## Small files",
        "",
        "|  | files/s | speed / curl | CPU s/1,000 files | memory, MB | connections |",
        "| --- | --- | --- | --- | --- | --- |",
        "| curl | 50 (50 - 50) | 1.00 | 10.00 | 20 |  |",
        "| davix | not installed |  |  |  |  |",
        "| ours | 100 (100 - 100) | 2.00 | 5.00 |  | 8 |",
    ]


def test_the_table_has_the_median_between_the_slowest_and_the_fastest() -> None:
    rows = [measured("curl", 2.0, 4.0, 3.0, amount=120)]

    assert "| curl | 40 (30 - 60) | 1.00 |" in report.table(a_section(rows=rows))


def test_times_are_told_as_times() -> None:
    text = report.table(a_section(rows=[measured("stop", 0.1, 0.3)], unit="s", peers=[]))

    assert "|  | s |" in text
    assert "| stop | 0.200 (0.300 - 0.100) |" in text


def test_goals_are_told_also_where_they_are_missed() -> None:
    reached = [
        Reached(text="speed", wanted=1.15, value=1.2),
        Reached(text="memory", wanted=100, value=120.0, at_most=True),
        Reached(text="other", wanted=1.0, value=None),
    ]
    lines = report.goals([a_section(title="Files: 10", goals=reached)]).splitlines()

    assert lines[-3:] == [
        "| Files | speed | at least 1.15 | 1.200 | yes |",
        "| Files | memory | at most 100 | 120.0 | **no** |",
        "| Files | other | at least 1 | not measured | **no** |",
    ]


def test_parts_that_were_measured_apart_merge_into_one_report(tmp_path: Path) -> None:
    goals = [Reached(text="speed", wanted=1.0, value=2.0)]
    first, second = a_section(key="small-down", title="old", goals=goals), a_section(key="large-up-nginx")
    for section in (first, second, a_section(key="small-down", title="new", goals=goals)):
        kept.keep(section, tmp_path)

    assert [(section.key, section.title) for section in kept.kept(tmp_path)] == [
        ("large-up-nginx", "t"),
        ("small-down", "new"),
    ]
    assert kept.kept(tmp_path)[1].rows == first.rows
    assert kept.kept(tmp_path)[1].goals == goals


def test_what_is_not_measured_again_stays_in_the_page_with_its_date_and_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = [Reached(text="speed", wanted=1.0, value=2.0)]
    earlier = {"date": "2020-01-02 03:04", "version": "abc", "machine": "an old one", "versions": "curl 1"}
    kept.keep(a_section(title="Small files down: 5", goals=reached, **earlier), tmp_path)
    scenario = Scenario(key="cancel", title="Cancel", entries=[Entry(name="ours", run=partial(usage, 1.0))])
    monkeypatch.setattr(program, "PARTS", {"cancel": lambda options, folder: iter([scenario])})
    monkeypatch.setattr(program, "_DOCS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "cancel", "--write", "--kept", str(tmp_path)])

    assert program.main() == 0
    page = (tmp_path / "benchmarks.md").read_text()

    assert "* an old one; curl 1: Small files down\n" in page
    assert "| Small files down | speed | at least 1 | 2.000 | yes |" in page
    assert "Measured 2020-01-02 03:04 UTC at abc." in page
    assert page.index("## Small files down: 5") < page.index("## Cancel\n")
    assert "![Speed of each tool](benchmarks.svg)" in page


def test_a_result_without_a_place_in_the_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="strange"):
        kept.keep(a_section(key="strange"), tmp_path)


def test_results_of_another_version_are_named(tmp_path: Path) -> None:
    (tmp_path / "small-down.json").write_text('{"key": "small-down", "strange": 1}')

    with pytest.raises(CannotRun, match=r"small-down\.json cannot be read: remove it"):
        kept.kept(tmp_path)


def test_the_plot_names_each_tool_and_does_not_change_by_itself(tmp_path: Path) -> None:
    assert plot.draw([a_section()], tmp_path / "one.svg")
    assert plot.draw([a_section()], tmp_path / "two.svg")

    assert not plot.draw([a_section(key="cancel")], tmp_path / "none.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert "ours" in (tmp_path / "one.svg").read_text()
    assert "davix" not in (tmp_path / "one.svg").read_text()


def test_a_failing_program_tells_its_last_line() -> None:
    with pytest.raises(CannotRun, match="failed with status 3: the reason"):
        command([sys.executable, "-c", "import sys; print('first\\nthe reason', file=sys.stderr); sys.exit(3)"])


def test_a_program_that_is_not_there_cannot_run() -> None:
    with pytest.raises(CannotRun, match="No such file"):
        command(["/nowhere/program"])


def test_a_programs_cost_is_its_own() -> None:
    ours = bytearray(200 * 2**20)
    usage = command([sys.executable, "-S", "-c", "sum(range(3_000_000)); print('done')"])

    assert len(ours) == 200 * 2**20
    assert usage.output == "done\n"
    assert 0 < usage.cpu <= usage.seconds * 1.5
    assert 0 < usage.peak < 100 * 2**20


def test_programs_in_turn_cost_their_sum() -> None:
    usage = in_turn([[sys.executable, "-S", "-c", "sum(range(1_000_000))"]] * 2)

    assert usage.cpu > 0
    assert usage.peak > 0


def test_work_in_a_process_of_its_own_is_timed_without_the_start(tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_bytes(b"x" * 1000)
    task = {"act": "upload", "settings": {"backend": "memory"}, "arguments": [str(local), "/file"]}
    usage = command([sys.executable, "-m", "benchmarks.child", json.dumps(task)])
    told = json.loads(usage.output)

    assert told["count"] == 1000
    assert 0 < told["seconds"] < usage.seconds
    assert 0 < told["cpu"] < usage.cpu


@pytest.mark.parametrize(("text", "size"), [("1GiB", 2**30), ("500MB", 500 * 10**6), ("64Ki", 65536), ("17", 17)])
def test_sizes_have_units(text: str, size: int) -> None:
    assert _size(text) == size


@pytest.mark.parametrize("text", ["0", "17GiB", "1TB", "-1", "large"])
def test_sizes_are_bounded(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        _size(text)

"""The arithmetic of the benchmarks: order of the runs, medians, ratios, rows without figures."""

import argparse
import sys
import time
from functools import partial
from itertools import count

import pytest

from benchmarks.__main__ import _size
from benchmarks.report import table
from benchmarks.runner import CannotRun, Entry, Measured, Scenario, command, measure


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by one second with each look."""
    ticks = count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))


@pytest.mark.usefixtures("clock")
def test_runs_alternate_and_only_the_work_is_timed() -> None:
    done: list[str] = []
    entries = [
        Entry(
            name=name,
            run=partial(done.append, name),
            prepare=time.perf_counter,
            check=time.perf_counter,
        )
        for name in ("a", "b")
    ]
    results = measure(Scenario(title="t", entries=entries, peers=["a"]), repeats=3)

    assert done == ["a", "b", "b", "a", "a", "b"]
    assert [(result.name, result.seconds) for result in results] == [("a", (1, 1, 1)), ("b", (1, 1, 1))]


def test_what_cannot_run_says_why_and_is_not_tried_again() -> None:
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise CannotRun("no room")

    scenario = Scenario(title="t", entries=[Entry(name="a", run=fail)], peers=[], missing={"b": "not installed"})
    results = measure(scenario, repeats=3)

    assert [(result.name, result.reason, result.seconds) for result in results] == [
        ("a", "no room", ()),
        ("b", "not installed", ()),
    ]
    assert len(tries) == 1


def test_the_table_has_rates_and_ratios_of_medians() -> None:
    scenario = Scenario(title="One file", entries=[], peers=["curl", "davix"], amount=100, unit="MB")
    text = table(
        scenario,
        [Measured("curl", (2.0, 4.0, 3.0)), Measured("davix", reason="not installed"), Measured("ours", (2.0,))],
    )

    assert text.splitlines() == [
        "## One file",
        "",
        "|  | MB/s | speed / curl |",
        "| --- | --- | --- |",
        "| curl | 33 (50 - 25) | 1.00 |",
        "| davix | not installed |  |",
        "| ours | 50 (50 - 50) | 1.50 |",
    ]


def test_a_failing_program_tells_its_last_line() -> None:
    with pytest.raises(CannotRun, match="failed with status 3: the reason"):
        command([sys.executable, "-c", "import sys; print('first\\nthe reason', file=sys.stderr); sys.exit(3)"])


@pytest.mark.parametrize(("text", "size"), [("1GiB", 2**30), ("500MB", 500 * 10**6), ("64Ki", 65536), ("17", 17)])
def test_sizes_have_units(text: str, size: int) -> None:
    assert _size(text) == size


@pytest.mark.parametrize("text", ["0", "17GiB", "1TB", "-1", "large"])
def test_sizes_are_bounded(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        _size(text)

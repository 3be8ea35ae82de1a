"""Run the entries of a scenario in turns and take medians."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class CannotRun(Exception):
    """An entry cannot be measured; the text says why and stands in its row."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One way to do the work of a scenario.

    Attributes:
        name: Its row.
        run: Does the work once; this is timed.
        prepare: Clears what the last run left; not timed.
        check: Raises if the work was not done; not timed.
    """

    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    check: Callable[[], object] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The same work done in several ways.

    Attributes:
        title: Its heading.
        entries: The rows.
        peers: Names of the entries that the others are compared with.
        amount: How much work one run does, in `unit`; None where the time itself is told.
        unit: `MB` or `files`.
        missing: Rows that cannot run, with the reason.
        note: A sentence below the heading.
    """

    title: str
    entries: Sequence[Entry]
    peers: Sequence[str]
    amount: float | None = None
    unit: str = "s"
    missing: dict[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Measured:
    """The seconds that the runs of one entry took, or why there are none."""

    name: str
    seconds: tuple[float, ...] = ()
    reason: str = ""

    @property
    def median(self) -> float:
        """The median of the runs."""
        return statistics.median(self.seconds)


def measure(scenario: Scenario, *, repeats: int) -> list[Measured]:
    """Run every entry once a round, for `repeats` rounds, in an order that turns.

    Alternating, because neighbours and clocks of a machine change while it measures.
    """
    seconds: dict[str, list[float]] = {entry.name: [] for entry in scenario.entries}
    reasons = dict(scenario.missing)
    for turn in range(repeats):
        shift = turn % max(len(scenario.entries), 1)
        for entry in (*scenario.entries[shift:], *scenario.entries[:shift]):
            if entry.name in reasons:
                continue
            print(f"{scenario.title}: {turn + 1}/{repeats} {entry.name}", file=sys.stderr)
            try:
                seconds[entry.name].append(_time_once(entry))
            except CannotRun as reason:
                reasons[entry.name] = str(reason)
    names = [entry.name for entry in scenario.entries] + list(scenario.missing)
    return [Measured(name, tuple(seconds.get(name, ())), reasons.get(name, "")) for name in names]


def _time_once(entry: Entry) -> float:
    entry.prepare()
    start = time.perf_counter()
    entry.run()
    taken = time.perf_counter() - start
    entry.check()
    return taken


def command(argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run a program quietly.

    Raises:
        CannotRun: It failed; with the last line that it said.
    """
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False, env=env, cwd=cwd)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise CannotRun(f"failed with status {done.returncode}: {said[:120]}")

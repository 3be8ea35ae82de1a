"""Run the entries of a scenario in turns, and note time, processor and memory."""

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.programs import CannotRun, Usage
from ctadata_providers.errors import CtaError

Work = Callable[[], Usage]
"""Does the work once and returns what it cost."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One way to do the work of a scenario.

    Attributes:
        name: Its row.
        run: Does the work once; this is measured.
        prepare: Clears what the last run left; not timed.
        check: Raises `CannotRun` if the work was not done; not timed.
        amount: How much work one run does, where that is not the scenario's amount.
        connections: Returns how many connections the run has opened, where somebody counts.
        requests: Returns how many requests the run has made, where somebody counts.
    """

    name: str
    run: Work
    prepare: Callable[[], object] = lambda: None
    check: Callable[[], object] = lambda: None
    amount: float | None = None
    connections: Callable[[], int] | None = None
    requests: Callable[[], int] | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run cost.

    Attributes:
        seconds: Wall time.
        cpu: Seconds of processor time.
        peak: Peak of memory in bytes.
        connections: How many it opened, if somebody counted.
        requests: How many it made, if somebody counted.
    """

    seconds: float
    cpu: float = 0.0
    peak: int = 0
    connections: int | None = None
    requests: int | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The runs of one entry, or why there are none.

    Attributes:
        name: Its row.
        runs: What they cost.
        reason: Why there are none.
        amount: How much work each did; None where the time itself is told.
    """

    name: str
    runs: tuple[Run, ...] = ()
    reason: str = ""
    amount: float | None = None

    @property
    def median(self) -> float:
        """The median of the seconds."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def speed(self) -> float:
        """Work a second, by the median."""
        return (self.amount or 1.0) / self.median

    @property
    def cpu(self) -> float:
        """The median of the seconds of processor time."""
        return statistics.median(run.cpu for run in self.runs)

    @property
    def peak(self) -> int:
        """The largest peak of memory."""
        return max(run.peak for run in self.runs)


Results = Mapping[str, Measured]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a scenario is to show.

    Attributes:
        text: What is compared.
        wanted: The figure.
        value: Returns what was reached, None where something needed for it could not run.
        at_most: Whether less is better.
    """

    text: str
    wanted: float
    value: Callable[[Results], float | None]
    at_most: bool = False


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The same work done in several ways.

    Attributes:
        key: Its name among the results that are kept.
        title: Its heading.
        entries: The rows.
        peers: Names of the entries that the others are compared with.
        amount: How much work one run does, in `unit`; None where the time itself is told.
        unit: `MB`, `files` or `entries`.
        missing: Rows that cannot run, with the reason.
        note: A sentence below the heading.
        goals: What is to be reached.
        repeats: The most rounds that make sense.
    """

    key: str
    title: str
    entries: Sequence[Entry]
    peers: Sequence[str] = ()
    amount: float | None = None
    unit: str = "s"
    missing: dict[str, str] = field(default_factory=dict)
    note: str = ""
    goals: Sequence[Goal] = ()
    repeats: int = 50


def faster(ours: str, peer: str, wanted: float) -> Goal:
    """Return the goal to be so many times as fast as a peer."""

    def ratio(results: Results) -> float | None:
        own, other = results.get(ours), results.get(peer)
        return own.speed / other.speed if own and other and own.runs and other.runs else None

    return Goal(text=f"{ours}: speed / {peer}", wanted=wanted, value=ratio)


def measure(scenario: Scenario, *, repeats: int) -> list[Measured]:
    """Run every entry once a round, for `repeats` rounds, in an order that turns.

    Alternating, because neighbours and clocks of a machine change while it measures.
    """
    runs: dict[str, list[Run]] = {entry.name: [] for entry in scenario.entries}
    reasons = dict(scenario.missing)
    rounds = min(repeats, scenario.repeats)
    for turn in range(rounds):
        shift = turn % max(len(scenario.entries), 1)
        for entry in (*scenario.entries[shift:], *scenario.entries[:shift]):
            if entry.name in reasons:
                continue
            print(f"{scenario.title}: {turn + 1}/{rounds} {entry.name}", file=sys.stderr)
            try:
                runs[entry.name].append(_run_once(entry))
            except (CannotRun, CtaError) as reason:
                reasons[entry.name] = str(reason)
    amounts = {entry.name: entry.amount for entry in scenario.entries}
    return [
        Measured(
            name=name,
            runs=() if name in reasons else tuple(runs[name]),
            reason=reasons.get(name, ""),
            amount=amounts.get(name) or scenario.amount,
        )
        for name in [*runs, *scenario.missing]
    ]


def _run_once(entry: Entry) -> Run:
    entry.prepare()
    for count in (entry.connections, entry.requests):
        if count:
            count()  # what came before is not this run's
    usage = entry.run()
    connections = entry.connections() if entry.connections else None
    requests = entry.requests() if entry.requests else None
    entry.check()
    return Run(seconds=usage.seconds, cpu=usage.cpu, peak=usage.peak, connections=connections, requests=requests)

"""Results, one JSON file a scenario: docs/benchmarks.md is made of them, and so can be measured in parts."""

import datetime as dt
import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, versions
from benchmarks.programs import CannotRun
from benchmarks.runner import Measured, Run, Scenario, measure

FOLDER = Path(__file__).parent / "results"
"""Where those stand that docs/benchmarks.md tells of."""
ORDER = (
    "large-down-nginx",
    "large-up-nginx",
    "large-down-xrootd",
    "large-up-xrootd",
    "small-down",
    "small-up",
    "line-large",
    "line-small",
    "checksums",
    "cancel",
    "list",
    "walk",
    "tree-down",
    "tree-up",
    "huge",
    "fsspec-ranges",
    "fsspec-small-ranges",
    "fsspec-keys",
    "fsspec-ls",
    "imports",
    "snakemake",
    "plugins-run",
    "plugins-dry-run",
    "plugins-rules",
    "plugins-in-and-out",
    "plugins-folders",
    "plugins-killed",
)
"""Keys of the scenarios, as they stand in a report."""


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What was reached of a goal.

    Attributes:
        text: What is compared.
        wanted: The figure.
        value: What was reached; None where it could not be measured.
        at_most: Whether less is better.
    """

    text: str
    wanted: float
    value: float | None
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        if self.value is None:
            return False
        return self.value <= self.wanted if self.at_most else self.value >= self.wanted


@dataclass(frozen=True, kw_only=True)
class Section:
    """A scenario that has been measured, as plain data.

    Attributes:
        key: Its name among the results that are kept.
        title: Its heading.
        note: A sentence below it.
        unit: Of the work.
        peers: Rows that the others are compared with.
        rows: What was measured.
        goals: What was reached.
        date: When, UTC.
        version: Of the project: its commit.
        machine: On which machine.
        versions: Of all that took part.
    """

    key: str
    title: str
    note: str
    unit: str
    peers: list[str]
    rows: list[Measured]
    goals: list[Reached] = field(default_factory=list)
    date: str = ""
    version: str = ""
    machine: str = ""
    versions: str = ""


def measured(scenario: Scenario, *, repeats: int) -> Section:
    """Measure a scenario."""
    rows = measure(scenario, repeats=repeats)
    by_name = {row.name: row for row in rows}
    return Section(
        key=scenario.key,
        title=scenario.title,
        note=scenario.note,
        unit=scenario.unit,
        peers=list(scenario.peers),
        rows=rows,
        goals=[
            Reached(text=goal.text, wanted=goal.wanted, value=goal.value(by_name), at_most=goal.at_most)
            for goal in scenario.goals
        ],
        date=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M}",
        version=_commit(),
        machine=machine(),
        versions="; ".join(versions()),
    )


def keep(section: Section, folder: Path) -> None:
    """Write a section's file, over that of an earlier run.

    Raises:
        ValueError: Its key has no place in a report.
    """
    if section.key not in ORDER:
        raise ValueError(f"{section.key} has no place in a report: add it to ORDER")
    folder.mkdir(exist_ok=True)
    (folder / f"{section.key}.json").write_text(json.dumps(asdict(section), indent=1) + "\n")


def kept(folder: Path) -> list[Section]:
    """Return the sections of all runs, in the order of a report.

    Raises:
        CannotRun: A file is not one of ours, or of another version.
    """
    return [_read(path) for key in ORDER if (path := folder / f"{key}.json").exists()]


def goals_of(sections: Iterable[Section]) -> list[tuple[Section, Reached]]:
    """Return all goals with their sections."""
    return [(section, goal) for section in sections for goal in section.goals]


def _read(path: Path) -> Section:
    try:
        return _section(json.loads(path.read_text()))
    except (ValueError, TypeError, KeyError) as error:
        raise CannotRun(f"{path} cannot be read: remove it, and measure again ({error})") from error


def _section(data: dict[str, Any]) -> Section:
    rows = [Measured(**{**row, "runs": tuple(Run(**run) for run in row["runs"])}) for row in data["rows"]]
    return Section(**{**data, "rows": rows, "goals": [Reached(**goal) for goal in data["goals"]]})


@cache
def _commit() -> str:
    """Return the commit, and whether the code differs from it; results that were written since do not count."""
    try:
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":!/benchmarks/results", ":!/docs")
        return _git("describe", "--always") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    argv = ["git", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True, cwd=Path(__file__).parent).stdout.strip()

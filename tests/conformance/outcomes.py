"""What a run showed: how each test of the suite ended on each storage, for the table in docs/servers.md.

A conftest that provides storages imports the hooks with `*`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.conformance.features import Feature, feature_of
from tests.conformance.limits import Limit

__all__ = ["pytest_collection_modifyitems", "pytest_runtest_makereport"]

MEMORY = "memory"
LIMIT = pytest.StashKey[Limit]()
VERSION = pytest.StashKey[tuple[int, ...]]()


@dataclass(frozen=True)
class Outcome:
    """How one test ended on one storage.

    Attributes:
        feature: What it is about.
        passed: Whether it passed, or ended as a known limit says.
        limit: The known limit, if any.
    """

    feature: Feature
    passed: bool
    limit: Limit | None


@dataclass
class Storages:
    """What is known of each storage of a run, by the name of its parameter.

    Attributes:
        planned: Names of the tests of the suite that were collected.
        outcomes: How those ended that ran and were not skipped.
        ran: Names of those that ran or were skipped.
        versions: The version of the server's program, where it is known.
    """

    planned: dict[str, set[str]] = field(default_factory=dict)
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    ran: dict[str, set[str]] = field(default_factory=dict)
    versions: dict[str, tuple[int, ...]] = field(default_factory=dict)


_STORAGES = pytest.StashKey[Storages]()


def storages(config: pytest.Config) -> Storages:
    """Return what is known so far in this run."""
    return config.stash.setdefault(_STORAGES, Storages())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note what is planned, before users deselect anything, and let the comparison with the table come last."""
    unfit = [item for item in items if _storage_of(item) == MEMORY and item.function.__dict__["of_servers"]]
    if unfit:
        config.hook.pytest_deselected(items=unfit)
        items[:] = [item for item in items if item not in unfit]
    for item in items:
        storage = _storage_of(item)
        if storage is not None:
            storages(config).planned.setdefault(storage, set()).add(item.nodeid)
    items.sort(key=lambda item: getattr(item, "originalname", "") == "test_the_table_for_users_is_what_this_run_says")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """Note how a test ended."""
    report: pytest.TestReport = yield
    storage = _storage_of(item)
    if storage is None or (report.when != "call" and report.passed):
        return report
    known = storages(item.config)
    known.ran.setdefault(storage, set()).add(item.nodeid)
    known.versions[storage] = item.stash.get(VERSION, ())
    expected = hasattr(report, "wasxfail")
    if not report.skipped or expected:
        about = feature_of(item.function, item.callspec.params)  # type: ignore[attr-defined]  # it is a test function
        outcome = Outcome(about, passed=not report.failed, limit=item.stash.get(LIMIT, None))
        known.outcomes.setdefault(storage, []).append(outcome)
    return report


def _storage_of(item: pytest.Item) -> str | None:
    """Return the name of the storage that a test of the suite runs on, None for another test."""
    if not hasattr(getattr(item, "function", None), "feature"):
        return None
    params = item.callspec.params  # type: ignore[attr-defined]  # the suite runs on storages that are parameters
    return str(params.get("storage") or params["server"])

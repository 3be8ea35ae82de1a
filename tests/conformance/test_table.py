"""The table for users in docs/servers.md is what the suite showed; `make servers-table` writes it."""

import os

import pytest

from tests.conformance.features import Feature
from tests.conformance.limits import LIMITS
from tests.conformance.outcomes import Outcome, Storages, storages
from tests.conformance.suite import __all__ as tests
from tests.conformance.table import BEGIN, END, PAGE, UNTRIED, columns_of, read, write

NODE = "test_storages.py::test_one[wsgidav-a::b]"
LIMIT = next(limit for limit in LIMITS if limit.storage == "wsgidav")


def run_of(*outcomes: Outcome, ran: frozenset[str] = frozenset({NODE})) -> Storages:
    """Return a run of a suite of one test on WsgiDAV."""
    return Storages({"wsgidav": {NODE}}, {"wsgidav": [*outcomes]}, {"wsgidav": {*ran}}, {"wsgidav": ()})


def test_a_feature_without_limits_is_there_and_one_with_a_limit_has_its_word_and_footnote() -> None:
    fine, limited = Outcome(Feature.TREES, True, None), Outcome(Feature.MOVE, True, LIMIT)
    column = columns_of(run_of(fine, limited, Outcome(Feature.MOVE, True, None)), 1)["WsgiDAV"]

    assert column == {
        Feature.TREES.value: "yes",
        Feature.MOVE.value: f"{LIMIT.says} [^{LIMIT.reason.label}]",
    }


@pytest.mark.parametrize(
    ("run", "tests"),
    [
        pytest.param(run_of(Outcome(Feature.TREES, False, None)), 1, id="a failure"),
        pytest.param(run_of(ran=frozenset()), 1, id="deselected"),
        pytest.param(run_of(Outcome(Feature.TREES, True, None)), 2, id="one test of two"),
        pytest.param(Storages(), 1, id="nothing"),
    ],
)
def test_a_column_is_of_a_whole_run_without_failures(run: Storages, tests: int) -> None:
    assert columns_of(run, tests) == {}


def test_what_is_written_is_read_again_and_a_new_version_has_a_column_of_its_own() -> None:
    columns = {"XRootD 5.5": {Feature.TREES.value: f"no [^{LIMIT.reason.label}]"}, "Apache": {}}
    page = write(f"before\n{BEGIN}\nstale\n{END}\nafter\n", columns)
    again = write(page, read(page) | {"XRootD 6.2, redirecting": {Feature.TREES.value: "yes"}})

    assert list(read(again)) == ["XRootD 5.5", "XRootD 6.2, redirecting", "Apache"]
    assert [column[Feature.TREES.value] for column in read(again).values()] == [
        f"no [^{LIMIT.reason.label}]",
        "yes",
        UNTRIED,
    ]
    assert f"\n[^{LIMIT.reason.label}]: {LIMIT.reason.text}\n" in again
    assert again.startswith("before\n")
    assert again.endswith("\nafter\n")
    assert "stale" not in again


def test_the_table_for_users_is_what_this_run_says(pytestconfig: pytest.Config) -> None:
    """It runs last (`outcomes`), and compares the columns of storages on which the whole suite ran and passed."""
    shown = columns_of(storages(pytestconfig), len(tests))
    if not shown:
        pytest.skip("the suite did not run as a whole on any server")
    page = PAGE.read_text()
    known = read(page)
    if os.environ.get("CTA_SERVERS_TABLE") == "write":
        PAGE.write_text(write(page, known | shown))
        return

    # A column of a version that is not in the table, of another XRootD for instance, is not compared.
    assert page == write(page, known | {title: column for title, column in shown.items() if title in known})

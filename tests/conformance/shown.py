"""The table for users in docs/servers.md is what the suite showed; `make servers-table` writes it.

Imported beside the suite: the test must run in the process that ran it.
"""

import os

import pytest

from tests.conformance.outcomes import storages
from tests.conformance.suite import __all__ as tests
from tests.conformance.table import PAGE, columns_of, read, write


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

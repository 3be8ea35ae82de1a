"""The table for users in docs/servers.md is what the suite showed on real servers."""

import pytest

from tests.conformance.test_table import test_the_table_for_users_is_what_this_run_says

__all__ = ["test_the_table_for_users_is_what_this_run_says"]

pytestmark = pytest.mark.real

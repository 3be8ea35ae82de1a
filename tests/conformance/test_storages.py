"""The suite on the storages that need no system package."""

from tests.conformance.fixtures import *  # noqa: F403 (fixtures)
from tests.conformance.shown import test_the_table_for_users_is_what_this_run_says  # noqa: F401 (a test)
from tests.conformance.suite import *  # noqa: F403 (tests)

"""The suite on the storages that need no system package."""

from tests.conformance.fixtures import *  # noqa: F403 (fixtures)
from tests.conformance.limits import LIMITS
from tests.conformance.suite import *  # noqa: F403 (tests)
from tests.conformance.suite import __all__ as tests


def test_every_known_limit_is_that_of_a_test_and_has_a_reason() -> None:
    assert {limit.test for limit in LIMITS} <= set(tests)
    assert all(limit.reason for limit in LIMITS)

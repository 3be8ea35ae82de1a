"""The suite on the storages that need no system package."""

from tests.conformance.fixtures import *  # noqa: F403 (fixtures)
from tests.conformance.suite import *  # noqa: F403 (tests)

"""Completion in the shells that are Debian packages."""

from tests.unit.cli.test_completion_in_shells import *  # noqa: F403 (tests and fixtures)

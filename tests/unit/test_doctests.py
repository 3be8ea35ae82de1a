"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import ctadata_providers

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(ctadata_providers.__path__, "ctadata_providers.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name), raise_on_error=False)

    assert outcome.failed == 0

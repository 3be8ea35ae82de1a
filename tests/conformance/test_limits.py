"""The table of known limits is one of tests, parameters and storages that there are."""

import pytest

from tests.conformance import suite
from tests.conformance.features import Feature
from tests.conformance.limits import LIMITS, Limit
from tests.conformance.suite import __all__ as tests

# The names that tests/servers and this folder's conftest give.
STORAGES = (
    *("memory", "fakecta", "services", "services-dcache", "wsgidav", "apache", "apache-tls", "nginx", "nginx-tls"),
    *("xrootd-http", "xrootd-token", "xrootd-x509", "xrootd-redirecting-token", "xrootd-redirecting-stripped"),
)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit.storage}-{limit.test}-{limit.value}")
def test_a_known_limit_is_that_of_a_test_on_a_storage(limit: Limit) -> None:
    assert limit.test in tests
    assert limit.value is None or limit.value in _values(limit.test)
    assert any(storage.startswith(limit.storage) for storage in STORAGES)


def test_no_limit_hides_another() -> None:
    keys = [(limit.storage, limit.test, limit.value) for limit in LIMITS]

    assert len(keys) == len(set(keys))


def test_a_reason_has_one_label() -> None:
    assert len({limit.reason.label for limit in LIMITS}) == len({limit.reason.text for limit in LIMITS})


def test_every_test_is_about_a_feature_and_every_feature_has_a_test() -> None:
    about = {test: vars(getattr(suite, test)).get("feature") for test in tests}
    features = [{found} if isinstance(found, Feature) else set(found.values()) for found in about.values() if found]

    assert len(tests) == len(set(tests))
    assert [test for test, found in about.items() if found is None] == []
    assert set().union(*features) == set(Feature)


def _values(test: str) -> set[object]:
    """Return the values of a test's parameters."""
    marks = [mark for mark in getattr(suite, test).pytestmark if mark.name == "parametrize"]
    return {value for mark in marks for value in mark.args[1]}

"""What tests of logins share."""

from collections.abc import Iterator

import pytest

from tests.small_trust import small_trust


@pytest.fixture(scope="module", autouse=True)
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with small_trust(tmp_path_factory.mktemp("system")):
        yield

"""The suite of `tests/conformance` on real servers.

A redirecting XRootD takes it with a manager that looks for names itself, at once. One that asks its data servers takes
a second or more for every new name, so that there only test_redirects.py and test_credentials.py run.
"""

import pytest

from tests.conformance.fixtures import *  # noqa: F403 (fixtures)
from tests.conformance.storage import ServerStorage, Storage
from tests.conformance.suite import *  # noqa: F403 (tests)
from tests.servers.server import Server

pytestmark = pytest.mark.real


@pytest.fixture(scope="session")
def storage(server: Server) -> Storage:
    """The storage that a running server is."""
    return ServerStorage(server)

"""The interface's own tests of the Snakemake plugin on every real server."""

import pytest

from tests.snakemake.interface import OnServer

pytestmark = pytest.mark.real


class TestServers(OnServer):
    """On Apache, nginx and XRootD, whatever the fixture `server` runs."""

    __test__ = True

"""`ctadata whoami` with the services: what their hub tells."""

import pytest

from ctadata_providers.cli import main
from ctadata_providers.testing import FakeCta


def test_whoami_is_the_own_folder_that_the_hub_and_the_storage_tell(
    fake_cta_services: FakeCta, cta_services_environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["whoami"])

    assert (code, capsys.readouterr().out) == (0, "/lst/users/alice\n")

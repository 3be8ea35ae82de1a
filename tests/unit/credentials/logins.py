"""What tests of logins share."""

from collections.abc import Iterator

import pytest

from tests.faults.conftest import forget_bundles


@pytest.fixture(scope="module", autouse=True)
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One authority nobody uses instead of the system's 140, which cost 20 ms for each question to a provider."""
    import trustme

    stranger = tmp_path_factory.mktemp("system") / "bundle.pem"
    stranger.write_bytes(trustme.CA(organization_name="nobody").cert_pem.bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(stranger))
        patch.delenv("SSL_CERT_DIR", raising=False)
        forget_bundles()
        yield
    forget_bundles()

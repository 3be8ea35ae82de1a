"""Where a file is, for other programs: the URL at its door, and that for a browser."""

import pytest

from ctadata_providers import CtaClient, UnsupportedError
from ctadata_providers.testing import FakeCta


def test_a_url_names_the_file_at_the_door_and_holds_no_credential(client: CtaClient, fake_cta: FakeCta) -> None:
    assert client.url("cta://lst/a b#c.fits") == f"{fake_cta.door_url}/lst/a%20b%23c.fits"
    with pytest.raises(UnsupportedError):
        CtaClient(backend="memory").url("lst/a")


def test_a_browser_is_sent_to_the_door_whose_settings_alone_tell_where(client: CtaClient, fake_cta: FakeCta) -> None:
    asked = len(fake_cta.requests)

    assert client.browser_url("cta://lst/a b#c?.fits") == f"{fake_cta.door_url}/lst/a%20b%23c%3F.fits"
    assert client.browser_url("lst/DL3/") == f"{fake_cta.door_url}/lst/DL3/"
    assert client.browser_url("/") == f"{fake_cta.door_url}/"
    assert len(fake_cta.requests) == asked
    with pytest.raises(UnsupportedError):
        CtaClient(backend="memory").browser_url("lst/a")

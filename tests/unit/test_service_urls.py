"""The URL of a file at the downloadservice is one that any program can read, with the hub token."""

import ssl
import urllib.request

from ctadata_providers import CtaClient
from ctadata_providers.testing import FakeCta

NAMES = ["plain.fits", "two words", "été.fits", "a#b", "50%25", "what?", "a..b", "([x])"]


def test_other_programs_read_a_file_at_its_url() -> None:
    with FakeCta(services=True) as cta, CtaClient(**cta.service_settings()) as client:
        trust = ssl.create_default_context(cafile=cta.ca_file)

        def read(url: str) -> tuple[int, bytes]:
            asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {cta.hub_token}"})
            with urllib.request.urlopen(asked, context=trust) as answer:
                return answer.status, answer.read()

        for name in NAMES:
            cta.put(f"/lst/{name}", name.encode())
        urls = [client.url(f"cta://lst/{name}") for name in NAMES]

        assert [read(url) for url in urls] == [(200, name.encode()) for name in NAMES]
        assert urls[0] == f"{cta.service_url}webdav/lst/plain.fits"
        assert client.url("/") == f"{cta.service_url}webdav"  # with a slash behind it there is nothing
        assert cta.hub_token not in "".join(urls)

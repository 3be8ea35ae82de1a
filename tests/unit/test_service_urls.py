"""The URL of a file at the downloadservice is one that any program can read, with the hub token."""

import ssl
import urllib.request

from ctadata_providers import CtaClient
from ctadata_providers.testing import FakeCta

NAMES = ["plain.fits", "two words", "été.fits", "a#b", "50%25", "what?", "a..b", "([x])"]


def read(cta: FakeCta, url: str) -> tuple[int, bytes]:
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {cta.hub_token}"})
    with urllib.request.urlopen(asked, context=ssl.create_default_context(cafile=cta.ca_file)) as answer:
        return answer.status, answer.read()


def test_a_browser_finds_files_and_folders_at_their_urls() -> None:
    with FakeCta(services=True) as cta, CtaClient(**cta.service_settings()) as client:
        for name in NAMES:
            cta.put(f"/lst/{name}/{name}", name.encode())
        urls = [client.browser_url(f"cta://lst/{name}/{name}") for name in NAMES]
        folders = [client.browser_url(f"lst/{name}/") for name in NAMES]
        asked = len(cta.requests)

        assert [read(cta, url) for url in urls] == [(200, name.encode()) for name in NAMES]
        assert [read(cta, url)[0] for url in [*folders, client.browser_url("/")]] == [200] * (len(NAMES) + 1)
        assert asked == 0, "the settings tell"
        assert cta.hub_token not in "".join(urls)


def test_other_programs_read_a_file_at_its_url() -> None:
    with FakeCta(services=True) as cta, CtaClient(**cta.service_settings()) as client:
        for name in NAMES:
            cta.put(f"/lst/{name}", name.encode())
        urls = [client.url(f"cta://lst/{name}") for name in NAMES]

        assert [read(cta, url) for url in urls] == [(200, name.encode()) for name in NAMES]
        assert urls[0] == f"{cta.service_url}webdav/lst/plain.fits"
        assert client.url("/") == f"{cta.service_url}webdav"  # with a slash behind it there is nothing
        assert cta.hub_token not in "".join(urls)

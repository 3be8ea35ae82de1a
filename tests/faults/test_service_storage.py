"""Faults of the storage behind the services of a FakeCta: never a wrong file, never a hang, the right error."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, CredentialError, CtaClient, CtaError, IntegrityError, TransientError
from ctadata_providers.testing import FakeCta

PATH, OURS = "/lst/DL3/run.fits", "/lst/users/alice/run.fits"
SIZE = 300_000
TIMEOUT = 1.0
HANG = 30.0
"""Seconds that are certainly more than the time-outs of a call together."""


@pytest.fixture
def payload() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def cta(fake_cta_services: FakeCta, payload: bytes) -> FakeCta:
    fake_cta_services.put(PATH, payload)
    return fake_cta_services


@pytest.fixture
def client(cta: FakeCta) -> Iterator[CtaClient]:
    with CtaClient(Config.from_mapping({**cta.service_settings(), "retries": 0, "timeout": TIMEOUT})) as opened:
        yield opened


FAULTS: dict[str, tuple[str, dict[str, Any], tuple[type[CtaError], ...]]] = {
    "500": ("server-error", {}, (TransientError,)),
    "503": ("unavailable", {}, (TransientError,)),
    "broken off half-way": ("reset", {"after": SIZE // 2}, (TransientError,)),
    "cut half-way": ("truncate", {"after": SIZE // 2}, (TransientError,)),
    "shorter than told": ("truncate", {"after": SIZE // 2, "announced": False}, (TransientError, IntegrityError)),
    "longer than told": ("longer-body", {"by": 7}, (TransientError, IntegrityError)),
    "silent": ("stall", {"seconds": HANG * 2}, (TransientError,)),
    "silent half-way": ("stall", {"seconds": HANG * 2, "after": SIZE // 2}, (TransientError,)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_storage_is_no_file_and_the_right_error(
    cta: FakeCta, client: CtaClient, tmp_path: Path, payload: bytes, name: str
) -> None:
    kind, options, errors = FAULTS[name]
    target = tmp_path / "run.fits"
    target.write_bytes(b"old")
    begun = time.monotonic()
    with cta.fault(kind, server="storage", method="GET", **options) as fault, pytest.raises(errors) as caught:  # type: ignore[arg-type]  # its name is one of a table
        client.download(PATH, target)
    taken = time.monotonic() - begun

    assert fault.hits > 0
    assert taken < HANG
    assert target.read_bytes() == b"old"
    assert caught.value.remedy
    assert cta.hub_token not in str(caught.value)


@pytest.mark.parametrize("kind", ["slow", "redirect"])
def test_what_only_delays_or_leads_elsewhere_gives_the_file(
    cta: FakeCta, client: CtaClient, tmp_path: Path, payload: bytes, kind: str
) -> None:
    options: dict[str, Any] = {"rate": 4 * SIZE} if kind == "slow" else {}
    with cta.fault(kind, server="storage", method="GET", **options):  # type: ignore[arg-type]
        client.download(PATH, tmp_path / "run.fits")

    assert (tmp_path / "run.fits").read_bytes() == payload


@pytest.mark.parametrize("kind", ["server-error", "unavailable", "no-space", "redirect"])
def test_an_upload_that_the_storage_refuses_is_no_success(
    cta: FakeCta, client: CtaClient, tmp_path: Path, payload: bytes, kind: str
) -> None:
    (tmp_path / "sent").write_bytes(payload)
    with cta.fault(kind, server="storage", method="PUT"), pytest.raises(CtaError) as caught:  # type: ignore[arg-type]
        client.upload(tmp_path / "sent", OURS)

    assert not cta.exists(OURS) or "partial file may remain" in str(caught.value)


def test_200_downloads_at_once_are_all_right_on_a_service_of_10_threads(cta: FakeCta, tmp_path: Path) -> None:
    data = {f"/lst/DL3/many/{number}": os.urandom(5000) for number in range(200)}
    for path, content in data.items():
        cta.put(path, content)
    with CtaClient(Config.from_mapping({**cta.service_settings(), "retries": 0, "timeout": 20.0})) as client:
        client.download_tree("/lst/DL3/many", tmp_path / "many")
        ways = {path: tmp_path / path.rpartition("/")[2] for path in data}
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda path: client.download(path, ways[path]), ways))

    assert client.config.max_parallel == 4
    assert {path: (tmp_path / "many" / path.rpartition("/")[2]).read_bytes() for path in data} == data
    assert {path: local.read_bytes() for path, local in ways.items()} == data


def test_a_token_of_the_hub_around_us_is_never_sent_to_the_service_of_another(
    cta: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("CTA_BACKEND", "CTADS_URL", "CTACS_URL", "CTA_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "ctadata-providers"
    folder.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", cta.hub_token)
    monkeypatch.setenv("JUPYTERHUB_PUBLIC_HUB_URL", "https://hub.example.org/hub/")
    config = Config.from_env().with_settings(backend="downloadservice", ca_path=cta.ca_file, retries=0)
    cta.clear_requests()
    with CtaClient(config) as client, pytest.raises(CredentialError, match="of another hub"):
        client.stat("/lst")

    assert cta.requests == []

import logging
import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ctadata_providers.retry
import ctadata_providers.session.gates
import ctadata_providers.transfer.context
from ctadata_providers import CtaClient
from ctadata_providers.retry import RetryPolicy
from tests.faults.cells import Told
from tests.faults.pki import ca_file
from tests.faults.scripted import Door
from tests.small_trust import small_trust

FOREIGN = ("CTA_", "BEARER_TOKEN", "X509_", "XDG_", "JUPYTERHUB", "HTTP", "NO_PROXY", "ALL_PROXY", "REQUESTS_", "CURL_")


@pytest.fixture(scope="package", autouse=True)
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with small_trust(tmp_path_factory.mktemp("system")):
        yield


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home, a state and an environment of this test alone; returns the state folder."""
    for name in list(os.environ):
        if name.upper().startswith(FOREIGN):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own backoff begins with 10 ms, without jitter; what a server asks for, and the 20 s after a 429, stay."""
    monkeypatch.setattr(ctadata_providers.retry, "random", SimpleNamespace(random=lambda: 0.0))
    policy = partial(RetryPolicy, first_delay=0.01)
    monkeypatch.setattr(ctadata_providers.session, "RetryPolicy", policy)
    monkeypatch.setattr(ctadata_providers.transfer.context, "RetryPolicy", policy)


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of any server: another test may have had the same port."""
    ctadata_providers.session.habits.forget()
    monkeypatch.setattr(ctadata_providers.session.gates, "_gates", {})
    monkeypatch.setattr(ctadata_providers.session.limits, "_limiters", {})


@pytest.fixture
def open_door() -> Iterator[Callable[..., Door]]:
    """Start scripted servers, which end with the test."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(Door(**how))


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority that signs the scripted servers."""
    return ca_file(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def client_of(ca: Path) -> Iterator[Callable[..., CtaClient]]:
    """Make clients of a server, with few retries."""
    with ExitStack() as stack:

        def make(door: Door, **settings: Any) -> CtaClient:
            how = {"retries": 2, "timeout": 2.0, "connect_timeout": 2.0, "ca_path": ca, "token": None, **settings}
            given = {name: value for name, value in how.items() if value is not None}
            return stack.enter_context(CtaClient(door_url=door.url, **given))

        yield make


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An old local file in a folder of its own, which a download would replace."""
    file = tmp_path / "local" / "events.fits"
    file.parent.mkdir()
    file.write_bytes(b"old")
    return file


@pytest.fixture
def payload() -> bytes:
    """300 kB that do not repeat: many TLS records."""
    return random.Random(11).randbytes(300_000)


@pytest.fixture
def source(tmp_path: Path, payload: bytes) -> Path:
    """A file to upload."""
    file = tmp_path / "source"
    file.write_bytes(payload)
    return file


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    """A door with an old file where the new one goes."""
    return open_door(files={"/night/events.fits": b"old one"}, folders={"/night"})


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """Everything that is logged, by anybody, at DEBUG."""
    caplog.set_level(logging.DEBUG)
    return Told(caplog)

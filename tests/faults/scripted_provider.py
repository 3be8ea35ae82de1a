"""An OpenID provider on loopback that says exactly what a test tells it to."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ctadata_providers import Config
from ctadata_providers.credentials.oidc import provider as oidc
from tests.faults.scripted import Door, Exchange


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider's endpoints are known: another test may have had the same port."""
    monkeypatch.setattr(oidc, "_known", {})


def serve(
    door: Door, *, tokens: Callable[[Exchange], None] | None = None, timeout: float = 10.0, **metadata: Any
) -> Config:
    """Let it tell its metadata, and answer token requests; return the settings of a client."""
    issuer = f"{door.url}/realms/x"
    told = {"issuer": issuer, "token_endpoint": f"{issuer}/token", **metadata}
    answer_json(door, "GET", {name: value for name, value in told.items() if value is not None})
    if tokens:
        door.fault("POST", tokens)
    return Config(issuer=issuer, client_id="me", client_secret="s3cret-of-mine", timeout=timeout)


def answer_json(door: Door, method: str, content: object, *, status: int = 200, times: int = 1_000_000) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    kind = "Content-Type: application/json"
    door.fault(method, lambda exchange: exchange.answer(status, kind, body=body), times=times)

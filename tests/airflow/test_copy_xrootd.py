"""Deferred copies between two real XRootDs, which tell no checksum in their listings."""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from airflow_provider_cta.triggers.copying import CtaCopyTrigger

from tests.real.conftest import issuer, pki
from tests.servers.pki import Pki
from tests.servers.server import Server
from tests.servers.tokens import TokenIssuer
from tests.servers.xrootd import xrootd

__all__ = ["issuer", "pki"]
pytestmark = pytest.mark.real
LARGE = 700_000_000


@pytest.fixture(scope="module")
def servers(pki: Pki, issuer: TokenIssuer) -> Iterator[tuple[Server, Server]]:
    """Two servers."""
    with xrootd("token", pki=pki, issuer=issuer) as one, xrootd("token", pki=pki, issuer=issuer) as other:
        yield one, other


@pytest.fixture
def sites(servers: tuple[Server, Server], store_connection: Any) -> tuple[Server, Server]:
    """The connections `one` and `other`."""
    for name, server in zip(("one", "other"), servers, strict=True):
        settings: dict[str, Any] = {**server.settings(), "copy_hosts": "localhost,127.0.0.1"}
        store_connection(name, password=settings.pop("token"), extra=settings)
    return servers


def stored(server: Server) -> list[str]:
    """Return all files below /copies of a server, hidden ones too."""
    top = server.root / "copies"
    return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())


async def fired(trigger: CtaCopyTrigger) -> Any:
    (event,) = [event async for event in trigger.run()]
    return json.loads(json.dumps(event.payload))


def test_a_deferred_copy_is_killed_and_begun_again(sites: tuple[Server, Server]) -> None:
    one, other = sites
    small = os.urandom(2_000_000)
    one.put("/copies/a", small)
    one.put_sparse("/copies/b", LARGE, b"end")
    pairs = [(f"copies/{name}", f"copies/{name}") for name in ("a", "b")]
    trigger = CtaCopyTrigger(pairs, "one", "other", overwrite=False)

    async def killed() -> None:
        running = asyncio.create_task(fired(trigger))
        while "a" not in stored(other) or len(stored(other)) < 2:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
        await trigger.on_kill()
        assert running.cancelled()

    asyncio.run(asyncio.wait_for(killed(), 60))
    after_kill = stored(other)
    event = asyncio.run(asyncio.wait_for(fired(trigger), 90))

    assert after_kill == ["a"]
    assert [result["way"] for result in event["copied"]] == ["before", "pull"]
    assert stored(other) == ["a", "b"]
    assert (other.root / "copies" / "a").read_bytes() == small
    assert (other.root / "copies" / "b").stat().st_size == event["copied"][1]["size"]

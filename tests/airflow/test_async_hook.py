"""The hook in asyncio, as a trigger uses it."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseHook
from airflow_provider_cta.hooks import cta
from airflow_provider_cta.hooks.cta import CtaHook

from ctadata_providers import ConfigError
from ctadata_providers.testing import FakeCta

PATIENCE = 30.0


def in_time(main: Any) -> Any:
    return asyncio.run(asyncio.wait_for(main, PATIENCE))


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits must not be called in the loop's thread: Airflow's channel to its supervisor would lock up."""
    ours = threading.get_ident()
    masking = cta.mask_secret

    def refuse(conn_id: str) -> None:
        raise AssertionError("the connection is asked for in a way that waits")

    def elsewhere(secret: Any, name: str | None = None) -> None:
        assert threading.get_ident() != ours, "a secret is masked in a way that waits"
        masking(secret, name)

    reading = cta._settings

    def read(connection: Any) -> dict[str, Any]:
        assert threading.get_ident() != ours, "the settings are made, which may read files, in the thread of the loop"
        return reading(connection)

    monkeypatch.setattr(cta, "_settings", read)
    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    monkeypatch.setattr(cta, "mask_secret", elsewhere)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(
    "extra", [{"retries": "2", "trusted_hosts": ["a.example.org"]}, {"ambient_credentials": "true"}]
)
def test_the_settings_are_those_of_the_hook_that_waits(
    extra: dict[str, Any], store_connection: Any, monkeypatch: pytest.MonkeyPatch, as_logged: Any
) -> None:
    monkeypatch.setenv("CTA_MAX_PARALLEL", "3")
    store_connection("site", host="door.example.org", password="a-canary-token", extra=extra)
    config = in_time(CtaHook("site").aconfig())
    monkeypatch.undo()
    store_connection("site", host="door.example.org", password="a-canary-token", extra=extra)
    monkeypatch.setenv("CTA_MAX_PARALLEL", "3")

    assert config == CtaHook("site").config()
    assert config.max_parallel == (3 if "ambient_credentials" in extra else 16)
    assert as_logged("a-canary-token") == "***"


@pytest.mark.usefixtures("no_waiting")
def test_the_lines_of_a_proxy_are_masked(fake_cta: FakeCta, store_connection: Any, as_logged: Any) -> None:
    pem = fake_cta.make_proxy("alice").read_text()
    store_connection("site", extra={"proxy_pem": pem})
    in_time(CtaHook("site").aconfig())
    line = max(pem.split(), key=len)

    assert as_logged(f"before {line} after") == "before *** after"


@pytest.mark.usefixtures("no_waiting")
def test_transfers_are_awaited_and_each_new_token_is_masked(
    fake_cta: FakeCta, store_connection: Any, tmp_path: Path, as_logged: Any
) -> None:
    fake_cta.put("/lst/a", b"12345")
    file = tmp_path / "token"
    settings = {"door_url": fake_cta.door_url, "ca_path": str(fake_cta.ca_file), "token_file": str(file)}
    store_connection("cta_default", extra=settings)
    tokens = [fake_cta.make_token(lifetime=lifetime) for lifetime in (1000.0, 2000.0)]

    async def main() -> list[int]:
        sizes = []
        with await CtaHook().aclient() as client:
            for number, token in enumerate(tokens):
                file.write_text(token)
                sizes.append((await client.begin_download("lst/a", tmp_path / str(number))).size)
        return sizes

    assert in_time(main()) == [5, 5]
    assert as_logged(" ".join(tokens)) == "*** ***"


def test_a_token_that_comes_when_the_loop_is_closed_is_masked_too(as_logged: Any) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    cta._mask_from_anywhere(loop, "a-late-canary-token")

    assert as_logged("a-late-canary-token") == "***"


def test_errors_are_those_of_the_hook_that_waits(store_connection: Any) -> None:
    from airflow.sdk.exceptions import AirflowNotFoundException

    store_connection("broken", extra="{")

    with pytest.raises(ConfigError, match="not JSON"):
        in_time(CtaHook("broken").aconfig())
    with pytest.raises(AirflowNotFoundException):
        in_time(CtaHook("there_is_none").aclient())

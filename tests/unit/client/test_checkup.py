"""A client looks step by step at what a request needs."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers import Config, ConfigError, CredentialError, CtaClient
from ctadata_providers.client.checkup import Step
from ctadata_providers.testing import FakeCta
from tests.unit.client.calls import connect

NAMES = ["tls", "credential", "scopes", "listing", "latency"]


def steps(cta: FakeCta, **settings: object) -> dict[str, Step]:
    with connect(cta, **settings) as client:
        return {step.name: step for step in client.check()}


def states(found: dict[str, Step]) -> list[str]:
    return [found[name].state for name in NAMES]


@pytest.fixture
def free_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))  # and nobody listens
        yield int(taken.getsockname()[1])


def test_all_steps_are_told(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"a")
    fake_cta.clear_requests()
    found = steps(fake_cta, token=fake_cta.make_token(lifetime=5000.0, scope="storage.read:/ openid"))

    assert list(found) == NAMES
    assert states(found) == ["good"] * 5
    assert "TLSv1" in found["tls"].told
    assert re.search(r"its certificate ends \d{4}-\d\d-\d\d$", found["tls"].told)
    assert found["credential"].told == "token is good for 83 min"
    assert found["scopes"].told == "openid storage.read:/"
    assert "its first entry is cta://lst/" in found["listing"].told
    assert "ms for a small question" in found["latency"].told
    assert len([request for request in fake_cta.requests if request.method == "PROPFIND"]) == 4


def test_a_server_that_is_not_trusted_is_told_by_tls_and_listing(fake_cta: FakeCta) -> None:
    settings = {name: value for name, value in fake_cta.settings().items() if name != "ca_path"}
    with CtaClient(Config.from_mapping({**settings, "retries": 0})) as client:
        found = {step.name: step for step in client.check()}

    assert states(found) == ["bad", "good", "good", "bad", "skipped"]
    assert "is not trusted" in found["tls"].told
    assert "ca_path" in found["tls"].told


def test_a_server_that_is_away_is_told(fake_cta: FakeCta, free_port: int) -> None:
    found = steps(fake_cta, door_url=f"https://localhost:{free_port}")

    assert states(found) == ["bad", "good", "good", "bad", "skipped"]
    assert f"cannot reach localhost:{free_port}" in found["tls"].told


def test_a_token_that_has_ended_is_told_and_not_sent(fake_cta: FakeCta) -> None:
    ended = fake_cta.make_token(lifetime=-100.0)
    fake_cta.clear_requests()
    found = steps(fake_cta, token=ended)

    assert states(found) == ["good", "bad", "skipped", "bad", "skipped"]
    assert isinstance(found["credential"].error, CredentialError)
    assert fake_cta.requests == []
    assert ended not in str(found)


def test_a_refused_token_is_told_by_the_listing(fake_cta: FakeCta) -> None:
    found = steps(fake_cta, token="an-opaque-token-of-nobody")

    assert states(found) == ["good", "good", "skipped", "bad", "skipped"]
    assert found["credential"].told == "token does not tell when it ends"
    assert "opaque" not in str(found)


def test_nothing_is_tried_again(fake_cta: FakeCta) -> None:
    fault = fake_cta.faults.add("unavailable", method="PROPFIND")
    found = steps(fake_cta, retries=3)

    assert states(found) == ["good", "good", "good", "bad", "skipped"]
    assert fault.hits == 1


def test_a_missing_right_is_told_by_the_listing(fake_cta: FakeCta) -> None:
    fake_cta.faults.add("forbidden", method="PROPFIND")

    assert states(steps(fake_cta)) == ["good", "good", "good", "bad", "skipped"]


def test_without_a_credential_that_is_told(fake_cta: FakeCta) -> None:
    found = steps(fake_cta, token=None)

    assert found["credential"].state == "skipped"
    assert found["credential"].told.startswith("none is given")


def test_a_proxy_tells_its_life_and_whom_it_stands_for(fake_cta: FakeCta) -> None:
    found = steps(fake_cta, token=None, proxy_file=str(fake_cta.make_proxy("alice", lifetime=7200.0)))

    assert "proxy_file is good for" in found["credential"].told
    assert "alice" in found["scopes"].told


def test_a_storage_in_memory_has_no_server() -> None:
    with CtaClient(backend="memory") as client:
        found = {step.name: step for step in client.check()}

    assert (found["tls"].state, found["listing"].state) == ("skipped", "good")


def test_a_folder_can_be_chosen(fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/a", b"a")
    with connect(fake_cta) as client:
        found = {step.name: step for step in client.check("/lst")}
        with pytest.raises(ConfigError):
            next(client.check("lst/../x"))

    assert "cta://lst/a" in found["listing"].told
    assert found["listing"].told.startswith("/lst below /")


def test_unusable_cas_are_told(fake_cta: FakeCta, tmp_path: Path) -> None:
    found = steps(fake_cta, ca_path=str(tmp_path / "none.pem"))

    assert states(found)[0] == "bad"
    assert "none.pem cannot be read" in found["tls"].told

"""Commands that fail, with all that can be told of it: no secret is in what they print."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config
from ctadata_providers.credentials.oidc import sessions
from ctadata_providers.testing import FakeCta
from tests.canaries import Canaries

Run = Callable[..., Any]
LOUD = ("--debug", "-vv")
ASKING = [["list"], ["token", "refresh"], ["doctor", "--online", "--json"]]
LOOKING = [["token", "show"], ["doctor"]]


@pytest.fixture
def ctadata_without_token(ctadata: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("BEARER_TOKEN")
    return ctadata


def use(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def stored() -> list[str]:
    """Return the secrets of the login that is kept."""
    (file,) = Path(os.environ["XDG_STATE_HOME"]).rglob("*.json")
    login = json.loads(file.read_text())
    return [login[name] for name in ("access_token", "refresh_token")]


@pytest.mark.parametrize("command", [*ASKING, *LOOKING, ["logout"]], ids=" ".join)
def test_a_session_that_has_ended(
    command: list[str], ctadata_without_token: Run, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, fake_cta.oidc_environ("confidential"))
    fake_cta.issuer.approve_next()
    sessions.log_in(Config.from_env(), None, lambda grant: None, sleep=lambda seconds: None)
    secrets = Canaries(*stored(), fake_cta.issuer.client("confidential").secret)
    fake_cta.issuer.end_sessions()
    fake_cta.clock_ahead = 10_000.0
    ran = ctadata_without_token(*command, *LOUD)

    assert ran.code == (command in ASKING), ran.err
    assert not secrets.in_text(ran.out, ran.err)


@pytest.mark.parametrize("command", [["list"], *LOOKING], ids=" ".join)
def test_a_robot_whose_secret_is_wrong(
    command: list[str], ctadata_without_token: Run, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "open-sesame-open-sesame-open"
    use(monkeypatch, {**fake_cta.oidc_environ("robot"), "CTA_CLIENT_SECRET": secret})
    ran = ctadata_without_token(*command, *LOUD)

    assert ran.code == 1
    assert "Traceback" in ran.err or command[0] == "doctor"
    assert not Canaries(secret).in_text(ran.out, ran.err)


@pytest.mark.parametrize("fault", ["unavailable", "truncate"])
def test_an_issuer_that_is_out_of_order(
    fault: str, ctadata_without_token: Run, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, fake_cta.oidc_environ("robot"))
    with fake_cta.issuer.fault(fault, path="/**/token"):  # type: ignore[arg-type]  # the names of parameters
        ran = ctadata_without_token("list", "--retries", "0", *LOUD)

    assert ran.code == 1
    assert not Canaries(fake_cta.issuer.client("robot").secret).in_text(ran.out, ran.err)


def test_a_command_that_prints_what_it_should_not(
    ctadata_without_token: Run, fake_cta: FakeCta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "token.sh"
    script.write_text(f"#!/bin/sh\necho {fake_cta.token}\necho refresh {fake_cta.token} failed >&2\nexit 3\n")
    script.chmod(0o700)
    monkeypatch.setenv("CTA_TOKEN_COMMAND", str(script))
    ran = ctadata_without_token("list", *LOUD)

    assert ran.code == 1
    assert "code 3" in ran.err
    assert not Canaries(fake_cta.token).in_text(ran.out, ran.err)

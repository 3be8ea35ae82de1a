"""The commands of the agent, with an issuer: login first, tokens for hours, outages, no secret where others look."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers.testing import FakeCta
from tests.unit.agents import agent_home, jwt, until

Run = Callable[..., Any]
"""The fixture `ctadata`: runs a command, gives its `code`, `out`, `err`, `lines`, `records`, `error`, `one_line`."""
VISIBLE = "seen-by-everybody"


@pytest.fixture(autouse=True)
def home(cta_environ: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, in which no agent is left running."""
    (tmp_path / "agents").mkdir()
    with agent_home(tmp_path / "agents", monkeypatch) as folder:
        yield folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "token"


@pytest.fixture
def issuer(fake_cta: FakeCta, ctadata: Run, monkeypatch: pytest.MonkeyPatch) -> FakeCta:
    """A data centre whose issuer approves every login at once; the environment leads there."""
    fake_cta.issuer.configure(approve="alice", interval=0)
    lead_to(fake_cta, "public", monkeypatch)
    return fake_cta


def lead_to(cta: FakeCta, client: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the environment lead to a client of the issuer, whose secret is returned and not in the environment."""
    environ = cta.oidc_environ(client)
    secret = environ.pop("CTA_CLIENT_SECRET", "")
    monkeypatch.delenv("BEARER_TOKEN", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return secret


def type_in(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_who_has_not_logged_in_does_so_first(issuer: FakeCta, ctadata: Run, home: Path) -> None:
    ran = ctadata("agent", "start")
    (token_file,) = (home / "run").iterdir()

    assert ran.code == 0
    assert ran.lines[0] == f"To log in, open  {issuer.issuer.verification_uri}"
    assert ran.lines[-1].startswith("the agent, process ")
    assert str(token_file) in ran.lines[-1]
    assert ctadata("--token-file", token_file, "list", "/").code == 0
    assert issuer.issuer.read_token(token_file.read_text().strip())["preferred_username"] == "alice"  # type: ignore[index]


def test_who_has_logged_in_is_not_asked_again(issuer: FakeCta, ctadata: Run, target: Path) -> None:
    ctadata("login")
    ran = ctadata("agent", "start", "--token-file", target)

    assert ran.code == 0
    assert len(ran.lines) == 1
    assert target.exists()


def test_status_tells_how_the_agent_does(issuer: FakeCta, ctadata: Run, target: Path, home: Path) -> None:
    before = ctadata("agent", "status")
    ctadata("agent", "start", "--token-file", target)
    shown, (facts,) = ctadata("agent", "status"), ctadata("agent", "status", "--json").records

    assert (before.code, shown.code) == (1, 0)
    assert "no agent runs" in before.out
    assert [line.partition(":")[0] for line in shown.lines] == ["agent", "token file", "last error", "log"]
    assert f"process {facts['pid']}" in shown.lines[0]
    assert f"{target}, valid for" in shown.lines[1]
    assert shown.lines[2] == "last error: none"
    assert facts["running"] is True
    assert facts["token_file"] == str(target)
    assert 200 < facts["seconds_left"] <= 300
    assert facts["error"] is None
    assert Path(facts["log"]).parent == home / "state" / "ctadata-providers"


def test_stop_ends_it_and_ends_nothing_twice(issuer: FakeCta, ctadata: Run, target: Path) -> None:
    ctadata("agent", "start", "--token-file", target)
    first, second = ctadata("agent", "stop", "--json"), ctadata("agent", "stop")

    assert (first.code, second.code) == (0, 0)
    assert first.records[0]["pid"] > 0
    assert second.lines == ["no agent runs for these settings"]
    assert ctadata("agent", "status", "--json").records == [{"running": False}]


def test_an_agent_of_other_settings_is_told(issuer: FakeCta, ctadata: Run, target: Path) -> None:
    ctadata("agent", "start", "--token-file", target)

    assert "runs, process" in ctadata("agent", "status", "--client-id", "another").err
    assert "runs, process" in ctadata("agent", "stop", "--client-id", "another").err
    assert ctadata("agent", "status").code == 0


def test_a_refused_login_starts_no_agent(issuer: FakeCta, ctadata: Run, target: Path) -> None:
    issuer.issuer.configure(approve=None)
    issuer.issuer.deny_next()
    ran = ctadata("agent", "start", "--token-file", target)

    assert ran.code == 1
    assert ctadata("agent", "status").code == 1
    assert not target.exists()


def test_it_goes_on_through_an_outage_of_the_issuer(issuer: FakeCta, ctadata: Run, target: Path) -> None:
    issuer.issuer.configure(approve="alice", interval=0, token_lifetime=1.5)
    ctadata("agent", "start", "--token-file", target)
    first = target.read_text()
    with issuer.issuer.fault("unavailable"):
        until(lambda: ctadata("agent", "status", "--json").records[0]["error"])
        during = target.read_text()
    until(lambda: target.read_text() != first)
    until(lambda: ctadata("agent", "status", "--json").records[0]["error"] is None)

    assert during == first
    assert issuer.issuer.read_token(target.read_text().strip())
    assert issuer.issuer.revoked_families == []


def test_a_secret_comes_by_standard_input_and_is_seen_nowhere(
    issuer: FakeCta, ctadata: Run, target: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.issuer.configure(approve="alice", interval=0, token_lifetime=1.5)
    secret = lead_to(issuer, "confidential", monkeypatch)
    type_in(f"{secret}\n", monkeypatch)
    ran = ctadata("start-agent", "-s", "-", "--token-file", target)
    first = target.read_text()
    until(lambda: target.read_text() != first)  # the agent knows the secret
    pid = ctadata("agent", "status", "--json").records[0]["pid"]
    told = "".join(path.read_text() for path in (home / "state").rglob("agent-*"))

    assert ran.code == 0
    assert secret not in ran.out + ran.err + told
    for name in ("cmdline", "environ") if Path("/proc").exists() else ():
        assert secret not in (Path("/proc") / str(pid) / name).read_text()


def test_a_robot_needs_no_login(issuer: FakeCta, ctadata: Run, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = lead_to(issuer, "robot", monkeypatch)
    type_in(f"{secret}\n", monkeypatch)
    ran = ctadata("agent", "start", "--client-secret-file", "-", "--token-file", target)

    assert ran.code == 0
    assert len(ran.lines) == 1
    assert len(issuer.issuer.grants("client_credentials")) == 1
    assert ctadata("--token-file", target, "list", "/").code == 0


@pytest.mark.parametrize("option", [("-s", VISIBLE), (f"-s{VISIBLE}",), (f"--reset_secret={VISIBLE}",)])
def test_a_secret_in_the_command_line_is_refused(option: tuple[str, ...], ctadata: Run) -> None:
    ran = ctadata("start-agent", *option)

    assert ran.code == 2
    assert "every user of this machine can read a secret that stands in a command line" in ran.one_line
    assert "-s -" in ran.one_line
    assert VISIBLE not in ran.out + ran.err


@pytest.mark.parametrize(("options", "name"), [((), "token"), (("--dev",), "token-dev")])
def test_start_agent_keeps_the_file_of_ctadata_fresh(
    options: tuple[str, ...], name: str, ctadata: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("CTA_DOOR_URL", "CTA_BASE_PATH", "BEARER_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    (home / "issued").write_text(jwt(life=300))
    source = ("--token-command", f"cat {home / 'issued'}")
    started = ctadata("start-agent", *options, *source)
    kept = home / "home" / ".config" / "cta-data" / name

    assert started.code == 0
    assert kept.read_text().strip() == (home / "issued").read_text()
    assert ctadata("stop-agent", *options).code == 0
    assert ctadata("agent", "status", *(("--profile", "dev") if options else ())).code == 1
    assert kept.exists()


def test_the_file_of_ctadata_holds_no_token_of_another_door(ctadata: Run) -> None:
    ran = ctadata("start-agent")

    assert ran.code == 2
    assert "are for the doors of prod and dev" in ran.one_line


def test_a_folder_of_ctadata_that_cannot_be_made_is_one_error_before_anybody_logs_in(
    ctadata: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CTA_DOOR_URL")
    blocked = home / "home" / ".config" / "cta-data"
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.touch()
    ran = ctadata("start-agent", "--json")

    assert ran.code == 1
    assert ran.error["path"] == str(blocked)
    assert "--token-file" in ran.error["remedy"]


def test_dev_is_no_other_profile(ctadata: Run) -> None:
    ran = ctadata("stop-agent", "--dev", "--profile", "prod")

    assert ran.code == 2
    assert "--dev means --profile dev" in ran.one_line


def test_a_token_that_would_hide_the_file_is_told(
    issuer: FakeCta, ctadata: Run, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctadata("login")
    monkeypatch.setenv("BEARER_TOKEN", issuer.token)
    ran = ctadata("agent", "start", "--token-file", target)

    assert ran.code == 0
    assert "BEARER_TOKEN is set here" in ran.err

"""`start_agent_daemon`: the file of ctadata kept fresh, by a process that is not the caller's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import ctadata_providers.compat as ctadata
from ctadata_providers import Config
from ctadata_providers.credentials.agent import control
from ctadata_providers.testing import FakeCta
from tests.unit.agents import agent_home, jwt


@pytest.fixture(autouse=True)
def home(cta_environ: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, in which no agent is left running."""
    monkeypatch.delenv("BEARER_TOKEN")
    (tmp_path / "agents").mkdir()
    with agent_home(tmp_path / "agents", monkeypatch) as folder:
        yield folder


@pytest.mark.parametrize("dev", [False, True])
def test_it_keeps_the_file_of_ctadata_fresh(home: Path, monkeypatch: pytest.MonkeyPatch, dev: bool) -> None:
    monkeypatch.delenv("CTA_DOOR_URL")
    token = jwt(life=3600)
    (home / "issued").write_text(token)
    monkeypatch.setenv("CTA_TOKEN_COMMAND", f"cat {home / 'issued'}")
    before = ctadata.direct.start_agent_daemon(dev_instance=dev)
    kept = home / "home" / ".config" / "cta-data" / ("token-dev" if dev else "token")

    assert before is None
    assert kept.read_text().strip() == token
    assert kept.stat().st_mode & 0o077 == 0
    running = control.running(Config.from_env(profile="dev" if dev else "prod"))
    assert running is not None
    assert running.token_file == kept


def test_who_has_not_logged_in_is_told_where_to(
    fake_cta: FakeCta, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_cta.issuer.configure(approve="alice", interval=0)
    for name, value in fake_cta.oidc_environ().items():
        monkeypatch.setenv(name, value)
    ctadata.start_agent_daemon()
    (token_file,) = (home / "run").iterdir()

    assert f"To log in, open {fake_cta.issuer.verification_uri} and enter " in capsys.readouterr().err
    assert ctadata.list_dir("/", token=token_file.read_text().strip()) == []

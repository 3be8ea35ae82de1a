"""A lock that looks like that of an agent: no process is ended for it, and no file of another user is used."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ctadata_providers import Config
from ctadata_providers.credentials.agent import control as agent
from ctadata_providers.credentials.agent.files import AgentFiles
from ctadata_providers.errors import CtaError
from tests.unit.agents import agent_home


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, in which no agent is left running."""
    with agent_home(tmp_path, monkeypatch) as folder:
        yield folder


@pytest.fixture
def config() -> Config:
    return Config(token_command=("echo", "token"))


@contextmanager
def lock_of_another(config: Config, folder: Path, text: str) -> Iterator[None]:
    """Hold the lock of an agent with a text in it."""
    folder.mkdir(parents=True, exist_ok=True)
    with AgentFiles.of(config).lock.open("w+") as lock:
        lock.write(text)
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def bystander() -> Iterator[int]:
    """A process of ours that is no agent."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        alive = process.poll() is None
        process.kill()
    assert alive


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_stop_ends_no_process_that_has_the_number_of_an_agent_elsewhere(
    config: Config, home: Path, bystander: int
) -> None:
    with (
        lock_of_another(config, home / "state" / "ctadata-providers", f"{bystander} 00000001"),
        pytest.raises(CtaError, match=rf"process {bystander}, runs where .* not see it.*; say 'ctadata agent stop'"),
    ):
        agent.stop(config)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the folder of another user")
def test_a_state_folder_of_another_user_has_no_agent_and_ends_none(
    config: Config, home: Path, tmp_path: Path, bystander: int
) -> None:
    folder = home / "state" / "ctadata-providers"
    with lock_of_another(config, folder, str(bystander)):
        AgentFiles.of(config).log.symlink_to(home / "precious")
        os.chown(folder, 12001, 12001)

        assert agent.stop(config) is None
        assert agent.running(config) is None
        with pytest.raises(CtaError, match=r"ctadata-providers belongs to somebody else: .*; set XDG_STATE_HOME"):
            agent.start(config, tmp_path / "token")
    assert not (home / "precious").exists()

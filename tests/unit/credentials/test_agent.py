"""The process of the agent: alone, detached, without secrets where others look, ended cleanly."""

import errno
import fcntl
import logging
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ctadata_providers import Config
from ctadata_providers.credentials.agent import control as agent
from ctadata_providers.credentials.agent.daemon import LOG_BYTES, LineFormatter
from ctadata_providers.credentials.agent.errand import Errand
from ctadata_providers.credentials.agent.files import AgentFiles, held, lock_holder
from ctadata_providers.errors import ConfigError, CredentialError, CtaError, TransientError
from tests.unit.agents import agent_home, jwt, until

CANARY = "canary-0123456789abcdef"
linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, in which no agent is left running."""
    with agent_home(tmp_path, monkeypatch) as folder:
        yield folder


@pytest.fixture
def issued(tmp_path: Path) -> Path:
    """What the source of the tests gives: the token in this file."""
    path = tmp_path / "issued"
    path.write_text(jwt(life=300, signature=CANARY))
    return path


@pytest.fixture
def config(issued: Path) -> Config:
    return Config(token_command=("cat", str(issued)))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "token"


def everything_told(home: Path) -> str:
    """All that the agent wrote but the token file."""
    return "".join(path.read_text() for path in (home / "state").rglob("*") if path.is_file())


def test_the_file_holds_a_token_as_soon_as_the_agent_has_started(config: Config, issued: Path, target: Path) -> None:
    status = agent.start(config, target)

    assert target.read_text().strip() == issued.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert agent.running(config) == status
    assert status.token_file == target
    assert status.error is None
    assert status.expires_at == pytest.approx(time.time() + 300, abs=20)
    assert status.since == pytest.approx(time.time(), abs=20)


def test_without_a_name_it_is_the_file_of_token_discovery(config: Config, home: Path) -> None:
    status = agent.start(config)

    assert status.token_file == home / "run" / f"bt_u{os.geteuid()}"


def test_without_a_runtime_folder_token_discovery_looks_into_tmp(tmp_path: Path) -> None:
    name = f"bt_u{os.geteuid()}"

    assert agent.default_target({}) == Path("/tmp") / name
    assert agent.default_target({"XDG_RUNTIME_DIR": str(tmp_path / "gone")}) == Path("/tmp") / name
    assert agent.default_target({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / name


def test_a_runtime_folder_of_another_user_is_not_ours(tmp_path: Path) -> None:
    other = Path("/proc/1")  # somebody else's for all but root
    if os.geteuid() == 0:
        other = tmp_path
        os.chown(other, 65534, -1)

    assert agent.default_target({"XDG_RUNTIME_DIR": str(other)}) == Path("/tmp") / f"bt_u{os.geteuid()}"
    assert agent.default_target({"XDG_RUNTIME_DIR": "/proc/1/fd/none"}) == Path("/tmp") / f"bt_u{os.geteuid()}"


def test_who_has_no_working_folder_any_more_can_start_an_agent(
    config: Config, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    assert agent.start(config, target).token_file == target


@linux
def test_the_agent_is_detached_from_who_started_it(config: Config, target: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        process = Path("/proc") / str(agent.start(config, target).pid)
        opened = {str(number.readlink()) for number in (process / "fd").iterdir()}
    finally:
        os.close(reader)
        os.close(writer)
    pid, _, _, parent, group, session = (process / "stat").read_text().split()[:6]

    assert opened == {os.devnull, str(AgentFiles.of(config).log), str(AgentFiles.of(config).lock)}
    assert str((process / "cwd").readlink()) == "/"
    assert int(parent) != os.getpid()
    assert int(group) == int(session) != os.getsid(0)
    assert int(session) != int(pid)  # not the leader: no terminal that it opens becomes its own


@linux
def test_no_secret_is_in_its_argv_environment_state_or_log(
    config: Config, target: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BEARER_TOKEN", "CTA_CLIENT_SECRET", "JUPYTERHUB_API_TOKEN"):
        monkeypatch.setenv(name, CANARY)
    process = Path("/proc") / str(
        agent.start(config.with_settings(client_secret=CANARY, token_command=config.token_command), target).pid
    )

    assert CANARY not in (process / "cmdline").read_text()
    assert CANARY not in (process / "environ").read_text()
    assert CANARY not in everything_told(home)
    assert CANARY in target.read_text()


def test_all_that_it_keeps_is_closed_to_others(config: Config, target: Path, home: Path) -> None:
    agent.start(config, target)
    folder = home / "state" / "ctadata-providers"
    modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}

    assert modes == {".lock": 0o600, ".json": 0o600, ".log": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_second_start_leaves_the_agent_alone(config: Config, target: Path) -> None:
    first = agent.start(config, target)

    assert agent.start(config, target) == first


def test_an_agent_has_one_file(config: Config, target: Path) -> None:
    first = agent.start(config, target)

    with pytest.raises(ConfigError, match=rf"process {first.pid}, keeps .* fresh already; .*agent stop"):
        agent.start(config, target.with_name("other"))


def test_a_file_has_one_agent(config: Config, target: Path) -> None:
    first = agent.start(config, target)
    other = config.with_settings(door_url="https://door.example")

    with pytest.raises(ConfigError, match=f"the agent of {first.account}, process {first.pid}, keeps .* fresh already"):
        agent.start(other, target)
    assert agent.running(other) is None
    assert [status.pid for status in agent.others(other)] == [first.pid]


def test_several_accounts_have_an_agent_each(config: Config, target: Path) -> None:
    other = config.with_settings(door_url="https://door.example")
    pids = {agent.start(config, target).pid, agent.start(other, target.with_name("other")).pid}

    assert len(pids) == 2
    assert agent.stop(other) in pids
    assert agent.running(config) is not None


def test_the_next_token_is_written_in_time(config: Config, issued: Path, target: Path) -> None:
    issued.write_text(jwt(life=2))
    agent.start(config, target)
    issued.write_text(jwt(life=300))
    began = time.monotonic()
    until(lambda: target.read_text().strip() == issued.read_text())

    assert time.monotonic() - began < 3
    until(lambda: (status := agent.running(config)) and (status.expires_at or 0) > time.time() + 100)


def test_what_fails_later_is_told_and_the_file_stays(config: Config, issued: Path, target: Path) -> None:
    issued.write_text(jwt(life=2))
    first = issued.read_text()
    agent.start(config, target)
    issued.unlink()
    until(lambda: (status := agent.running(config)) and status.error)
    status = agent.running(config)

    assert status is not None
    assert "cat failed with code 1" in str(status.error)
    assert status.failing_since == pytest.approx(time.time(), abs=10)
    assert target.read_text().strip() == first
    assert "cat failed with code 1" in status.log.read_text()


def test_stop_waits_for_the_end(config: Config, target: Path) -> None:
    status = agent.start(config, target)
    stopped = agent.stop(config)

    assert stopped == status.pid
    assert agent.running(config) is None
    assert agent.stop(config) is None
    until(lambda: status.log.read_text().splitlines()[-1].endswith("INFO ended by a signal"))  # behind its lock


def test_a_named_file_stays_after_the_end_for_those_that_read_it(config: Config, target: Path) -> None:
    agent.start(config, target)
    agent.stop(config)

    assert target.exists()


def test_the_file_of_token_discovery_goes_with_the_agent(config: Config) -> None:
    status = agent.start(config)
    agent.stop(config)

    assert status.token_file is not None
    assert not status.token_file.exists()


def test_a_file_that_somebody_else_wrote_stays(config: Config) -> None:
    status = agent.start(config)
    assert status.token_file is not None
    status.token_file.write_text("from elsewhere")
    agent.stop(config)

    assert status.token_file.read_text() == "from elsewhere"


def test_a_killed_agent_is_not_taken_for_a_running_one(config: Config, target: Path) -> None:
    first = agent.start(config, target)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: agent.running(config) is None)
    second = agent.start(config, target)

    assert first.pid != second.pid
    assert agent.running(config) == second


def test_an_agent_whose_lock_is_removed_ends(config: Config, issued: Path, target: Path) -> None:
    issued.write_text(jwt(life=2))
    status = agent.start(config, target)
    AgentFiles.of(config).lock.unlink()
    issued.write_text(jwt(life=2))

    until(lambda: "was removed: nobody could see this agent" in status.log.read_text())


def test_the_first_failure_is_an_error_of_the_start(config: Config, issued: Path, target: Path) -> None:
    issued.unlink()

    with pytest.raises(CredentialError, match="cat failed with code 1"):
        agent.start(config, target)
    assert agent.running(config) is None
    assert "cat failed with code 1" in AgentFiles.of(config).log.read_text()
    assert not target.exists()


def test_an_issuer_that_is_away_is_a_passing_error_of_the_start(target: Path) -> None:
    robot = Config(
        issuer="http://localhost:1", client_id="robot", client_secret=CANARY, grant_type="client_credentials", retries=0
    )

    with pytest.raises(TransientError, match="localhost:1"):
        agent.start(robot, target)


def test_a_start_that_is_interrupted_leaves_no_agent(config: Config, target: Path) -> None:
    errand = Errand(config=config, target=target, withdraw=False)
    command = [sys.executable, "-m", agent.DAEMON]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdin is not None
        assert launcher.stdout is not None
        launcher.stdout.close()  # as if whoever started it had gone
        launcher.stdin.write(errand.to_json())
    log = AgentFiles.of(config).log
    until(lambda: log.exists() and "whoever started this agent has gone" in log.read_text())

    until(lambda: agent.running(config) is None)


def test_starts_at_the_same_time_give_one_agent(config: Config, target: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        pids = {status.pid for status in pool.map(lambda _: agent.start(config, target), range(4))}

    assert len(pids) == 1


def test_a_folder_that_does_not_exist_is_an_error_of_the_start(config: Config, tmp_path: Path) -> None:
    with pytest.raises(CtaError, match=r"cannot write .*/missing/.*: No such file or directory; .*--token-file"):
        agent.start(config, tmp_path / "missing" / "token")


def test_a_file_system_without_locks_has_no_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(number: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)

    with (
        pytest.raises(ConfigError, match=r"has no locks \(No locks available\); set XDG_STATE_HOME"),
        held(tmp_path / "l"),
    ):
        pass
    assert (tmp_path / "l").exists()
    assert lock_holder(tmp_path / "l") is None


def test_a_home_that_cannot_be_looked_at_for_a_while_is_no_end(tmp_path: Path) -> None:
    home = tmp_path / "mounted"
    home.mkdir()
    with held(home / "l") as lock:
        home.rename(tmp_path / "away")
        home.symlink_to(home)  # every look is an error, as where a ticket has ended
        during = lock.is_ours()
        home.unlink()
        (tmp_path / "away").rename(home)
        afterwards = lock.is_ours()
        (home / "l").unlink()

        assert (during, afterwards, lock.is_ours()) == (True, True, False)


def test_a_home_that_cannot_be_written_is_an_error_of_the_start(
    config: Config, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.with_name("full").write_text("no folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(target.with_name("full")))

    with pytest.raises(CtaError, match=r"cannot write .*/full/.*: Not a directory; .*XDG_STATE_HOME"):
        agent.start(config, target)


def test_without_a_source_there_is_nothing_to_keep_fresh(target: Path) -> None:
    with pytest.raises(CredentialError, match="nothing to get new tokens from; ctadata login"):
        agent.start(Config(), target)


def test_who_has_no_source_is_logged_in_first(issued: Path, target: Path) -> None:
    asked = []

    with pytest.raises(CredentialError):
        agent.start(Config(), target, log_in=lambda: asked.append("login"))
    agent.start(Config(token_command=("cat", str(issued))), target, log_in=lambda: asked.append("needless"))

    assert asked == ["login"]


@pytest.mark.parametrize("how", ["token_file", "token_command"])
def test_an_agent_does_not_read_what_it_writes(how: str, target: Path) -> None:
    target.write_text(jwt(life=300))
    link = target.with_name("link")
    link.symlink_to(target)
    config = Config(token_file=link) if how == "token_file" else Config(token_command=("cat", str(link)))

    with pytest.raises(ConfigError, match="the very file that it writes"):
        agent.start(config, target)
    assert agent.running(config) is None


def test_an_agent_that_must_not_refresh_is_refused(config: Config, target: Path) -> None:
    with pytest.raises(ConfigError, match="refresh is 'never'"):
        agent.start(config.with_settings(refresh="never"), target)


def test_relative_paths_are_those_of_who_started_it(
    issued: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(target.parent)
    program = target.with_name("give")
    program.write_text(f"#!/bin/sh\ncat {issued}\n")
    program.chmod(0o700)
    agent.start(Config(token_command=("./give",)), Path("token"))

    assert target.read_text().strip() == issued.read_text()


def test_a_large_log_becomes_the_old_one(config: Config, target: Path, home: Path) -> None:
    log = AgentFiles.of(config).log
    log.parent.mkdir(mode=0o700)
    log.write_text("x" * LOG_BYTES)
    agent.start(config, target)

    assert log.with_name(f"{log.name}.1").stat().st_size == LOG_BYTES
    assert log.stat().st_size < 1000


def test_a_message_is_one_line_of_the_log() -> None:
    record = logging.LogRecord("n", logging.INFO, "p", 1, "a\nb \x1b[31m ü", (), None)

    assert LineFormatter("%(message)s").format(record) == r"a\nb \x1b[31m ü"


def test_the_settings_reach_the_agent_with_who_gave_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    config = Config.from_env(
        {"CTA_CLIENT_SECRET": CANARY, "HOME": str(tmp_path)}, ca_path="ca.pem", trusted_hosts="a.example"
    )
    errand = Errand.from_json(Errand(config=config, target=tmp_path / "t", withdraw=True).to_json())

    assert errand.config == config.with_settings(ca_path=tmp_path / "ca.pem")
    assert errand.config.client_secret == CANARY
    assert errand.config.given_by("issuer") == config.given_by("issuer") == "built-in"
    assert errand.config.given_by("client_secret") == "environment"
    assert (errand.target, errand.withdraw) == (tmp_path / "t", True)


def test_the_files_of_ctadata_are_for_its_doors() -> None:
    home = Path(os.environ["HOME"])

    assert agent.ctadata_target(Config()) == home / ".config" / "cta-data" / "token"
    assert agent.ctadata_target(Config.from_mapping({"profile": "dev"})).name == "token-dev"
    with pytest.raises(ConfigError, match=r"not for https://door\.example; name a file"):
        agent.ctadata_target(Config(door_url="https://door.example"))

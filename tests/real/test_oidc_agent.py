"""Tokens of Debian's oidc-agent, which has its login at the issuer of a data centre on loopback."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError, CtaClient
from ctadata_providers.credentials.commands import TIME_OUT, CachedToken
from ctadata_providers.credentials.oidc_agent import AgentAccount
from ctadata_providers.credentials.resolve import resolve
from ctadata_providers.testing import FakeCta
from tests.servers.oidc_agent import OidcAgent, oidc_agent

pytestmark = pytest.mark.real

LIFE = 20.0
ACCOUNT = "alice"


@dataclass(frozen=True)
class Site:
    """A data centre, and an agent with an account there."""

    cta: FakeCta
    agent: OidcAgent

    def config(self, **settings: str) -> Config:
        return Config(door_url=self.cta.door_url, ca_path=self.cta.ca_file, **settings)  # type: ignore[arg-type]

    @property
    def refreshes(self) -> int:
        return len(self.cta.issuer.grants("refresh_token"))


@pytest.fixture
def site(fake_cta: FakeCta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A data centre whose tokens live twenty seconds."""
    fake_cta.issuer.configure(token_lifetime=LIFE)
    fake_cta.put("/lst/a.txt", b"a")
    login = fake_cta.issuer.tokens(ACCOUNT)
    with oidc_agent(tmp_path) as agent:
        agent.add(
            ACCOUNT,
            issuer=fake_cta.issuer.url,
            client_id=fake_cta.issuer.client().client_id,
            refresh_token=str(login["refresh_token"]),
            ca_file=fake_cta.ca_file,
        )
        monkeypatch.setenv("OIDC_SOCK", str(agent.socket))
        yield Site(fake_cta, agent)


def test_the_account_of_the_agent_opens_the_door_and_its_token_is_asked_for_once(site: Site) -> None:
    with CtaClient(site.config(oidc_account=ACCOUNT)) as client:
        first = [info.path for info in client.list_dir("/lst")]
        os.kill(site.agent.pid, signal.SIGSTOP)
        try:
            second = [info.path for info in client.list_dir("/lst")]
        finally:
            os.kill(site.agent.pid, signal.SIGCONT)

    assert first == second == ["/lst/a.txt"]
    # The one with which the account was made.
    assert site.refreshes == 1


def test_the_account_may_be_named_by_its_issuer(site: Site) -> None:
    token = resolve(site.config(oidc_account=site.cta.issuer.url)).token()

    assert token is not None
    assert token.issuer == site.cta.issuer.url


def test_a_rejected_token_is_followed_by_another_one(site: Site) -> None:
    credential = resolve(site.config(oidc_account=ACCOUNT))
    rejected = credential.token()
    assert rejected is not None
    renewed = credential.renew(rejected)

    assert renewed is not None
    assert renewed.value != rejected.value
    assert credential.ready() == renewed
    assert site.refreshes == 2


def test_a_session_that_has_ended_is_an_error_in_time_not_five_minutes_of_silence(site: Site) -> None:
    credential = resolve(site.config(oidc_account=ACCOUNT))
    token = credential.token()
    assert token is not None
    site.cta.issuer.end_sessions()
    start = time.monotonic()
    with pytest.raises(CredentialError) as caught:
        # The agent sees the refusal, and then waits for somebody to approve a login that nobody knows of.
        credential.renew(token)
    seconds = time.monotonic() - start

    assert seconds < TIME_OUT + 5
    assert "oidc-gen --reauthenticate alice" in str(caught.value)
    assert token.value[-16:] not in str(caught.value)


def test_an_agent_that_hangs_is_asked_once_for_sixteen_threads(site: Site) -> None:
    patience = 2.0
    source = CachedToken(AgentAccount(ACCOUNT, seconds=patience))

    def ask(_: int) -> str:
        with pytest.raises(CredentialError) as caught:
            source()
        return str(caught.value)

    os.kill(site.agent.pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        with ThreadPoolExecutor(16) as threads:
            said = set(threads.map(ask, range(16)))
        seconds = time.monotonic() - start
    finally:
        os.kill(site.agent.pid, signal.SIGCONT)

    assert patience <= seconds < 2 * patience
    assert len(said) == 1
    assert "no token within 2 s" in said.pop()
    assert not list(children("oidc-token"))


def children(program: str) -> Iterator[str]:
    """Return the command lines of programs of this process that still run."""
    for task in Path("/proc/self/task").iterdir():
        for pid in read(task / "children").split():
            command = read(Path(f"/proc/{pid}/cmdline"))
            if command.startswith(program):
                yield command


def read(path: Path) -> str:
    """Return what a file of the kernel says, nothing of a thread or process that has just ended."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""

"""Our OpenID Connect client against an issuer that somebody else wrote: npm's certified oidc-provider."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError
from ctadata_providers.credentials.oidc import sessions
from ctadata_providers.credentials.oidc.device import DeviceGrant
from ctadata_providers.credentials.tokens import Token
from tests.servers.oidc_provider import OidcProvider, oidc_provider

pytestmark = pytest.mark.real

LIFE = 4
SCOPE = "openid offline_access storage.read:/"
READER = """
import json, sys, time
from ctadata_providers import Config
from ctadata_providers.credentials.oidc.sessions import open_session

session = open_session(Config(**json.loads(sys.argv[1])))
end, tokens = time.time() + float(sys.argv[2]), set()
while time.time() < end:
    token = session()
    if token.expires_at <= time.time():
        sys.exit("a token that has ended was given")
    tokens.add(token.value)
    time.sleep(0.02)
print(len(tokens))
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """The provider, whose access tokens live four seconds."""
    with oidc_provider(tmp_path_factory.mktemp("oidc-provider"), life=LIFE) as running:
        yield running


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the store of logins."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def settings(provider: OidcProvider, state: Path) -> dict[str, str]:
    """The settings of a person's client."""
    return {
        "door_url": "https://door.example.org",
        "issuer": provider.issuer,
        "client_id": "ctadata",
        "scope": SCOPE,
    }


@pytest.fixture
def config(settings: dict[str, str]) -> Config:
    return Config(**settings)  # type: ignore[arg-type]  # all are texts


@pytest.fixture
def alice(provider: OidcProvider, config: Config) -> Token:
    """The token with which a login of alice began."""
    return log_in(config, lambda grant: provider.approve(str(grant.verification_uri_complete), user="alice"))


def log_in(config: Config, answer: Callable[[DeviceGrant], None]) -> Token:
    # The user has answered before the first poll.
    return sessions.log_in(config, None, answer, sleep=lambda seconds: None)


def stored(state: Path) -> Path:
    """Return the file of the only login."""
    (file,) = state.rglob("*.json")
    return file


def test_login_refresh_with_rotation_and_logout(
    provider: OidcProvider, config: Config, alice: Token, state: Path
) -> None:
    first = stored(state).read_text()
    renewed = sessions.refresh(config)
    second = stored(state).read_text()
    known = sessions.status(config)

    assert (alice.subject, alice.issuer) == ("alice", provider.issuer)
    assert alice.scopes == frozenset({"storage.read:/"})
    assert renewed.value != alice.value
    assert refresh_token(first) != refresh_token(second)
    assert known is not None
    assert known.refreshable
    assert stored(state).stat().st_mode & 0o777 == 0o600

    revoked = provider.count("revoked")

    assert sessions.log_out(config)
    assert not sessions.log_out(config)
    assert sessions.open_session(config) is None
    assert provider.count("revoked") == revoked + 1

    stored_again = state / "ctadata-providers" / f"{sessions.account_of(config)}.json"
    stored_again.write_text(second)
    stored_again.chmod(0o600)
    with pytest.raises(CredentialError, match="log in again"):
        sessions.refresh(config)


def refresh_token(text: str) -> str:
    (value,) = [value for name, value in json.loads(text).items() if name == "refresh_token"]
    return str(value)


@pytest.mark.usefixtures("alice")
def test_a_store_brought_back_from_a_backup_ends_the_family_and_is_refused_once(
    provider: OidcProvider, config: Config, state: Path
) -> None:
    file = stored(state)
    backup = file.read_bytes()
    sessions.refresh(config)
    revoked = provider.count("revoked")
    file.write_bytes(backup)
    with pytest.raises(CredentialError) as caught:
        sessions.refresh(config)

    assert "ctadata login" in str(caught.value)
    assert provider.count("revoked") == revoked + 1

    refused = provider.log.read_text().count("grant.error")
    for _ in range(3):
        with pytest.raises(CredentialError):
            sessions.refresh(config)

    assert provider.log.read_text().count("grant.error") == refused


def test_a_refused_login_is_one_error_and_leaves_no_session(
    provider: OidcProvider, config: Config, state: Path
) -> None:
    with pytest.raises(CredentialError, match="access_denied"):
        log_in(config, lambda grant: provider.deny(str(grant.verification_uri_complete)))

    assert sessions.open_session(config) is None
    assert list(state.rglob("*.json")) == []


@pytest.mark.usefixtures("alice")
def test_four_processes_share_one_login_through_two_lives_of_its_token(
    provider: OidcProvider, settings: dict[str, str]
) -> None:
    seconds = 2.2 * LIFE
    before = {event: provider.count(event) for event in ("grant refresh_token", "revoked")}
    errors_before = provider.log.read_text().count("grant.error")
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, json.dumps(settings), str(seconds)],
            env=os.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    ended = [(*reader.communicate(timeout=60), reader.returncode) for reader in readers]

    assert all(code == 0 for _, _, code in ended), ended
    assert all(int(out) >= 2 for out, _, _ in ended), ended
    # One refresh for each three quarters of a life, and one more where two met.
    assert 2 <= provider.count("grant refresh_token") - before["grant refresh_token"] <= 5
    assert provider.count("revoked") == before["revoked"]
    assert provider.log.read_text().count("grant.error") == errors_before


def test_a_robot_gets_tokens_with_its_secret_and_a_wrong_one_is_one_error(
    provider: OidcProvider, settings: dict[str, str]
) -> None:
    robot = {**settings, "client_id": "robot", "grant_type": "client_credentials", "scope": "storage.read:/"}
    token = sessions.robot(Config(**robot, client_secret=provider.robot_secret))()  # type: ignore[arg-type]

    assert token.issuer == provider.issuer
    assert token.scopes == frozenset({"storage.read:/"})

    with pytest.raises(CredentialError) as caught:
        sessions.robot(Config(**robot, client_secret="wrong-" + provider.robot_secret))()  # type: ignore[arg-type]

    assert provider.robot_secret not in f"{caught.value!s} {caught.value!r}"

"""Tokens of oidc-agent, given by a program that does what `oidc-token` does."""

import base64
import json
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError
from ctadata_providers.credentials.oidc_agent import AgentAccount, agent_token, is_running

PROGRAM = """#!{python}
# A token of {life} s, kept in a file until less than -t is left, as oidc-agent does.
import base64, json, pathlib, sys, time
folder = pathlib.Path({folder!r})
with (folder / "asked").open("a") as log:
    log.write(json.dumps(sys.argv[1:]) + chr(10))
script = folder / "says"
if script.exists():
    exec(script.read_text())
kept = folder / "kept"
wanted = int(sys.argv[sys.argv.index("-t") + 1])
if "--force-new" in sys.argv or not kept.exists() or json.loads(kept.read_text())["exp"] - time.time() < wanted:
    now = time.time()
    kept.write_text(json.dumps({{"iat": now, "exp": now + {life}, "n": now}}))
part = lambda text: base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
print(".".join([part("{{}}"), part(kept.read_text()), "c2ln"]))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an `oidc-token` that is found first."""
    program = tmp_path / "oidc-token"
    program.write_text(PROGRAM.format(python=sys.executable, folder=str(tmp_path), life=100))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("OIDC_SOCK", str(tmp_path / "agent"))
    return tmp_path


def test_without_an_agent_the_error_says_to_start_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OIDC_SOCK")
    (folder / "says").write_text("sys.exit(1)")

    with pytest.raises(CredentialError, match=r"\(OIDC_SOCK\): start one, then 'oidc-add a'"):
        AgentAccount("a")()


def asked(folder: Path) -> list[list[str]]:
    """Return with which arguments it was called."""
    return [json.loads(line) for line in (folder / "asked").read_text().splitlines()]


def keep(folder: Path, *, left: float, life: float = 100) -> None:
    """Let the agent have a token with some seconds left."""
    now = time.time()
    (folder / "kept").write_text(json.dumps({"iat": now + left - life, "exp": now + left, "n": "old"}))


def test_the_agent_is_asked_as_its_manual_says(folder: Path) -> None:
    token = AgentAccount("-odd account")()

    assert asked(folder)[0] == ["--name", "ctadata-providers", "-t", "0", "--", "-odd account"]
    assert token.expires_at is not None
    assert token.source == "oidc-agent's account -odd account"


def test_scope_and_audience_are_asked_for_where_they_are_given(folder: Path) -> None:
    AgentAccount("a", scope="storage.read:/ openid", audience="door")()

    assert asked(folder)[0][4:] == ["--scope=storage.read:/ openid", "--aud=door", "--", "a"]


def test_never_more_than_a_quarter_of_a_tokens_life_is_asked_for(folder: Path) -> None:
    account = AgentAccount("a")
    account()
    account()

    assert [call[3] for call in asked(folder)] == ["0", "25"]


def test_a_first_token_near_its_end_is_exchanged_at_once(folder: Path) -> None:
    keep(folder, left=10)
    token = AgentAccount("a")()
    left = token.life_left(time.time())

    assert [call[3] for call in asked(folder)] == ["0", "25"]
    assert left is not None
    assert left > 90


def test_a_rejected_token_is_exchanged_however_long_it_lives(folder: Path) -> None:
    account = AgentAccount("a")
    first = account()
    second = account(first)

    assert second.value != first.value
    assert asked(folder)[1] == ["--name", "ctadata-providers", "-t", "25", "--force-new", "--", "a"]


def test_a_stalled_agent_is_given_up(folder: Path) -> None:
    (folder / "says").write_text("time.sleep(60)")
    begun = time.monotonic()
    with pytest.raises(CredentialError, match=r"account a gave no token within 1 s; .*oidc-gen --reauthenticate a"):
        AgentAccount("a", seconds=0.6)()

    assert time.monotonic() - begun < 5


def test_an_account_that_is_not_loaded_is_told_in_the_agents_words(folder: Path) -> None:
    (folder / "says").write_text("sys.exit('Error: No account configured with that short name')")
    with pytest.raises(CredentialError, match="No account configured with that short name"):
        AgentAccount("a")()


def test_one_account_is_asked_once_for_all_clients_of_a_process(folder: Path) -> None:
    config = Config(oidc_account=f"account of {folder.name}")
    first, second = agent_token(config)(), agent_token(config.with_settings(retries=1))()

    assert first is second
    assert len(asked(folder)) == 1


def test_without_an_account_the_issuer_chooses_it(folder: Path) -> None:
    agent_token(Config(issuer=f"https://{folder.name}.example/realms/x/"))()

    assert asked(folder)[0][-1] == f"https://{folder.name}.example/realms/x"


def test_an_agent_runs_where_its_socket_and_its_client_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(folder)  # the path of a socket must be short
        listener.bind("sock")
        environ = {"PATH": str(folder), "OIDC_SOCK": str(path)}

        assert is_running(environ)
        assert not is_running({**environ, "PATH": "/does/not/exist"})
        assert not is_running({**environ, "OIDC_SOCK": str(folder / "none")})
        assert not is_running({"PATH": str(folder)})


def test_the_fake_gives_what_tokens_look_like(folder: Path) -> None:
    claims = AgentAccount("a")().value.split(".")[1]

    assert json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"] > time.time()

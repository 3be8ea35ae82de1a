"""An XRootD answers 403 to a token that has ended, as to everything: `exp` tells, and the next token is sent."""

import sys
from pathlib import Path

import pytest

from ctadata_providers import CredentialError
from tests.real.conftest import TOKENS, connect
from tests.servers.server import Server
from tests.servers.tokens import TokenIssuer

pytestmark = [pytest.mark.real, pytest.mark.parametrize("server", TOKENS, indirect=True)]
ENDED = -200.0
"""Seconds; XRootD still takes a token for a minute after its end."""
PRINT_NEXT = """
import sys
with open(sys.argv[1], "r+") as file:
    first, *others = file.readlines()
    print(first)
    if others:
        file.seek(0)
        file.truncate()
        file.writelines(others)
"""


@pytest.fixture(autouse=True)
def ended_tokens_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our clock is taken to be wrong, so that the server has to say that a token has ended."""
    monkeypatch.setattr("ctadata_providers.credentials.tokens.CLOCK_LEEWAY", 3600.0)


def test_the_next_token_is_sent_after_a_403_for_one_that_has_ended(
    server: Server, folder: str, issuer: TokenIssuer, tmp_path: Path
) -> None:
    server.put(f"{folder}/f", b"secret")
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{issuer.mint(lifetime=ENDED)}\n{issuer.mint()}\n")
    command = [sys.executable, "-c", PRINT_NEXT, str(tokens)]

    with connect(server, token=None, token_command=command) as client:
        client.download(f"{folder}/f", tmp_path / "copy")
        client.upload(tmp_path / "copy", f"{folder}/new")

    assert (server.root / folder.lstrip("/") / "new").read_bytes() == b"secret"
    assert len(tokens.read_text().splitlines()) == 1


def test_a_403_for_a_token_that_has_ended_is_a_credential_error(
    server: Server, folder: str, issuer: TokenIssuer, tmp_path: Path
) -> None:
    server.put(f"{folder}/f", b"secret")
    token_file = tmp_path / "token"
    token_file.write_text(issuer.mint(lifetime=ENDED))
    with connect(server, token=None, token_file=str(token_file)) as client:
        for _ in range(2):
            with pytest.raises(CredentialError, match=r"expired|just refused"):
                client.download(f"{folder}/f", tmp_path / "copy")

    assert not (tmp_path / "copy").exists()

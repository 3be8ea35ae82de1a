import io
import json
import os
import pty
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import Config
from ctadata_providers.cli import login
from ctadata_providers.credentials.oidc import sessions
from ctadata_providers.errors import CredentialError
from ctadata_providers.testing import FakeCta
from tests.unit.cli.conftest import Ran
from tests.unit.credentials.logins import small_bundle  # noqa: F401 (a fixture)


@pytest.fixture
def cta(fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ctadata: Callable[..., Ran]) -> FakeCta:
    """A data centre where logins are approved at once, its environment, and a user without any."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BEARER_TOKEN")
    for name, value in fake_cta.oidc_environ().items():
        monkeypatch.setenv(name, value)
    fake_cta.issuer.configure(interval=0, approve="alice")
    return fake_cta


@pytest.fixture
def confidential(cta: FakeCta, monkeypatch: pytest.MonkeyPatch) -> str:
    """The secret of a client that needs one; it is not in the environment."""
    environ = cta.oidc_environ("confidential")
    monkeypatch.setenv("CTA_CLIENT_ID", environ["CTA_CLIENT_ID"])
    return environ["CTA_CLIENT_SECRET"]


class Stdin(io.TextIOWrapper):
    """Standard input that holds bytes, on a terminal or not."""

    def __init__(self, content: bytes = b"", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content))
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def test_a_login_shows_where_to_approve_it_and_until_when_the_token_is_good(
    cta: FakeCta, ctadata: Callable[..., Ran]
) -> None:
    ran = ctadata("login")

    assert ran.code == 0
    assert ran.lines[0] == f"To log in, open  {cta.issuer.verification_uri}"
    assert re.fullmatch(r"and enter        [A-Z]{4}-[A-Z]{4}", ran.lines[1])
    assert ran.lines[2].startswith(f"or open          {cta.issuer.verification_uri}?user_code=")
    assert re.fullmatch(rf"logged in as alice at {cta.issuer.url}; the token is good until \d{{4}}-\S+Z", ran.lines[3])
    assert "waiting for that, until" in ran.one_line
    assert sessions.open_session(Config.from_env()) is not None


def test_a_login_that_is_not_used_because_of_another_credential_says_so(
    cta: FakeCta, ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = ctadata("login")
    monkeypatch.setenv("BEARER_TOKEN", "another")

    assert "comes before this login" in ctadata("login").err
    assert "comes before" not in alone.err


def test_a_login_in_json_is_a_line_for_the_code_and_a_line_at_the_end(
    cta: FakeCta, ctadata: Callable[..., Ran]
) -> None:
    code, done = ctadata("--json", "login").records

    assert set(code) == {"verification_uri", "verification_uri_complete", "user_code", "expires_at"}
    assert (done["done"], done["username"], done["issuer"]) == ("login", "alice", cta.issuer.url)


def test_no_token_is_printed(cta: FakeCta, ctadata: Callable[..., Ran]) -> None:
    printed = "".join(
        f"{ran.out}{ran.err}" for ran in (ctadata("-vv", "login"), ctadata("--debug", "token", "refresh"))
    )
    stored = json.loads(next((Path(os.environ["XDG_STATE_HOME"]) / "ctadata-providers").glob("*.json")).read_text())

    assert stored["access_token"] not in printed
    assert stored["refresh_token"] not in printed


def test_options_choose_issuer_and_client(
    cta: FakeCta, ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = cta.issuer.url
    monkeypatch.delenv("CTA_ISSUER")
    monkeypatch.delenv("CTA_CLIENT_ID")
    ran = ctadata("login", "--issuer", issuer + "/", "--client-id", "ctadata-public")

    assert ran.code == 0
    assert ctadata("token", "refresh", "--issuer", issuer, "--client-id", "ctadata-public").code == 0


def test_a_refused_login_is_one_clear_line(cta: FakeCta, ctadata: Callable[..., Ran]) -> None:
    cta.issuer.configure(approve=None)
    cta.issuer.deny_next()
    ran = ctadata("-q", "login")

    assert ran.code == 1
    assert "access_denied" in ran.one_line
    assert "; log in again, and approve it" in ran.one_line


def test_an_unknown_issuer_is_one_clear_line(cta: FakeCta, ctadata: Callable[..., Ran]) -> None:
    ran = ctadata("login", "--issuer", cta.issuer.url.replace("master", "nothing"))

    assert ran.code == 2
    assert "there is no OpenID provider at" in ran.one_line


def test_logging_out_is_said_and_logging_out_twice_is_no_error(cta: FakeCta, ctadata: Callable[..., Ran]) -> None:
    ctadata("login")
    first, second = ctadata("logout"), ctadata("--json", "logout")

    assert (first.code, first.out) == (0, f"logged out at {cta.issuer.url}\n")
    assert (second.code, second.records) == (
        0,
        [{"done": "logout", "issuer": cta.issuer.url, "was_logged_in": False}],
    )


def test_a_token_is_renewed_on_demand(cta: FakeCta, ctadata: Callable[..., Ran]) -> None:
    ctadata("login")
    ran = ctadata("token", "refresh")

    assert ran.code == 0
    assert ran.out.startswith("renewed; the token is good until 20")
    assert len(cta.issuer.grants("refresh_token")) == 1


def test_without_a_login_there_is_nothing_to_renew(cta: FakeCta, ctadata: Callable[..., Ran]) -> None:
    ran = ctadata("token", "refresh")

    assert ran.code == 1
    assert "log in: ctadata login --issuer" in ran.one_line


# Client secrets


def test_a_secret_comes_from_standard_input_and_is_in_no_output(
    cta: FakeCta, confidential: str, ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Stdin(confidential.encode() + b"\n"))
    ran = ctadata("login", "--client-secret-file", "-")

    assert ran.code == 0
    assert confidential not in ran.out + ran.err
    assert ctadata("token", "refresh").code == 0


def test_a_secret_comes_from_a_file_that_others_cannot_read(
    cta: FakeCta, confidential: str, ctadata: Callable[..., Ran]
) -> None:
    Path("secret").write_text(confidential)
    Path("secret").chmod(0o644)
    refused = ctadata("login", "--client-secret-file", "secret")
    Path("secret").chmod(0o600)

    assert refused.code == 1
    assert "chmod 600 secret" in refused.one_line
    assert ctadata("login", "--client-secret-file", "secret").code == 0
    assert ctadata("token", "refresh").code == 0


def test_a_secret_comes_from_the_environment(
    cta: FakeCta, confidential: str, ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTA_CLIENT_SECRET", confidential)

    assert ctadata("login").code == 0


def test_on_a_terminal_a_secret_is_asked_for_only_where_one_is_needed(
    cta: FakeCta, confidential: str, ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def type_in(prompt: str) -> str:
        asked.append(prompt)
        return confidential

    monkeypatch.setattr("getpass.getpass", type_in)
    monkeypatch.setattr("sys.stdin", Stdin(terminal=True))
    ran = ctadata("login")
    public = ctadata("login", "--client-id", "ctadata-public")

    assert (ran.code, public.code) == (0, 0)
    assert asked == ["client secret: "]
    assert "ctadata-confidential needs its client secret" in ran.err


def test_without_a_terminal_a_missing_secret_is_an_error_that_says_how_to_give_it(
    cta: FakeCta, confidential: str, ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Stdin())
    ran = ctadata("login")

    assert ran.code == 1
    assert "client_secret_file" in ran.one_line


@pytest.mark.parametrize("content", [b"", b"\n", b"two words\n", b"x" * 5000])
def test_what_is_no_secret_on_standard_input_is_refused_unseen(
    content: bytes, cta: FakeCta, ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Stdin(content))
    ran = ctadata("login", "--client-secret-file", "-")

    assert ran.code == 1
    assert "standard input holds no client secret" in ran.one_line
    assert "words" not in ran.err
    assert cta.issuer.requests == []


def test_an_end_of_input_at_the_prompt_is_one_line(
    cta: FakeCta, confidential: str, ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", end)
    monkeypatch.setattr("sys.stdin", Stdin(terminal=True))
    ran = ctadata("-q", "login")

    assert ran.code == 1
    assert "no client secret was typed in; give it in a file (--client-secret-file FILE)" in ran.one_line


def test_what_is_typed_in_another_encoding_is_refused_unseen(
    cta: FakeCta, confidential: str, ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(prompt: str) -> str:
        return b"s3cr\xff".decode("utf-8")

    monkeypatch.setattr("getpass.getpass", decode)
    monkeypatch.setattr("sys.stdin", Stdin(terminal=True))
    ran = ctadata("-q", "login", "--debug")

    assert ran.code == 1
    assert "the client secret was typed in another encoding than the terminal's" in ran.err
    assert "0xff" not in ran.err
    assert "s3cr" not in ran.err


@pytest.mark.parametrize("options", [(), ("--client-secret-file", "-")])
def test_a_closed_standard_input_is_one_line(
    options: tuple[str, ...],
    cta: FakeCta,
    confidential: str,
    ctadata: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    ran = ctadata("login", *options)

    assert ran.code == 1
    assert ran.one_line.startswith("ctadata: ")
    assert "client_secret_file" in ran.one_line or "standard input holds no client secret" in ran.one_line


def test_a_secret_cannot_be_asked_for_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Stdin(b"s3cret\n"))

    with pytest.raises(CredentialError, match="no terminal"):
        login.read_secret("")


@pytest.mark.parametrize("option", ["--client-secret", "--token", "--secret"])
def test_there_is_no_option_for_a_secret(option: str, cta: FakeCta, ctadata: Callable[..., Ran]) -> None:
    ran = ctadata("login", option, "s3cret")

    assert ran.code == 2
    assert cta.issuer.requests == []


# QR codes


def test_a_terminal_gets_a_qr_code_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    monkeypatch.setenv("COLUMNS", "80")
    drawn = login.qr_code("https://id.example/device?user_code=ABCD-EFGH")
    monkeypatch.setenv("COLUMNS", "20")
    narrow = login.qr_code("https://id.example/device?user_code=ABCD-EFGH")
    lines = drawn.splitlines()

    assert {len(line) for line in lines} == {33}
    assert len(lines) == 17
    assert set(drawn) <= set("█▀▄ \n")
    assert narrow == ""


def test_a_terminal_that_cannot_show_it_gets_no_qr_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    monkeypatch.setenv("COLUMNS", "80")

    assert login.qr_code("https://id.example/device") == ""


def test_a_login_on_a_terminal_shows_the_code_and_one_in_a_pipe_does_not(
    cta: FakeCta, ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    piped = ctadata("login")
    reading, writing = pty.openpty()
    with os.fdopen(writing, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", terminal)
        code = ctadata("-q", "login").code
        terminal.flush()
        shown = os.read(reading, 65536).decode()
    os.close(reading)

    assert code == 0
    assert "█" in shown
    assert "█" not in piped.out

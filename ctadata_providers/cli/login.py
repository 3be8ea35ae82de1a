"""The sub-commands `login`, `logout` and `token refresh`, with what they take."""

import argparse
import io
import shutil
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from ctadata_providers.cli.options import Commands, command, settings_of
from ctadata_providers.cli.output import Output, utc
from ctadata_providers.cli.prompt import ask, has_terminal
from ctadata_providers.errors import CredentialError

if TYPE_CHECKING:
    from ctadata_providers import Config
    from ctadata_providers.credentials import Token
    from ctadata_providers.credentials.oidc.device import DeviceGrant

STANDARD_INPUT = "-"
_BEFORE_A_LOGIN = ("token", "token_file", "token_command", "oidc_account", "proxy_file", "cert_file")
_SECRET_NEEDED = ("invalid_client", "unauthorized_client")


def add_login(commands: Commands) -> None:
    """Add `login`."""
    command(
        commands,
        "login",
        "log in with a browser, here or on your telephone (OpenID Connect device flow)",
        "",
        examples="  ctadata login\n  ctadata login --profile dev\n"
        "  ctadata login --issuer https://id.example.org/realms/cta --client-id my-client\n"
        "  ctadata login --client-secret-file - < secret-file",
    )


def add_logout(commands: Commands) -> None:
    """Add `logout`."""
    command(commands, "logout", "end the login, here and at its issuer", "", examples="  ctadata logout --profile dev")


def add_refresh(tokens: Commands) -> None:
    """Add `token refresh`."""
    command(tokens, "refresh", "get a new token for the login now", "", examples="  ctadata token refresh")


def login(args: argparse.Namespace, output: Output) -> int:
    """Log in, and tell until when the first token is good."""
    config, secret = client_of(args)
    token = log_in(config, output, secret=secret)
    _tell("login", f"logged in{f' as {token.username}' if token.username else ''} at {config.issuer}", token, output)
    if any(getattr(config, name) for name in _BEFORE_A_LOGIN):
        output.say("another credential is given and comes before this login: 'ctadata doctor' tells which one is used")
    return 0


def logout(args: argparse.Namespace, output: Output) -> int:
    """Log out; 0 also when nobody was logged in."""
    from ctadata_providers.credentials.oidc import sessions

    config, _ = client_of(args)
    ended = sessions.log_out(config)
    said = f"logged out at {config.issuer}" if ended else f"nobody was logged in at {config.issuer}"
    output.record({"done": "logout", "issuer": config.issuer, "was_logged_in": ended}, said)
    return 0


def refresh(args: argparse.Namespace, output: Output) -> int:
    """Renew the token of the login, and tell until when the new one is good."""
    from ctadata_providers.credentials.oidc import sessions

    config, _ = client_of(args)
    _tell("refresh", "renewed", sessions.refresh(config), output)
    return 0


def client_of(args: argparse.Namespace) -> "tuple[Config, str | None]":
    """Return the settings, and the client secret if standard input is to give it (`--client-secret-file -`).

    Raises:
        ConfigError: When a setting cannot be used.
        CredentialError: When standard input gives no secret.
    """
    from ctadata_providers import Config

    settings = settings_of(args)
    if settings.get("client_secret_file") != STANDARD_INPUT:
        return Config.from_env(**settings), None
    settings["client_secret_file"] = None
    return Config.from_env(**settings), read_secret(STANDARD_INPUT)


def read_secret(source: str) -> str:
    """Return the client secret that standard input gives (`-`), or that is typed in at a prompt and not shown.

    Raises:
        CredentialError: When it gives none.
    """
    from ctadata_providers.credentials.oidc.client_secret import LONGEST_SECRET, as_secret

    if source != STANDARD_INPUT or has_terminal():
        return _ask()
    line = b"" if sys.stdin is None else sys.stdin.buffer.readline(LONGEST_SECRET + 1)
    return as_secret(line, source="standard input")


def log_in(config: "Config", output: Output, *, secret: str | None = None) -> "Token":
    """Log in, telling the user where to approve it; ask for the client secret where one is needed.

    Raises:
        CtaError: As `sessions.log_in` says.
    """
    from ctadata_providers.credentials.oidc import sessions
    from ctadata_providers.credentials.oidc.client_secret import client_secret
    from ctadata_providers.credentials.oidc.provider import refusal_of

    show = partial(_show, output)
    try:
        return sessions.log_in(config, secret, show)
    except CredentialError as error:
        known = secret or client_secret(config)
        if known or refusal_of(error) not in _SECRET_NEEDED or not has_terminal():
            raise
        output.say(f"{config.client_id} needs its client secret")
    return sessions.log_in(config, _ask(), show)


def _ask() -> str:
    from ctadata_providers.credentials.oidc.client_secret import as_secret

    remedy = "give it in a file (--client-secret-file FILE) or on standard input (-)"
    if not has_terminal():
        raise CredentialError("there is no terminal to ask for the client secret on", remedy=remedy)
    typed = ask("client secret", prompt="client secret: ", remedy=remedy)
    return as_secret(typed.encode("utf-8", "surrogateescape"), source="what was typed in")


def _show(output: Output, grant: "DeviceGrant") -> None:
    """Tell the user where to approve the login."""
    address = grant.verification_uri_complete or grant.verification_uri
    facts = {
        "verification_uri": grant.verification_uri,
        "verification_uri_complete": grant.verification_uri_complete,
        "user_code": grant.user_code,
        "expires_at": utc(time.time() + grant.expires_in),
    }
    lines = [f"To log in, open  {grant.verification_uri}", f"and enter        {grant.user_code}"]
    if grant.verification_uri_complete:
        lines.append(f"or open          {grant.verification_uri_complete}")
    output.record(facts, *lines)
    if sys.stdout.isatty() and not output.as_json:
        sys.stdout.write(qr_code(address))
    sys.stdout.flush()  # whoever reads a pipe has to see it before it is approved
    output.say(f"waiting for that, until {facts['expires_at']}")


def qr_code(address: str) -> str:
    """Return an address as a QR code for a terminal, empty where that is too narrow or cannot show it."""
    import segno

    code = segno.make(address, error="l", micro=False)
    drawn = io.StringIO()
    code.terminal(drawn, border=2, compact=True)
    text = drawn.getvalue()
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return ""
    return text if code.symbol_size(border=2)[0] <= shutil.get_terminal_size().columns else ""


def _tell(act: str, said: str, token: "Token", output: Output) -> None:
    """Print what a token says; the token itself is for `token show --print`."""
    until = utc(token.expires_at)
    facts = {"done": act, "issuer": token.issuer, "username": token.username, "expires_at": until}
    output.record(facts, f"{said}; the token is good until {until or 'nobody told when'}")

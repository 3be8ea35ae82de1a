"""`ctadata token show`, and the names that ctadata has for it."""

import argparse
import time
from typing import TYPE_CHECKING

from ctadata_providers.cli.options import Commands, command, config_of
from ctadata_providers.cli.output import Output, utc

if TYPE_CHECKING:
    from ctadata_providers.credentials import Token


def add_show(commands: Commands) -> None:
    """Add `show`."""
    parser = command(
        commands,
        "show",
        "tell what the token that would be sent says of itself",
        "",
        examples="  ctadata token show\n  ctadata token show --json | jq .seconds_left\n"
        '  curl -H @<(echo "Authorization: Bearer $(ctadata token show --print)") https://…',
    )
    parser.add_argument("--print", action="store_true", help="print the token itself, and nothing else on stdout")


def show(args: argparse.Namespace, output: Output) -> int:
    """Print what the token says of itself, with `--print` the token."""
    from ctadata_providers.credentials.survey import facts

    if args.print:
        return print_token(args, output)
    told = facts(_token(args), time.time())
    told["expires_at"] = utc(told["expires_at"])
    output.record(told, *lines(told))
    return 0


def print_token(args: argparse.Namespace, output: Output) -> int:
    """Print the token on stdout, and until when it is good on stderr."""
    token = _token(args)
    end = utc(token.expires_at)
    output.record({"token": token.value, "expires_at": end}, token.value)
    output.say(f"valid till {end or 'an unknown time'}")
    return 0


def lines(told: dict[str, object]) -> list[str]:
    """Return the facts of a token for people."""
    return [f"{name.replace('_', ' ') + ':':14}{_text(value)}" for name, value in told.items()]


def _text(value: object) -> str:
    text = " ".join(str(item) for item in value) if isinstance(value, list) else value
    return "-" if text in (None, "") else str(text)


def _token(args: argparse.Namespace) -> "Token":
    from ctadata_providers.credentials import resolve
    from ctadata_providers.errors import CredentialError

    credential = resolve(config_of(args))
    token = credential.token()
    if token is None and credential.certificate is not None:
        raise CredentialError("the credential is a certificate, not a token", remedy="see 'ctadata proxy info'")
    if token is None:
        raise CredentialError("there is no token", remedy="log in with 'ctadata login', or see 'ctadata doctor'")
    return token

"""The command line: from arguments to what was asked for."""

import argparse
from collections.abc import Callable, Iterable, Sequence

from ctadata_providers import __version__
from ctadata_providers.cli import agent, certificate, completion, doctor, login, proxy, token
from ctadata_providers.cli import arguments as given
from ctadata_providers.cli import legacy_arguments as legacy
from ctadata_providers.cli import looking_arguments as looking
from ctadata_providers.cli import syncing_arguments as syncing
from ctadata_providers.cli.options import (
    CommandParser,
    Commands,
    Parser,
    add_general,
    add_settings,
    check_selection,
    group,
)
from ctadata_providers.errors import ConfigError

DESCRIPTION = """\
Move files between this machine and the CTA data centre.

PATH is lst/DL3/file.fits, /lst/DL3/file.fits or cta://lst/DL3/file.fits; cta://NAME@lst/… chooses
the profile NAME. What only reads, and rm, takes the patterns * ? [..] and ** (quoted for the shell)."""

EPILOG = """\
examples:
  ctadata login          # a token that stays fresh; 'ctadata doctor' tells which credential is used
  ctadata list -l lst/DL3/20241114
  ctadata get 'lst/DL3/20241114/*.fits.gz' night/
  ctadata put -r results lst/users/alice/
  ctadata sandbox        # a data centre on this machine, to try things out

Other credentials are found too, such as BEARER_TOKEN or --token-file; none is ever an option itself.
Exit codes: 0 done, 1 error, 2 wrong usage or setting, 130 interrupted."""


def _add_token(commands: Commands) -> None:
    """Add `token`, to which two modules give a command each."""
    acts = group(
        commands,
        "token",
        "show or refresh the bearer token",
        examples="  ctadata token show\n  ctadata token refresh",
    )
    token.add_show(acts)
    login.add_refresh(acts)


COMMANDS: dict[str, Callable[[Commands], None]] = {
    "list": given.add_list,
    "get": given.add_get,
    "put": given.add_put,
    "cp": given.add_cp,
    "rm": given.add_rm,
    "mv": given.add_mv,
    "mkdir": given.add_mkdir,
    "stat": given.add_stat,
    "cat": looking.add_cat,
    "head": looking.add_head,
    "tree": looking.add_tree,
    "du": looking.add_du,
    "sync": syncing.add_sync,
    "verify": syncing.add_verify,
    "clean": syncing.add_clean,
    "login": login.add_login,
    "logout": login.add_logout,
    "whoami": doctor.add_whoami,
    "token": _add_token,
    "agent": agent.add_agent,
    "proxy": proxy.add_proxy,
    "certificate": certificate.add_certificate,
    "doctor": doctor.add_doctor,
    "sandbox": given.add_sandbox,
    "demo": given.add_demo,
    "completion": completion.add_completion,
    "ls": given.add_ls,
    **dict.fromkeys(legacy.ALIASES, legacy.add_aliases),
}
"""What adds each command, in the order of the help."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of `ctadata`.

    Returns:
        `command`, what that command takes, `json`, `debug`, `quiet`, `verbose`, and the settings that were given.

    Raises:
        ConfigError: For wrong usage.
        SystemExit: After `--help` or `--version`.
    """
    named = [word for word in arguments if word in COMMANDS]
    try:
        # One command is meant, and the parsers of all take longer than most that is done with them.
        args = _parsed(command_line(named), arguments)
    except ConfigError:
        args = _parsed(command_line(), arguments)  # errors tell of all of them
    check_selection(args)
    return args


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    # Common options stand before or after the sub-command: none of the two parsers may set a default over the other's.
    return parser.parse_args(arguments, argparse.Namespace(json=False, debug=False, quiet=False, verbose=0))


class _PartialParser(Parser):
    """The parser of some commands; its help tells of all."""

    def format_help(self) -> str:
        return command_line().format_help()


def command_line(names: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    """Return the parser of `ctadata`, which has those of some or all of its commands."""
    kind = Parser if names is COMMANDS else _PartialParser
    parser = kind(prog="ctadata", usage="ctadata [OPTION]... COMMAND ...", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"ctadata {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, title="commands", parser_class=CommandParser, prog="ctadata"
    )
    for add in dict.fromkeys(COMMANDS[name] for name in names):
        add(commands)
    add_general(parser)
    add_settings(parser)
    return parser

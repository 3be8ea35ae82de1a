"""The command line: from arguments to what was asked for."""

import argparse
from collections.abc import Sequence

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


COMMANDS = (
    given.add_list,
    given.add_get,
    given.add_put,
    given.add_cp,
    given.add_rm,
    given.add_mv,
    given.add_mkdir,
    given.add_stat,
    looking.add_cat,
    looking.add_head,
    looking.add_tree,
    looking.add_du,
    syncing.add_sync,
    syncing.add_verify,
    syncing.add_clean,
    login.add_login,
    login.add_logout,
    doctor.add_whoami,
    _add_token,
    agent.add_agent,
    proxy.add_proxy,
    certificate.add_certificate,
    doctor.add_doctor,
    given.add_sandbox,
    given.add_demo,
    completion.add_completion,
    given.add_ls,
    token.add_aliases,
    agent.add_aliases,
    legacy.add_aliases,
)
"""What adds each command, in the order of the help."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of `ctadata`.

    Returns:
        `command`, what that command takes, `json`, `debug`, `quiet`, `verbose`, and the settings that were given.

    Raises:
        ConfigError: For wrong usage.
        SystemExit: After `--help` or `--version`.
    """
    # Common options stand before or after the sub-command: none of the two parsers may set a default over the other's.
    args = command_line().parse_args(arguments, argparse.Namespace(json=False, debug=False, quiet=False, verbose=0))
    check_selection(args)
    return args


def command_line() -> argparse.ArgumentParser:
    """Return the parser of `ctadata`, which has those of its commands."""
    parser = Parser(prog="ctadata", usage="ctadata [OPTION]... COMMAND ...", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"ctadata {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, title="commands", parser_class=CommandParser, prog="ctadata"
    )
    for add in COMMANDS:
        add(commands)
    add_general(parser)
    add_settings(parser)
    return parser

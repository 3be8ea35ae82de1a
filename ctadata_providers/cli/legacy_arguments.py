"""The command lines `cta-data` and `cta-data-direct`: the commands of the package ctadata, as it writes them."""

import argparse
from collections.abc import Callable, Sequence

from ctadata_providers import __version__
from ctadata_providers.cli.agent import PROMPT, choose_dev
from ctadata_providers.cli.certificate import KEYS
from ctadata_providers.cli.options import (
    CommandParser,
    Commands,
    Parser,
    add_general,
    add_on_error,
    add_recursive,
    add_settings,
    check_selection,
    command,
)
from ctadata_providers.errors import ConfigError

DESCRIPTION = """\
Move files between this machine and the CTA data centre, with the commands of the package ctadata.
'ctadata --help' shows what else there is."""


def parse(program: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of `cta-data` or `cta-data-direct`.

    Returns:
        As `parser.parse` does, with what the commands of `ctadata` of the same names take.

    Raises:
        ConfigError: For wrong usage.
        SystemExit: After `--help` or `--version`.
    """
    defaults = argparse.Namespace(json=False, debug=False, quiet=False, verbose=0, dev=False)
    args = _build(program).parse_args(arguments, defaults)
    check_selection(args)
    choose_dev(args)
    if args.dev or program == "cta-data-direct":
        if getattr(args, "backend", "webdav") != "webdav":
            raise ConfigError(
                f"usage: {'--dev' if args.dev else program} means a door", remedy="leave --backend out, or take ctadata"
            )
        args.backend = "webdav"
    return args


def _build(program: str) -> argparse.ArgumentParser:
    parser = Parser(prog=program, usage=f"{program} [OPTION]... COMMAND ...", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"{program} {__version__} (ctadata-providers)")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, title="commands", parser_class=CommandParser, prog=program
    )
    for name, add in ADD.items():
        added = add(commands, program)
        added.set_defaults(command=name)
        _add_dev(added)
    add_general(parser)
    add_settings(parser)
    _add_dev(parser)
    return parser


def _add_dev(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-d", "--dev", action="store_true", default=argparse.SUPPRESS, help="use the door of the profile dev"
    )


def _add_list(commands: Commands, program: str) -> argparse.ArgumentParser:
    parser = command(commands, "list", "list a folder", "PATH", examples=f"  {program} list lst/DL3")
    parser.add_argument("path", metavar="PATH", help="remote path")
    return parser


def _add_get(commands: Commands, program: str) -> argparse.ArgumentParser:
    parser = command(
        commands,
        "get",
        "download a file or a folder into the current folder",
        "PATH",
        examples=f"  {program} get lst/DL3/index.fits.gz\n  {program} get --recursive lst/DL3/20241114",
    )
    parser.add_argument("path", metavar="PATH", help="remote path")
    return _copying(parser)


def _add_put(commands: Commands, program: str) -> argparse.ArgumentParser:
    parser = command(
        commands,
        "put",
        "upload a file, or with -r what is in a folder",
        "LOCAL_PATH PATH",
        examples=f"  {program} put plot.png plots/\n  {program} put -r results night1",
    )
    parser.add_argument("local_path", metavar="LOCAL_PATH", help="local file or folder")
    parser.add_argument(
        "path",
        metavar="PATH",
        help="remote file or, with '/' at its end, folder; with the services, or if it begins with no folder that is "
        "at the root, in your own folder",
    )
    return _copying(parser)


def _copying(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    add_recursive(parser)
    add_on_error(parser)
    parser.set_defaults(no_overwrite=False)
    return parser


def add_upload_shared(commands: Commands, program: str, *, hidden: bool = False) -> argparse.ArgumentParser:
    """Add `upload-shared-certificate`."""
    parser = command(
        commands,
        "upload-shared-certificate",
        "give a proxy to the CTA services that serves users without their own",
        "PATH",
        examples=f"  {program} upload-shared-certificate robot-proxy.pem",
        hidden=hidden,
    )
    parser.add_argument("path", metavar="PATH", help="the proxy")
    parser.set_defaults(shared=True, key=None, user=None)
    return parser


def add_upload_personal(commands: Commands, program: str, *, hidden: bool = False) -> argparse.ArgumentParser:
    """Add `upload-personal-certificate`."""
    parser = command(
        commands,
        "upload-personal-certificate",
        "give your proxy to the CTA services",
        "PATH KEY",
        examples=f"  {program} upload-personal-certificate /tmp/x509up_u1000 cta",
        hidden=hidden,
    )
    parser.add_argument("path", metavar="PATH", help="the proxy")
    parser.add_argument("key", metavar="KEY", choices=KEYS, help="lst or cta for paths below these, arc for all others")
    parser.add_argument("-u", "--user", metavar="USER", help="whose it is (default: yours)")
    parser.set_defaults(shared=False)
    return parser


def add_aliases(commands: Commands) -> None:
    """Add to `ctadata` what only ctadata has."""
    for name in ALIASES:
        ADD[name](commands, "ctadata", hidden=True)
    for name in ("start-agent", "stop-agent"):
        commands.choices[name].add_argument("-d", "--dev", action="store_true", help="that of the profile dev")


def _add_start_agent(commands: Commands, program: str, *, hidden: bool = False) -> argparse.ArgumentParser:
    parser = command(
        commands,
        "start-agent",
        "keep the token file of ctadata fresh in the background: ~/.config/cta-data/token",
        "",
        examples=f"  {program} start-agent\n  {program} start-agent --dev\n  {program} start-agent -s - < secret-file",
        hidden=hidden,
    )
    parser.add_argument(
        "-s",
        "--reset_secret",
        "--reset-secret",
        "--secret",
        metavar="-",
        nargs="?",
        const=PROMPT,
        help="log in anew with a client secret: asked for, or with '-' read from standard input",
    )
    return parser


def _add_stop_agent(commands: Commands, program: str, *, hidden: bool = False) -> argparse.ArgumentParser:
    return command(commands, "stop-agent", "end the agent", "", examples=f"  {program} stop-agent", hidden=hidden)


def _add_print_token(commands: Commands, program: str, *, hidden: bool = False) -> argparse.ArgumentParser:
    return command(
        commands,
        "print-token",
        "print the token that would be sent to a door",
        "",
        examples=f"  {program} print-token > token",
        hidden=hidden,
    )


def _add_get_token(commands: Commands, program: str, *, hidden: bool = False) -> argparse.ArgumentParser:
    return command(
        commands, "get-token", "do as print-token does", "", examples=f"  {program} get-token > token", hidden=hidden
    )


ADD: dict[str, Callable[..., argparse.ArgumentParser]] = {
    "list": _add_list,
    "get": _add_get,
    "put": _add_put,
    "upload-shared-certificate": add_upload_shared,
    "upload-personal-certificate": add_upload_personal,
    "start-agent": _add_start_agent,
    "stop-agent": _add_stop_agent,
    "print-token": _add_print_token,
    "get-token": _add_get_token,
}
"""What adds each command, in the order of the help."""
ALIASES = tuple(name for name in ADD if name not in ("list", "get", "put"))
"""Those that `ctadata` has under other names, too."""

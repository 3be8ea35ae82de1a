"""What the parsers of the command line share: how they tell errors, and the options of several commands."""

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from ctadata_providers.errors import ConfigError
from ctadata_providers.patterns import Selection

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from ctadata_providers import Config

_WIDTH = 100
SETTINGS: tuple[tuple[str, str, str], ...] = (
    ("profile", "NAME", "profile of the data centre: prod, dev, or one of your config.toml; also cta://NAME@…"),
    ("backend", "NAME", "how to speak to it: webdav or downloadservice (default: what the URLs below lead to)"),
    ("door_url", "URL", "WebDAV door, https://host:port"),
    ("base_path", "PATH", "prefix of all paths at the door"),
    ("service_url", "URL", "the CTA downloadservice, https://host/services/downloadservice/"),
    ("certificate_service_url", "URL", "the CTA certificateservice (default: beside the downloadservice)"),
    ("hub_url", "URL", "their JupyterHub (default: https://host/hub/); its token: JUPYTERHUB_API_TOKEN"),
    ("ca_path", "PATH", "trusted CAs beside the system's: a hashed folder or a PEM file"),
    ("trusted_hosts", "HOSTS", "hosts to which a redirect may carry the token, separated by commas"),
    ("copy_hosts", "HOSTS", "hosts to and from which a door may copy by itself, with your token for the other side"),
    ("max_parallel", "N", "transfers at once (default: 16, with the downloadservice 4)"),
    ("streams", "N", "connections for one large download (default: as many as help, up to 8)"),
    ("limit_rate", "RATE", "most bytes a second over all transfers, such as 500k or 10M (k is 1024)"),
    ("retries", "N", "how often a passing fault is tried again (default: 5)"),
    ("checksum", "MODE", "auto, require or off (default: auto)"),
)
"""Settings that are options with a value: the field of `Config`, its placeholder, its help."""

CREDENTIALS: tuple[tuple[str, str, str], ...] = (
    ("token_file", "FILE", "file with a bearer token"),
    ("token_command", "COMMAND", "program with arguments, in one text, that prints a bearer token"),
    ("oidc_account", "NAME", "account of your running oidc-agent, or its issuer"),
    ("issuer", "URL", "OpenID Connect issuer, https://host/realms/name"),
    ("client_id", "ID", "our name there"),
    ("client_secret_file", "FILE", "file with our secret there, open to nobody else"),
    ("grant_type", "GRANT", "refresh_token, or client_credentials for robots (default: refresh_token)"),
    ("scope", "SCOPES", "what to ask the issuer for, separated by blanks"),
    ("audience", "NAME", "whom the tokens shall be for"),
    ("refresh", "MODE", "auto, or never: use the token that another process keeps fresh (default: auto)"),
    ("proxy_file", "FILE", "X.509 proxy"),
    ("cert_file", "FILE", "X.509 certificate"),
    ("key_file", "FILE", "its private key"),
)
"""Settings that tell where the credential is, never what it is; else as `SETTINGS`."""

FLAGS: tuple[tuple[str, str], ...] = (
    ("allow_http_pools", "follow a redirect to plain http, without the token; a checksum is then required"),
)
"""Settings that are switches: the field of `Config`, its help."""

OPTIONS = tuple(name for name, *_ in (*SETTINGS, *CREDENTIALS, *FLAGS))
"""All settings that are options."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ours, so that they are reported as all others."""

    def __init__(self, **settings: object) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **settings)  # type: ignore[arg-type]  # passed on as they came

    def error(self, message: str) -> NoReturn:
        """Raise a usage error, which repeats no value of an option that there is not: it may be a secret."""
        raise ConfigError(f"usage: {_without_values(message)}", remedy=f"see '{self.prog} --help'")

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        """Print help or version; argparse says nothing where they cannot be written."""
        if message:
            (file or sys.stderr).write(message)


_STRANGE = re.compile(r"unrecognized arguments: (?P<words>.*)", re.DOTALL)
_NO_COMMAND = re.compile(
    r"argument COMMAND: invalid choice: (?!'[a-z-]{1,12}' ).* \((?P<names>choose from .*)\)", re.DOTALL
)


def _without_values(message: str) -> str:
    """Return a message of argparse without what may be the value of an option that there is not.

    >>> _without_values("unrecognized arguments: --token abc -sabc --secret=abc")
    'unrecognized arguments: --token -s --secret'
    >>> _without_values("argument COMMAND: invalid choice: 'eyJhbGciOi' (choose from 'list', 'get')")
    "there is no such command (choose from 'list', 'get')"
    """
    strange, no_command = _STRANGE.fullmatch(message), _NO_COMMAND.fullmatch(message)
    if strange:
        words = strange["words"].split()
        options = [word.partition("=")[0] if word.startswith("--") else word[:2] for word in words if word[0] == "-"]
        return f"unrecognized arguments: {' '.join(options or words)}"
    if no_command:
        return f"there is no such command ({no_command['names']})"
    return message


class CommandParser(Parser):
    """A sub-command whose options may also stand between its paths, as with GNU tools."""

    _intermixed = False

    def add_subparsers(self, **settings: Any) -> "Commands":  # type: ignore[override]  # as above
        """Make this a group of commands: its words are their names, so that nothing stands between paths."""
        self._intermixed = True
        return super().add_subparsers(**settings)

    def parse_known_args(  # type: ignore[override]  # the overloads of argparse cannot be restated in fewer lines
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse as argparse does, with options between the paths."""
        # Up to Python 3.12 parse_known_intermixed_args calls back into this method, twice, and forgets a "--".
        if self._intermixed or "--" in (args or ()):
            return super().parse_known_args(args, namespace)
        self._intermixed = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixed = False


Commands: TypeAlias = "argparse._SubParsersAction[CommandParser]"  # what add_subparsers gives has no public name


def add_general(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to print."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object a line, errors too"
    )
    group.add_argument(
        "-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help="no progress bar, no summary"
    )
    group.add_argument(
        "-v", "--verbose", action="count", default=argparse.SUPPRESS, help="tell what is done; -vv: more of it"
    )
    group.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the Python trace of an error"
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add an option for each setting."""
    group = parser.add_argument_group("settings", "over those of profile and environment")
    for name, metavar, text in SETTINGS:
        group.add_argument(_option(name), metavar=metavar, default=argparse.SUPPRESS, help=text)
    for name, text in FLAGS:
        group.add_argument(_option(name), action="store_true", default=argparse.SUPPRESS, help=text)
    group = parser.add_argument_group("credential", "where it is; rules out what profile and environment have")
    for name, metavar, text in CREDENTIALS:
        group.add_argument(_option(name), metavar=metavar, default=argparse.SUPPRESS, help=text)


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given as options, by their names in `Config`; None is not given."""
    return {name: getattr(args, name, None) for name in OPTIONS}


def config_of(args: argparse.Namespace) -> "Config":
    """Return the settings of the command line, over those of profile and environment.

    Raises:
        ConfigError: When a setting cannot be used.
    """
    # Not before the arguments are known to be good: help and usage errors come at once.
    from ctadata_providers import Config

    return Config.from_env(**settings_of(args))


def add_recursive(parser: argparse.ArgumentParser, text: str = "folders with all that is below") -> None:
    """Add `-r`, and `--include` and `--exclude`, which need it."""
    parser.add_argument("-r", "--recursive", action="store_true", help=text)
    add_selection(parser, which="with -r, ")


def add_selection(parser: argparse.ArgumentParser, *, which: str = "") -> None:
    """Add `--include` and `--exclude`; each gives a list of patterns."""
    parser.add_argument(
        "--include",
        metavar="PATTERN",
        action="append",
        default=[],
        help=f"{which}take only what matches: a name at any depth, or with '/' a path from the folder given (a '/' at "
        "the end: folders only), with all below; may be given several times",
    )
    parser.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help=f"{which}leave out what matches, likewise, also of what is included",
    )


def add_no_overwrite(parser: argparse.ArgumentParser, where: str) -> None:
    """Add `--no-overwrite`."""
    parser.add_argument("--no-overwrite", action="store_true", help=f"fail where {where} (default: it is replaced)")


def add_on_error(parser: argparse.ArgumentParser) -> None:
    """Add `--on-error`."""
    parser.add_argument(
        "--on-error",
        choices=("stop", "continue"),
        default="continue",
        help="whether the first error stops the others, or all errors are told at the end (default: continue)",
    )


def check_selection(args: argparse.Namespace) -> None:
    """Make sure that patterns can be used, before anything is asked.

    Raises:
        ConfigError: When a pattern is none, or stands without `-r` where that is needed.
    """
    include, exclude = getattr(args, "include", []), getattr(args, "exclude", [])
    if (include or exclude) and not getattr(args, "recursive", True):
        raise ConfigError("usage: --include and --exclude select what is in folders", remedy="add -r")
    Selection.of(include, exclude)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _sentence(text: str) -> str:
    return textwrap.fill(f"{text[0].upper()}{text[1:]}.", _WIDTH)


def command(
    commands: Commands,
    name: str,
    text: str,
    takes: str,
    *,
    examples: str,
    settings: bool = True,
    hidden: bool = False,
    own_h: bool = False,
) -> argparse.ArgumentParser:
    """Add a command and return its parser, which has the general options.

    Args:
        commands: Those that there are, of `ctadata` or of a `group`.
        name: What it is called. The namespace has it as `command`, behind the name of its group: `token show`.
        text: What it does.
        takes: Its arguments.
        examples: Lines of them, for its help.
        settings: Whether it also takes the settings of the core.
        hidden: Whether it is left out of the list of commands: another name for what is in it.
        own_h: Whether `-h` is an option of its own, so that help is `--help` only.
    """
    listed: dict[str, Any] = {} if hidden else {"help": text}
    if own_h:
        listed["conflict_handler"] = "resolve"
    parser = commands.add_parser(
        name, parents=[_shared(settings)], description=_sentence(text), epilog=f"examples:\n{examples}", **listed
    )
    parser.usage = f"{parser.prog} [OPTION]... {takes}".rstrip()
    parser.set_defaults(command=parser.prog.removeprefix("ctadata "))
    return parser


@cache
def _shared(settings: bool) -> "CommandParser":
    """Return the parser of what all commands have: made once, for each option made anew would cost each command."""
    parser = CommandParser(add_help=False)
    add_general(parser)
    if settings:
        add_settings(parser)
    return parser


def group(commands: Commands, name: str, text: str, *, examples: str) -> Commands:
    """Add a command that has commands of its own, such as `token show`, and return what those are added to.

    Args:
        commands: Those that there are.
        name: What it is called.
        text: What it is about.
        examples: Lines of them, for its help.
    """
    parser = commands.add_parser(
        name,
        usage=f"ctadata {name} [OPTION]... COMMAND ...",
        help=text,
        description=_sentence(text),
        epilog=f"examples:\n{examples}",
    )
    added = parser.add_subparsers(
        dest="command",
        metavar="COMMAND",
        required=True,
        title="commands",
        parser_class=CommandParser,
        prog=f"ctadata {name}",
    )
    add_general(parser)
    return added

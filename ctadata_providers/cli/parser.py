"""What the command line takes: sub-commands, options and their help."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from ctadata_providers import __version__
from ctadata_providers.errors import ConfigError

SETTINGS: tuple[tuple[str, str, str], ...] = (
    ("profile", "NAME", "profile of the data centre: prod, dev, or one of your config.toml; also cta://NAME@…"),
    ("backend", "NAME", "how to speak to it (default: webdav)"),
    ("door_url", "URL", "WebDAV door, https://host:port"),
    ("base_path", "PATH", "prefix of all paths at the door"),
    ("token_file", "FILE", "file with a bearer token"),
    ("proxy_file", "FILE", "X.509 proxy"),
    ("cert_file", "FILE", "X.509 certificate"),
    ("key_file", "FILE", "its private key"),
    ("ca_path", "PATH", "trusted CAs beside the system's: a hashed folder or a PEM file"),
    ("trusted_hosts", "HOSTS", "hosts to which a redirect may carry the token, separated by commas"),
    ("max_parallel", "N", "transfers at once (default: 16)"),
    ("retries", "N", "how often a passing fault is tried again (default: 5)"),
    ("checksum", "MODE", "auto, require or off (default: auto)"),
)
"""Settings that are options with a value: the field of `Config`, its placeholder, its help."""

FLAGS: tuple[tuple[str, str], ...] = (
    ("allow_http_pools", "follow a redirect to plain http, without the token; a checksum is then required"),
)
"""Settings that are switches: the field of `Config`, its help."""

DESCRIPTION = """\
Move files between this machine and the CTA data centre.

PATH is lst/DL3/file.fits, /lst/DL3/file.fits or cta://lst/DL3/file.fits; cta://NAME@lst/… chooses
the profile NAME. list, get, rm and stat take the patterns * ? [..] and ** (quote them for the shell)."""

EPILOG = """\
examples:
  ctadata list -l lst/DL3/20241114
  ctadata get 'lst/DL3/20241114/*.fits.gz' night/
  ctadata put -r results lst/users/alice/
  ctadata sandbox        # a data centre on this machine, to try things out

A token comes from BEARER_TOKEN or BEARER_TOKEN_FILE, or --token-file; it is never an option itself.
Exit codes: 0 done, 1 error, 2 wrong usage or setting, 130 interrupted."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are ours, so that they are reported as all others."""

    def __init__(self, **settings: object) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **settings)  # type: ignore[arg-type]  # passed on as they came

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"usage: {message}", remedy=f"see '{self.prog} --help'")


class _CommandParser(_Parser):
    """A sub-command whose options may also stand between its paths, as with GNU tools."""

    _intermixed = False

    def parse_known_args(  # type: ignore[override]  # the overloads of argparse cannot be restated in fewer lines
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        # Up to Python 3.12 parse_known_intermixed_args calls back into this method, twice, and forgets a "--".
        if self._intermixed or "--" in (args or ()):
            return super().parse_known_args(args, namespace)
        self._intermixed = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixed = False


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of `ctadata`.

    Returns:
        `command`, what that command takes, `json`, `debug`, `quiet`, `verbose`, and the settings that were given.

    Raises:
        ConfigError: For wrong usage.
        SystemExit: After `--help` or `--version`.
    """
    # Common options stand before or after the sub-command: none of the two parsers may set a default over the other's.
    return _build().parse_args(arguments, argparse.Namespace(json=False, debug=False, quiet=False, verbose=0))


def _build() -> argparse.ArgumentParser:
    parser = _Parser(prog="ctadata", usage="ctadata [OPTION]... COMMAND ...", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"ctadata {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, title="commands", parser_class=_CommandParser, prog="ctadata"
    )
    for add in (_add_list, _add_get, _add_put, _add_rm, _add_mv, _add_mkdir, _add_stat, _add_sandbox, _add_demo):
        add(commands)
    _add_general(parser)
    _add_settings(parser)
    return parser


_Commands = argparse._SubParsersAction  # the type of add_subparsers' result has no public name


def _add_general(parser: argparse.ArgumentParser) -> None:
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


def _add_settings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings", "over those of profile and environment")
    for name, metavar, text in SETTINGS:
        group.add_argument(_option(name), metavar=metavar, default=argparse.SUPPRESS, help=text)
    for name, text in FLAGS:
        group.add_argument(_option(name), action="store_true", default=argparse.SUPPRESS, help=text)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _command(
    commands: "_Commands[_CommandParser]", name: str, text: str, takes: str, *, examples: str, settings: bool = True
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        usage=f"ctadata {name} [OPTION]... {takes}".rstrip(),
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=f"examples:\n{examples}",
    )
    _add_general(parser)
    if settings:
        _add_settings(parser)
    return parser


def _add_list(commands: "_Commands[_CommandParser]") -> None:
    parser = _command(
        commands,
        "list",
        "list folders, files or what matches a pattern",
        "[PATH]...",
        examples="  ctadata list lst/DL3\n  ctadata list -l 'lst/DL3/**/*.fits.gz'\n"
        "  ctadata list -r --json lst/DL3 | jq .size",
    )
    parser.add_argument("paths", nargs="*", default=["/"], metavar="PATH", help="default: the root")
    parser.add_argument("-l", "--long", action="store_true", help="type, size and time (UTC) before the name")
    parser.add_argument("-r", "--recursive", action="store_true", help="all that is below, too")


def _add_get(commands: "_Commands[_CommandParser]") -> None:
    parser = _command(
        commands,
        "get",
        "download files or folders",
        "REMOTE... [LOCAL]",
        examples="  ctadata get lst/DL3/index.fits.gz\n  ctadata get lst/DL3/index.fits.gz copy.fits.gz\n"
        "  ctadata get 'lst/DL3/*.fits.gz' night/\n  ctadata get -r lst/DL3/20241114 .",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="REMOTE... [LOCAL]",
        help="remote paths or patterns, then where to: a file, or a folder if it exists, ends in '/', or several files "
        "come (default: the current folder)",
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="folders with all that is below")
    parser.add_argument("--no-overwrite", action="store_true", help="fail where a local file exists")


def _add_put(commands: "_Commands[_CommandParser]") -> None:
    parser = _command(
        commands,
        "put",
        "upload files or folders",
        "LOCAL... REMOTE",
        examples="  ctadata put plot.png lst/users/alice/\n  ctadata put plot.png lst/users/alice/night1.png\n"
        "  ctadata put -r results lst/users/alice/",
    )
    parser.add_argument("local", nargs="+", metavar="LOCAL", help="local files, with -r folders")
    parser.add_argument(
        "remote",
        metavar="REMOTE",
        help="remote file, or folder if it exists, ends in '/', or several files go; missing folders are made",
    )
    parser.add_argument("-r", "--recursive", action="store_true", help="folders with all that is below")
    parser.add_argument("--no-overwrite", action="store_true", help="fail where a remote file exists")


def _add_rm(commands: "_Commands[_CommandParser]") -> None:
    parser = _command(
        commands,
        "rm",
        "remove remote files or folders",
        "PATH...",
        examples="  ctadata rm lst/users/alice/old.png\n  ctadata rm 'lst/users/alice/*.tmp'\n"
        "  ctadata rm -r lst/users/alice/results",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files, empty folders, or patterns")
    parser.add_argument("-r", "--recursive", action="store_true", help="folders with all that is below")


def _add_mv(commands: "_Commands[_CommandParser]") -> None:
    parser = _command(
        commands,
        "mv",
        "rename or move a remote file or folder",
        "SOURCE TARGET",
        examples="  ctadata mv lst/users/alice/a.png lst/users/alice/b.png\n"
        "  ctadata mv lst/users/alice/a.png lst/users/alice/plots/",
    )
    parser.add_argument("source", metavar="SOURCE", help="remote path")
    parser.add_argument("target", metavar="TARGET", help="remote path, or folder if it exists or ends in '/'")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that stands at the target")


def _add_mkdir(commands: "_Commands[_CommandParser]") -> None:
    parser = _command(
        commands,
        "mkdir",
        "make remote folders",
        "PATH...",
        examples="  ctadata mkdir -p lst/users/alice/results/night1",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="remote folder")
    parser.add_argument("-p", "--parents", action="store_true", help="missing parents too; no error if it exists")


def _add_stat(commands: "_Commands[_CommandParser]") -> None:
    parser = _command(
        commands,
        "stat",
        "show all that is known of files or folders",
        "PATH...",
        examples="  ctadata stat lst/DL3/index.fits.gz\n  ctadata stat --json 'lst/DL3/*' | jq .checksums.adler32",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="remote paths or patterns")


def _add_sandbox(commands: "_Commands[_CommandParser]") -> None:
    parser = _command(
        commands,
        "sandbox",
        "serve a data centre with sample data on this machine until Ctrl-C",
        "",
        examples='  ctadata sandbox               # then paste the "export" lines into another shell\n'
        "  ctadata sandbox --root ~/dl3  # serve your own files",
        settings=False,
    )
    parser.add_argument("--root", metavar="DIR", help="folder to serve (default: a temporary one with sample data)")
    parser.add_argument("--port", metavar="N", type=_port, default=0, help="port of the door (default: a free one)")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**16:
        raise argparse.ArgumentTypeError(f"{text} is not a port, 0 to 65535")
    return int(text)


def _add_demo(commands: "_Commands[_CommandParser]") -> None:
    parser = _command(
        commands,
        "demo",
        "run the example analysis with Snakemake, then with Airflow, on a sandbox",
        "",
        examples="  ctadata demo\n  ctadata demo --data ~/hess-dl3-dr1 --output demo-output",
        settings=False,
    )
    parser.add_argument("--data", metavar="DIR", help="DL3 files to use (default: made for the demo)")
    parser.add_argument(
        "--output", metavar="DIR", default="demo-output", help="where results go (default: demo-output)"
    )

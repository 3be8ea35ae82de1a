"""What each command takes: its arguments, options and help."""

import argparse

from ctadata_providers.cli.options import Commands, add_no_overwrite, add_on_error, add_recursive, command


def add_list(commands: Commands) -> None:
    """Add `list`."""
    _add_list(commands, "list")


def add_ls(commands: Commands) -> None:
    """Add `ls`, which is what fingers type."""
    _add_list(commands, "ls", hidden=True)


def _add_list(commands: Commands, name: str, *, hidden: bool = False) -> None:
    parser = command(
        commands,
        name,
        "list folders, files or what matches a pattern",
        "[PATH]...",
        examples=f"  ctadata {name} lst/DL3\n  ctadata {name} -l 'lst/DL3/**/*.fits.gz'\n"
        f"  ctadata {name} -r --json lst/DL3 | jq .size\n"
        f"  ctadata {name} -r --include '*.fits.gz' --exclude tmp/ lst/DL3",
        hidden=hidden,
    )
    parser.add_argument("paths", nargs="*", default=["/"], metavar="PATH", help="default: the root")
    parser.add_argument("-l", "--long", action="store_true", help="type, size and time (UTC) before the name")
    add_recursive(parser, "all that is below, too")


def add_get(commands: Commands) -> None:
    """Add `get`."""
    parser = command(
        commands,
        "get",
        "download files or folders",
        "REMOTE... [LOCAL]",
        examples="  ctadata get lst/DL3/index.fits.gz\n  ctadata get lst/DL3/index.fits.gz copy.fits.gz\n"
        "  ctadata get 'lst/DL3/*.fits.gz' night/\n  ctadata get -r lst/DL3/20241114 .\n"
        "  ctadata get -r --include '*.fits.gz' --exclude 'logs/' lst/DL3 copy",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="REMOTE... [LOCAL]",
        help="remote paths or patterns, then where to: a file, or a folder if it exists, ends in '/', or several files "
        "come (default: the current folder); missing local folders are made",
    )
    add_recursive(parser)
    add_on_error(parser)
    add_no_overwrite(parser, "a local file exists")


def add_put(commands: Commands) -> None:
    """Add `put`."""
    parser = command(
        commands,
        "put",
        "upload files or folders",
        "LOCAL... REMOTE",
        examples="  ctadata put plot.png lst/users/alice/\n  ctadata put plot.png lst/users/alice/night1.png\n"
        "  ctadata put -r results lst/users/alice/\n"
        "  ctadata put -r --exclude '*.tmp' --on-error stop results lst/users/alice/",
    )
    parser.add_argument("local", nargs="+", metavar="LOCAL", help="local files, with -r folders")
    parser.add_argument(
        "remote",
        metavar="REMOTE",
        help="remote file, or folder if it exists, ends in '/', or several files go; missing folders are made",
    )
    add_recursive(parser)
    add_on_error(parser)
    add_no_overwrite(parser, "a remote file exists")


def add_cp(commands: Commands) -> None:
    """Add `cp`."""
    parser = command(
        commands,
        "cp",
        "copy remote files or folders to another remote place",
        "SOURCE... TARGET",
        examples="  ctadata cp lst/DL3/index.fits.gz lst/users/alice/\n"
        "  ctadata cp -r 'lst/DL3/2024*' lst/users/alice/nights/\n"
        "  ctadata cp --copy-hosts '*.cscs.ch,door.example.org' lst/a.fits cta://site@lst/a.fits\n"
        "Both ends are remote: 'get' downloads, 'put' uploads.",
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="remote files, with -r folders, or patterns")
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="remote file, or folder if it exists, ends in '/', or several files go; missing folders are made",
    )
    add_recursive(parser)
    add_on_error(parser)
    add_no_overwrite(parser, "a file exists at the target")


def add_rm(commands: Commands) -> None:
    """Add `rm`."""
    parser = command(
        commands,
        "rm",
        "remove remote files or folders",
        "PATH...",
        examples="  ctadata rm lst/users/alice/old.png\n  ctadata rm 'lst/users/alice/*.tmp'\n"
        "  ctadata rm -r lst/users/alice/results",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files, empty folders, or patterns")
    parser.add_argument("-r", "--recursive", action="store_true", help="folders with all that is below")


def add_mv(commands: Commands) -> None:
    """Add `mv`."""
    parser = command(
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


def add_mkdir(commands: Commands) -> None:
    """Add `mkdir`."""
    parser = command(
        commands,
        "mkdir",
        "make remote folders",
        "PATH...",
        examples="  ctadata mkdir -p lst/users/alice/results/night1",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="remote folder")
    parser.add_argument("-p", "--parents", action="store_true", help="missing parents too; no error if it exists")


def add_stat(commands: Commands) -> None:
    """Add `stat`."""
    parser = command(
        commands,
        "stat",
        "show all that is known of files or folders",
        "PATH...",
        examples="  ctadata stat lst/DL3/index.fits.gz\n  ctadata stat --json 'lst/DL3/*' | jq .checksums.adler32",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="remote paths or patterns")


def add_sandbox(commands: Commands) -> None:
    """Add `sandbox`."""
    parser = command(
        commands,
        "sandbox",
        "serve a data centre with sample data on this machine until Ctrl-C",
        "",
        examples='  ctadata sandbox               # then paste the "export" lines into another shell\n'
        "  ctadata sandbox --root ~/dl3  # serve your own files\n"
        "  ctadata sandbox --fault unavailable:method=GET,times=2  # to try out what your pipeline makes of it",
        settings=False,
    )
    parser.add_argument("--root", metavar="DIR", help="folder to serve (default: a temporary one with sample data)")
    parser.add_argument("--port", metavar="N", type=_port, default=0, help="port of the door (default: a free one)")
    parser.add_argument(
        "--fault",
        metavar="NAME[:OPTION=VALUE,...]",
        action="append",
        default=[],
        help="something that goes wrong, such as slow:path=/lst/**,rate=100000; may be given several times, see "
        "docs/testing.md",
    )
    parser.add_argument(
        "--approve",
        metavar="USER",
        nargs="?",
        const="alice",
        help="approve every login at its issuer at once, as USER (default: alice); else there is a page for that",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**16:
        raise argparse.ArgumentTypeError(f"{text} is not a port, 0 to 65535")
    return int(text)


def add_demo(commands: Commands) -> None:
    """Add `demo`."""
    parser = command(
        commands,
        "demo",
        "run the example analysis with Snakemake, then with Airflow, on a sandbox",
        "",
        examples="  ctadata demo\n  ctadata demo --data ~/hess-dl3-dr1 --output demo-output",
        settings=False,
    )
    parser.add_argument("--data", metavar="DIR", help="DL3 files to use (default: made for the demo)")
    parser.add_argument("--services", action="store_true", help="by the CTA services with a hub token, not at the door")
    parser.add_argument(
        "--output", metavar="DIR", default="demo-output", help="where results go (default: demo-output)"
    )

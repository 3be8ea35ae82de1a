"""What `sync`, `verify` and `clean` take: their arguments, options and help."""

import argparse
import re

from ctadata_providers.cli.options import Commands, add_on_error, add_selection, command

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def add_sync(commands: Commands) -> None:
    """Add `sync`."""
    parser = command(
        commands,
        "sync",
        "make a folder like another, one way: copy what is missing or differs",
        "SOURCE TARGET",
        examples="  ctadata sync results cta://lst/users/alice/results\n"
        "  ctadata sync cta://lst/DL3/20241114 night\n"
        "  ctadata sync -n --delete cta://lst/DL3 mirror   # what would be done\n"
        "  ctadata sync --include '*.fits.gz' --exclude tmp/ cta://lst/DL3 mirror",
    )
    parser.add_argument("source", metavar="SOURCE", help="the folder to copy: a local path, or cta://…")
    parser.add_argument("target", metavar="TARGET", help="the folder to make like it, the other kind; made if missing")
    parser.add_argument(
        "--compare",
        choices=("auto", "checksum", "mtime", "size"),
        default="auto",
        help="what tells that a copy of the same size is right: its checksum, its time, or nothing more; auto: the "
        "checksum where the listing has one, else the time (default: auto)",
    )
    parser.add_argument(
        "--delete",
        action="store_true",
        help="then remove what only TARGET has, but for what is excluded; nothing if anything failed",
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="only tell what would be done")
    add_selection(parser)
    add_on_error(parser)


def add_verify(commands: Commands) -> None:
    """Add `verify`."""
    parser = command(
        commands,
        "verify",
        "tell how local and remote files or folders differ",
        "LOCAL REMOTE",
        examples="  ctadata verify results lst/users/alice/results\n"
        "  ctadata verify a.fits.gz lst/DL3/a.fits.gz && rm a.fits.gz\n"
        "  ctadata verify --compare size --json night lst/DL3/20241114 | jq -r 'select(.kind) | .path'",
    )
    parser.add_argument("local", metavar="LOCAL", help="local file or folder")
    parser.add_argument("remote", metavar="REMOTE", help="remote file or folder")
    parser.add_argument(
        "--compare",
        choices=("checksum", "size"),
        default="checksum",
        help="by the checksum that the server tells (else the remote file is read), or by size only "
        "(default: checksum)",
    )
    add_selection(parser)


def add_clean(commands: Commands) -> None:
    """Add `clean`."""
    parser = command(
        commands,
        "clean",
        "remove what killed transfers have left (.*.ctapart)",
        "PATH...",
        examples="  ctadata clean lst/users/alice\n  ctadata clean --older-than 7d -n lst/users/alice\n"
        "  ctadata clean --local ~/data",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="folders, with all that is below")
    parser.add_argument(
        "--older-than",
        metavar="TIME",
        type=seconds,
        default="24h",
        help="leave what has changed within this time: 90s, 30m, 24h, 7d (default: 24h); longer than any upload takes",
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="only tell what would be removed")
    parser.add_argument("--local", action="store_true", help="PATHs are local folders: what killed downloads have left")


def seconds(text: str) -> float:
    """Return a duration in seconds.

    >>> seconds("90s"), seconds("30m"), seconds("1.5h"), seconds("7d")
    (90.0, 1800.0, 5400.0, 604800.0)
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 30m, 24h or 7d")
    return float(found[1]) * _SECONDS[found[2]]

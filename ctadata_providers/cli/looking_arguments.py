"""What `cat`, `head`, `tree` and `du` take."""

import argparse
import re

from ctadata_providers.cli.options import Commands, command

_RANGE = re.compile(r"(?P<first>[0-9]*)-(?P<last>[0-9]*)")
_AMOUNT = re.compile(r"(?P<number>[0-9]+)(?P<unit>[kKMG]?)")
_UNITS = {"": 1, "k": 1024, "K": 1024, "M": 1024**2, "G": 1024**3}
Range = tuple[int | None, int | None]
"""First and last byte; without the first so many at the end, without the last all that follow."""


def add_cat(commands: Commands) -> None:
    """Add `cat`."""
    parser = command(
        commands,
        "cat",
        "print the bytes of files",
        "PATH...",
        examples="  ctadata cat lst/DL3/obs-index.fits.gz | zcat | head -c 2880\n"
        "  ctadata cat 'lst/logs/*.txt' | grep ERROR\n"
        "  ctadata cat --range 0-2879 lst/DL3/index.fits   # the first 2880 bytes\n"
        "  ctadata cat --range -100 lst/logs/night.txt     # the last 100",
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="remote files or patterns, printed one behind the other"
    )
    parser.add_argument(
        "--range",
        metavar="FIRST-LAST",
        type=byte_range,
        default=(0, None),
        help="only these bytes of each file, counted from 0, the last one included; FIRST- for all that follow, -N for "
        "the last N",
    )


def add_head(commands: Commands) -> None:
    """Add `head`."""
    parser = command(
        commands,
        "head",
        "print the first lines or bytes of files, without reading the rest",
        "PATH...",
        examples="  ctadata head lst/logs/night.txt\n  ctadata head -n 3 'lst/logs/*.txt'\n"
        "  ctadata head -c 2880 lst/DL3/index.fits | fold -w 80",
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="remote files or patterns; several have their names before them"
    )
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("-n", "--lines", metavar="N", type=number, default=10, help="how many lines (default: 10)")
    how_much.add_argument("-c", "--bytes", metavar="N", type=number, help="how many bytes; 2k is 2048, also M and G")


def add_tree(commands: Commands) -> None:
    """Add `tree`."""
    parser = command(
        commands,
        "tree",
        "show what is in folders as a tree",
        "[PATH]...",
        examples="  ctadata tree -L 2 lst\n  ctadata tree -d lst/DL3\n"
        "  ctadata tree -s --exclude '*.log' lst/DL3/20241114\n"
        "  ctadata tree --json lst/DL3 | jq -r 'select(.depth == 2) | .path'",
    )
    parser.add_argument(
        "paths", nargs="*", default=["/"], metavar="PATH", help="folders or patterns (default: the root)"
    )
    parser.add_argument(
        *("-L", "--depth"), metavar="N", type=positive, help="how many folders deep; 1 for what is in the folder itself"
    )
    parser.add_argument("-d", "--folders", action="store_true", help="only folders")
    parser.add_argument("-s", "--size", action="store_true", help="the size of each file before its name")
    _add_exclude(parser)


def add_du(commands: Commands) -> None:
    """Add `du`."""
    parser = command(
        commands,
        "du",
        "tell how many bytes folders hold",
        "[PATH]...",
        own_h=True,
        examples="  ctadata du lst/DL3\n  ctadata du -h -d 1 lst/users/alice\n"
        "  ctadata du -s 'lst/DL3/2024*' | sort -n\n"
        "  ctadata du --json -s lst/DL3 | jq .files",
    )
    parser.add_argument(
        "paths", nargs="*", default=["/"], metavar="PATH", help="folders, files or patterns (default: the root)"
    )
    parser.add_argument("-h", "--human", action="store_true", help="sizes such as 1.5 MB, not bytes (for help: --help)")
    how_deep = parser.add_mutually_exclusive_group()
    how_deep.add_argument("-s", "--summarize", action="store_true", help="only what each PATH comes to, as -d 0")
    how_deep.add_argument(
        *("-d", "--depth"), metavar="N", type=number, help="print folders so deep only; all below is in the sums"
    )
    _add_exclude(parser)


def _add_exclude(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out what matches: a name at any depth, or with '/' a path from the folder given, with all below; "
        "may be given several times",
    )


def byte_range(text: str) -> Range:
    """Return the first and the last byte of a range.

    >>> byte_range("0-99"), byte_range("100-"), byte_range("-5")
    ((0, 99), (100, None), (None, 5))
    """
    found = _RANGE.fullmatch(text)
    first, last = (int(part) if part else None for part in found.groups()) if found else (None, None)
    if (first, last) == (None, None) or (first is not None and last is not None and last < first):
        raise argparse.ArgumentTypeError(f"{text!r} is no range such as 0-99, 100- or -100")
    return first, last


def number(text: str) -> int:
    """Return how many are meant.

    >>> number("10"), number("2k")
    (10, 2048)
    """
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number such as 10 or 2k")
    return int(found["number"]) * _UNITS[found["unit"]]


def positive(text: str) -> int:
    """Return a number that is at least 1."""
    wanted = number(text)
    if not wanted:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return wanted

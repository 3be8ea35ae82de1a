"""Measure and print: `python -m benchmarks [--size 1GiB] [--files 2000] [--repeats 5] [--write]`."""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import startup, transfers
from benchmarks.report import heading, table
from benchmarks.runner import Scenario, measure
from benchmarks.site import open_site
from tests.servers.process import ServerError

_PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_TRANSFERS = (transfers.large_down, transfers.large_up, transfers.small_down, transfers.small_up)


def main() -> int:
    """Run the chosen scenarios, print the report, write it to docs/benchmarks.md if asked to."""
    options = _parse()
    report = [heading(" ".join(sys.argv[1:]))]
    print(report[0])
    try:
        for scenario in _scenarios(options):
            section = table(scenario, measure(scenario, repeats=options.repeats))
            print(section, flush=True)
            report.append(section)
    except ServerError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if options.write:
        _PAGE.write_text("\n".join(report))
    return 0


def _scenarios(options: argparse.Namespace) -> Iterator[Scenario]:
    if "transfers" in options.only:
        with open_site(size=options.size, files=options.files) as site:
            for scenario in _TRANSFERS:
                yield scenario(site)
    if "startup" in options.only:
        yield startup.imports()
        with tempfile.TemporaryDirectory() as folder:
            yield startup.snakemake(Path(folder))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", type=_size, default="1GiB", help="of the large file, up to 16GiB (1GiB)")
    parser.add_argument("--files", type=_count(100_000), default=2000, help="small files, up to 100000 (2000)")
    parser.add_argument("--repeats", type=_count(50), default=5, help="runs of each, up to 50 (5)")
    parser.add_argument(
        "--only", choices=("transfers", "startup"), nargs="+", default=("transfers", "startup"), help="parts to run"
    )
    parser.add_argument("--write", action="store_true", help="also write docs/benchmarks.md")
    return parser.parse_args()


def _size(text: str) -> int:
    """Return the bytes that `1GiB`, `500MB` or `1000` mean."""
    match = re.fullmatch(r"(\d+)((?:[kMG]|[KMG]i)?)B?", text)
    size = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < size <= 16 * 2**30:
        raise argparse.ArgumentTypeError(f"not a size between 1 and 16GiB: {text}")
    return size


def _count(most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from 1 to `most`."""

    def parse(text: str) -> int:
        number = int(text)
        if not 1 <= number <= most:
            raise argparse.ArgumentTypeError(f"not a number between 1 and {most}: {text}")
        return number

    return parse


if __name__ == "__main__":
    sys.exit(main())

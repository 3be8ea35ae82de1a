"""Measure and print: `python -m benchmarks [--only PART ...] [--repeats 5] [--write]`.

With `--write` the results are kept in benchmarks/results/, one file a scenario, and docs/benchmarks.md and its plot are
made of all that is there: what was not measured this time stays as it was. Without, they are only printed.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cancel, checksums, data, growth, kept, large, line, plot, plugins, report, small, startup
from benchmarks.programs import CannotRun
from benchmarks.runner import Scenario
from benchmarks.site import open_site
from tests.servers.process import ServerError

_DOCS = Path(__file__).parent.parent / "docs"
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much is measured.

    Attributes:
        only: The parts.
        repeats: Runs of each.
        size: Of the large file.
        line_size: Of the file over the long line.
        huge_size: Of the file that is to fit into no process.
        files: Small files.
        entries: Of the largest tree and folder.
        full: Whether what takes long is measured, too.
        shapes: Workflows that storage plugins run, none for all.
        own: Whether they are run without the plugins of others.
    """

    only: tuple[str, ...]
    repeats: int
    size: int
    line_size: int
    huge_size: int
    files: int
    entries: int
    full: bool
    shapes: tuple[str, ...]
    own: bool


Part = Callable[[Options, Path], Iterator[Scenario]]


def main() -> int:
    """Run the chosen parts, print the report, write it to docs/benchmarks.md if asked to."""
    given = _parse()
    folder: Path | None = given.kept or (kept.FOLDER if given.write else None)
    sections, failed = _measure(_options(given), folder)
    if given.write and folder:
        try:
            sections = kept.kept(folder)
        except CannotRun as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
        write(sections, _DOCS)
    print(report.goals(sections))
    return int(failed)


def write(sections: Sequence[kept.Section], docs: Path) -> None:
    """Write the page and its plot."""
    drawn = plot.draw(sections, docs / report.PLOT)
    (docs / "benchmarks.md").write_text(report.page(sections, plot=drawn))


def _measure(options: Options, folder_kept: Path | None) -> tuple[list[kept.Section], bool]:
    """Measure the chosen parts; return what was measured, and whether a part could not be."""
    sections, failed = [], False
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            try:
                for scenario in PARTS[name](options, Path(folder)):
                    sections.append(kept.measured(scenario, repeats=options.repeats))
                    if folder_kept:
                        kept.keep(sections[-1], folder_kept)
                    print(report.table(sections[-1]), flush=True)
            except (ServerError, CannotRun) as error:
                print(f"benchmarks: {name}: {error}", file=sys.stderr)
                failed = True
    return sections, failed


def _large(options: Options, folder: Path) -> Iterator[Scenario]:
    with open_site("nginx", size=options.size, files=1) as site:
        yield large.down(site)
        yield large.up(site)


def _xrootd(options: Options, folder: Path) -> Iterator[Scenario]:
    with open_site("XRootD", size=options.size, files=1) as site:
        yield large.down(site)
        yield large.up(site)


def _small(options: Options, folder: Path) -> Iterator[Scenario]:
    with open_site("nginx", size=1, files=options.files) as site:
        yield small.down(site)
        yield small.up(site)


def _line(options: Options, folder: Path) -> Iterator[Scenario]:
    with ExitStack() as stack:
        site = stack.enter_context(open_site("nginx", size=options.line_size, files=options.files))
        far, forwarder = stack.enter_context(line.far_site(site))
        yield line.large(far, forwarder)
        yield line.small(far, forwarder)


def _checksums(options: Options, folder: Path) -> Iterator[Scenario]:
    with open_site("nginx", size=options.size, files=1) as site:
        yield checksums.downloads(site)


def _cancel(options: Options, folder: Path) -> Iterator[Scenario]:
    yield cancel.cancel(folder)


def _growth(options: Options, folder: Path) -> Iterator[Scenario]:
    with growth.open_wide(options.entries) as wide:
        yield growth.listing(wide)
        yield growth.walks(wide)
        yield growth.trees_down(wide)
        if options.full:
            yield growth.trees_up(wide)
    with growth.open_huge(options.huge_size) as site:
        yield growth.huge(site)


def _plugins(options: Options, folder: Path) -> Iterator[Scenario]:
    return plugins.scenarios(options.shapes, own=options.own)


def _fsspec(options: Options, folder: Path) -> Iterator[Scenario]:
    with data.open_data() as site:
        yield from data.scenarios(site)


def _startup(options: Options, folder: Path) -> Iterator[Scenario]:
    yield startup.imports()
    yield startup.snakemake(folder)


PARTS: dict[str, Part] = {
    "large": _large,
    "xrootd": _xrootd,
    "small": _small,
    "line": _line,
    "checksums": _checksums,
    "cancel": _cancel,
    "growth": _growth,
    "fsspec": _fsspec,
    "startup": _startup,
    "plugins": _plugins,
}
"""What `--only` takes."""
_BY_DEFAULT = tuple(name for name in PARTS if name != "plugins")
"""`make bench-snakemake` measures the others' plugins, which take long."""


def _options(given: argparse.Namespace) -> Options:
    return Options(
        only=tuple(given.only),
        repeats=given.repeats,
        size=given.size,
        line_size=given.line_size or given.size // 2,
        huge_size=given.huge_size or (10 if given.full else 2) * 2**30,
        files=given.files,
        entries=given.entries,
        full=given.full,
        shapes=tuple(given.shapes),
        own=given.own,
    )


def _parse() -> argparse.Namespace:
    description = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=description[0], epilog=description[2])
    parser.add_argument(
        "--only", choices=PARTS, nargs="*", default=_BY_DEFAULT, help="parts to run; none with --write: only the page"
    )
    parser.add_argument(
        "--shapes", choices=plugins.SHAPES, nargs="*", default=(), help="workflows of the part plugins (all)"
    )
    parser.add_argument("--own", action="store_true", help="workflows without the plugins of others")
    parser.add_argument("--repeats", type=_count(50), default=5, help="runs of each, up to 50 (5)")
    parser.add_argument("--size", type=_size, default="1GiB", help="of the large file, up to 16GiB (1GiB)")
    parser.add_argument("--line-size", type=_size, help="of the file over the long line (half of --size)")
    parser.add_argument("--huge-size", type=_size, help="of the file that shows the memory (2GiB)")
    parser.add_argument("--files", type=_count(100_000), default=2000, help="small files, up to 100000 (2000)")
    parser.add_argument("--entries", type=_count(1_000_000), default=100_000, help="of the largest tree (100000)")
    parser.add_argument("--full", action="store_true", help="also trees up; 10GiB as the huge file")
    parser.add_argument("--write", action="store_true", help="keep the results, and write docs/benchmarks.md of all")
    parser.add_argument("--kept", type=Path, help="folder to keep results in (with --write benchmarks/results)")
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

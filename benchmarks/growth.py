"""What more work costs: time is to grow with the number of entries and no faster, memory not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from benchmarks import ours, peers
from benchmarks.peers import installed
from benchmarks.programs import CannotRun
from benchmarks.runner import Entry, Goal, Results, Scenario, Work
from benchmarks.site import Site, open_site

_PARTS = (0.1, 0.3, 1.0)
_FOLDER_SIZE = 1000
_CONTENT = b"x" * 100
_TREE_MEMORY = 150.0
_HUGE_MEMORY = 100.0
_LINEAR = 1.3
"""How much dearer an entry of ten times as many may be: caches of a machine are not endless."""


@dataclass(frozen=True)
class Wide:
    """A site with trees and one large folder.

    Attributes:
        site: It.
        counts: How many files the trees `/tree/<count>` have.
    """

    site: Site
    counts: tuple[int, ...]


@contextmanager
def open_wide(entries: int) -> Iterator[Wide]:
    """Start nginx with trees up to so many files, and a flat folder of so many."""
    counts = tuple(sorted({max(1, int(entries * part)) for part in _PARTS}))
    with open_site(size=1, files=1, room=3 * 4096 * sum((*counts, entries))) as site:
        for count in counts:
            for number in range(count):
                _put(site, f"tree/{count}/d{number // _FOLDER_SIZE:04d}/f{number % _FOLDER_SIZE:04d}.bin", _CONTENT)
        for number in range(counts[-1]):
            _put(site, f"flat/f{number:06d}.bin", b"")
        yield Wide(site, counts)


def listing(wide: Wide) -> Scenario:
    """List one large folder."""
    site, count = wide.site, wide.counts[-1]
    first = "curl PROPFIND, first byte"
    work: dict[str, Work] = {
        first: partial(peers.curl_list, site, "/flat", "time_starttransfer"),
        "curl PROPFIND, all": partial(peers.curl_list, site, "/flat", "time_total"),
        "ctadata-providers list_dir, first entry": partial(ours.in_child, site, "first", "/flat", count=1),
        "ctadata-providers list_dir, all": partial(ours.in_child, site, "list", "/flat", count=count),
    }
    present, missing = installed(work)
    memory = _memory_goal("ctadata-providers list_dir, all", _TREE_MEMORY)
    return Scenario(
        key="list",
        title=f"List one folder: {count:,} entries",
        entries=[Entry(name=name, run=run) for name, run in present.items()],
        missing=missing,
        note="nginx with TLS on loopback makes the whole listing before it sends the first byte, so the first"
        " entry cannot come before that. Seconds without the start of a process.",
        goals=[memory, _soon(first)],
    )


def walks(wide: Wide) -> Scenario:
    """Walk through trees of growing size."""
    return _growing(wide, "walk", "walk", "Walk through a tree")


def trees(wide: Wide) -> Scenario:
    """Download trees of growing size."""
    return _growing(wide, "tree-down", "download_tree", "Download a tree of tiny files")


def huge(site: Site) -> Scenario:
    """Download one file that is larger than a process may be."""
    name = "ctadata-providers download"
    arguments: tuple[object, ...] = ("/huge.bin", site.received / "huge.bin", None, {})
    run = partial(ours.in_child, site, "download", *arguments, count=site.size)
    return Scenario(
        key="huge",
        title=f"One huge file down: {site.size / 1e6:,.0f} MB",
        entries=[Entry(name=name, run=run, prepare=site.clear)],
        amount=site.size / 1e6,
        unit="MB",
        note=f"A sparse file from nginx with TLS on loopback to {site.where}; memory is that of the whole process.",
        goals=[_memory_goal(name, _HUGE_MEMORY)],
        repeats=1,
    )


@contextmanager
def open_huge(size: int) -> Iterator[Site]:
    """Start nginx with one sparse file, and a target with room for it.

    Raises:
        CannotRun: There is no such room.
    """
    with open_site(size=1, files=1, room=size) as site:
        free = shutil.disk_usage(site.folder).free
        if free < size:
            raise CannotRun(f"{site.folder} has room for {free / 1e9:.0f} GB: TMPDIR can name another folder")
        with (site.server.root / "huge.bin").open("wb") as file:
            file.truncate(size)
        yield replace(site, size=size)


def _put(site: Site, path: str, data: bytes) -> None:
    target = site.server.root / path
    if not target.parent.exists():
        target.parent.mkdir(parents=True)
    target.write_bytes(data)


def _growing(wide: Wide, key: str, act: str, title: str) -> Scenario:
    site = wide.site
    names = {f"{count:,} files": count for count in wide.counts}
    local = [site.received / "tree"] if act == "download_tree" else []
    entries = [
        Entry(
            name=name,
            run=partial(ours.in_child, site, act, f"/tree/{count}", *local, count=_entries(act, count)),
            prepare=site.clear,
            amount=count,
        )
        for name, count in names.items()
    ]
    smallest, *_, largest = names
    return Scenario(
        key=key,
        title=f"{title}: up to {wide.counts[-1]:,} files",
        entries=entries,
        peers=[smallest],
        amount=wide.counts[-1],
        unit="files",
        note=f"nginx with TLS on loopback, folders of {_FOLDER_SIZE:,} files, both sides on {site.where}; each in a"
        " process of its own, whose start is not timed.",
        goals=[_memory_goal(largest, _TREE_MEMORY), _linear(smallest, largest)],
        repeats=1,
    )


def _entries(act: str, files: int) -> int:
    """Return what an act counts: a walk gives folders, too."""
    return files + -(-files // _FOLDER_SIZE) if act == "walk" else files


def _memory_goal(name: str, wanted: float) -> Goal:
    def peak(results: Results) -> float | None:
        row = results.get(name)
        return row.peak / 1e6 if row and row.runs else None

    return Goal(text=f"{name}: memory of the process, MB", wanted=wanted, value=peak, at_most=True)


def _linear(smallest: str, largest: str) -> Goal:
    def ratio(results: Results) -> float | None:
        few, many = results[smallest], results[largest]
        return few.speed / many.speed if few.runs and many.runs else None

    return Goal(text=f"time a file: {largest} / {smallest}", wanted=_LINEAR, value=ratio, at_most=True)


def _soon(first_byte: str) -> Goal:
    def delay(results: Results) -> float | None:
        byte, entry = results[first_byte], results["ctadata-providers list_dir, first entry"]
        return entry.median / byte.median if byte.runs and entry.runs else None

    return Goal(text="first entry / curl's first byte", wanted=1.5, value=delay, at_most=True)

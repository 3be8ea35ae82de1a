"""What more work costs: time is to grow with the number of entries and no faster, memory not at all."""

import shutil
from collections.abc import Iterator, Mapping
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
_FIRST, _ALL = "ctadata-providers list_dir, first entry", "ctadata-providers list_dir, all"
_SOON = 0.1
_ROUNDS = 3
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
        _FIRST: partial(ours.in_child, site, "first", "/flat", count=1),
        _ALL: partial(ours.in_child, site, "list", "/flat", count=count),
    }
    present, missing = installed(work)
    memory = _memory_goal(_ALL, _TREE_MEMORY)
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
    acts = {count: ("walk", f"/tree/{count}") for count in wide.counts}
    folders = {count: -(-count // _FOLDER_SIZE) for count in wide.counts}  # a walk gives these, too
    return _growing(wide, "walk", "Walk through a tree", acts, more=folders, repeats=_ROUNDS)


def trees_down(wide: Wide) -> Scenario:
    """Download trees of growing size."""
    target = wide.site.received / "tree"
    acts = {count: ("download_tree", f"/tree/{count}", target) for count in wide.counts}
    return _growing(wide, "tree-down", "Tree of tiny files down", acts)


def trees_up(wide: Wide) -> Scenario:
    """Upload trees of growing size: those that the server has, as local folders."""
    local = wide.site.server.root / "tree"
    acts = {count: ("upload_tree", local / str(count), "/sent/tree") for count in wide.counts}
    return _growing(wide, "tree-up", "Tree of tiny files up", acts)


def huge(site: Site) -> Scenario:
    """Download and upload one file that is larger than a process may be."""
    name, local = "huge.bin", site.server.root / "huge.bin"
    work: dict[str, Work] = {
        "download": partial(
            ours.in_child, site, "download", f"/{name}", site.received / name, None, {}, count=site.size
        ),
        "upload": partial(ours.in_child, site, "upload", local, f"/sent/{name}", count=site.size),
    }
    return Scenario(
        key="huge",
        title=f"One huge file: {site.size / 1e6:,.0f} MB",
        entries=[Entry(name=way, run=run, prepare=site.clear) for way, run in work.items()],
        amount=site.size / 1e6,
        unit="MB",
        note=f"A sparse file, nginx with TLS on loopback, both sides on {site.where}; memory is that of the whole"
        " process.",
        goals=[_memory_goal(way, _HUGE_MEMORY) for way in work],
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


def _growing(
    wide: Wide,
    key: str,
    title: str,
    acts: Mapping[int, tuple[object, ...]],
    *,
    more: Mapping[int, int] | None = None,
    repeats: int = 1,
) -> Scenario:
    """Return the scenario of one act, with its arguments, for each size of tree.

    Args:
        wide: The site.
        key: Of the scenario.
        title: Of the scenario.
        acts: What `benchmarks.child` is asked for, by number of files.
        more: What it counts beside the files.
        repeats: The most rounds.
    """
    site = wide.site
    entries = [
        Entry(
            name=f"{count:,} files",
            run=partial(ours.in_child, site, str(act), *arguments, count=count + (more or {}).get(count, 0)),
            prepare=site.clear,
            amount=count,
        )
        for count, (act, *arguments) in acts.items()
    ]
    smallest, largest = entries[0].name, entries[-1].name
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
        repeats=repeats,
    )


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
        byte, entry = results.get(first_byte), results[_FIRST]
        return entry.median - byte.median if byte and byte.runs and entry.runs else None

    return Goal(text="first entry after curl's first byte, s", wanted=_SOON, value=delay, at_most=True)

"""`cta://` for fsspec beside webdav4's file system and fsspec's own for http, on one nginx."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.long_line import long_line
from benchmarks.ours import bare_environment
from benchmarks.programs import NOT_INSTALLED, CannotRun, Usage, command
from benchmarks.runner import Entry, Goal, Results, Scenario, faster
from benchmarks.site import Site, open_site

_DELAY = 0.01
"""Seconds each way: a round trip is 20 ms."""
_RATE = 1e9
_COUNT, _SIZE, _STEP = 1000, 64_000, 100_000
"""Ranges of 64 kB, of which none touches another."""
_SMALL = 4_000
"""Bytes of ranges of which the requests are dear and the bytes cheap."""
_FEW = 10
"""Ranges for what asks for the whole file each time, and would take minutes."""
_ENTRIES = 10_000
_KINDS = {"cta": "ctadata-providers", "webdav4": "webdav4.fsspec", "http": "fsspec http"}
_SLOW = 2
"""Rounds of what takes half a minute."""
_KEYS_OF = ("image", "time", "intensity", "length", "width", "x", "y", "phi", "psi", "r", "skewness", "kurtosis")


@contextmanager
def open_data() -> Iterator[Site]:
    """Start nginx, which notes each request, with a large file, a folder of many, and a file like those of DL1."""
    with open_site("nginx", size=_COUNT * _STEP, files=1, access_log=True) as site:
        site.server.put_empty("/many", (f"f{number:05d}.bin" for number in range(_ENTRIES)))
        made = site.folder / "dl1.h5"
        _make_dl1(made)
        site.server.put("/dl1.h5", made.read_bytes())
        yield site


def scenarios(site: Site) -> Iterator[Scenario]:
    """Read ranges and look into a file over a line with a round trip of 20 ms; list a folder on the short way."""
    port = urlsplit(site.server.url).port
    assert port is not None
    with ExitStack() as stack:
        line = stack.enter_context(long_line(port, delay=_DELAY, rate=_RATE))
        far = f"https://localhost:{line.port}"
        yield _ranges(site, far)
        yield _small_ranges(site, far)
        yield _keys(site, far)
    yield _listing(site)


def _ranges(site: Site, url: str) -> Scenario:
    many, few = (
        _entries(site, url, "cat_ranges", "large.bin", count, _SIZE, _STEP, count=count * _SIZE)
        for count in (_COUNT, _FEW)
    )
    slow = _KINDS["webdav4"]
    entries = [entry for entry in many if entry.name != slow]
    entries += [replace(entry, amount=_FEW) for entry in few if entry.name == slow]
    return Scenario(
        key="fsspec-ranges",
        title=f"fsspec, cat_ranges: {_COUNT:,} ranges of {_SIZE / 1000:.0f} kB",
        entries=entries,
        peers=[entry.name for entry in entries if entry.name != _KINDS["cta"]],
        amount=_COUNT,
        unit="ranges",
        missing=_missing(),
        note=f"{_note()} The ranges lie {(_STEP - _SIZE) / 1000:.0f} kB apart in one file. webdav4, which"
        f" begins to fetch the whole file for each, is given {_FEW} of them.",
        goals=[faster(_KINDS["cta"], peer, 5.0) for kind, peer in _KINDS.items() if kind != "cta"],
        repeats=_SLOW,
    )


def _small_ranges(site: Site, url: str) -> Scenario:
    return Scenario(
        key="fsspec-small-ranges",
        title=f"fsspec, cat_ranges: {_COUNT:,} ranges of {_SMALL / 1000:.0f} kB",
        entries=_entries(
            site, url, "cat_ranges", "large.bin", _COUNT, _SMALL, _STEP, count=_COUNT * _SMALL, without="webdav4"
        ),
        peers=[_KINDS["http"]],
        amount=_COUNT,
        unit="ranges",
        note=f"{_note()} With larger ranges the line and the server are what all wait for: those of"
        f" {_SIZE / 1000:.0f} kB are {_COUNT * _SIZE / 1e6:.0f} MB.",
    )


def _keys(site: Site, url: str) -> Scenario:
    names = len(_KEYS_OF)
    return Scenario(
        key="fsspec-keys",
        title="fsspec, h5py: the names in a file like those of DL1",
        entries=_entries(site, url, "keys", "dl1.h5", count=3 + 4 * (1 + names)),
        missing=_missing(),
        note=f"{_note()} Each file system with its own defaults.",
        goals=[_fewest()],
    )


def _listing(site: Site) -> Scenario:
    entries = _entries(site, site.url, "ls", "many", count=_ENTRIES, without="http")
    return Scenario(
        key="fsspec-ls",
        title=f"fsspec, ls: {_ENTRIES:,} entries",
        entries=entries,
        peers=[_KINDS["webdav4"]],
        amount=_ENTRIES,
        unit="entries",
        missing=_missing(),
        note="nginx with TLS on loopback. fsspec's http reads a page of links, and is told nothing of the entries.",
        goals=[faster(_KINDS["cta"], _KINDS["webdav4"], 3.0), _microseconds()],
    )


def _entries(
    site: Site, url: str, act: str, path: str, *arguments: int, count: int, without: str | None = None
) -> list[Entry]:
    return [
        Entry(
            name=name,
            run=partial(
                _run, site, {"kind": kind, "act": act, "url": url, "path": path, "arguments": arguments}, count
            ),
            requests=partial(_requests, site),
        )
        for kind, name in _KINDS.items()
        if kind != without and name not in _missing()
    ]


def _run(site: Site, task: dict[str, object], count: int) -> Usage:
    argv = [sys.executable, "-m", "benchmarks.data_child", json.dumps({**task, "ca_file": str(site.ca_file)})]
    usage = command(argv, env=bare_environment(), cwd=Path(__file__).parent.parent)
    found = json.loads(usage.output)
    if found["count"] != count:
        raise CannotRun(f"{task['act']} gave {found['count']} instead of {count}")
    return Usage(seconds=found["seconds"], cpu=found["cpu"], peak=usage.peak)


def _requests(site: Site) -> int:
    """Return how many requests nginx has noted since it was asked last."""
    log = site.server.root.parent / "access.log"
    count = len(log.read_bytes().splitlines())
    with log.open("r+b") as file:
        file.truncate(0)
    return count


def _missing() -> dict[str, str]:
    return {} if importlib.util.find_spec("webdav4") else {_KINDS["webdav4"]: NOT_INSTALLED}


def _fewest() -> Goal:
    def ratio(results: Results) -> float | None:
        counts = {
            name: min(run.requests for run in row.runs if run.requests is not None)
            for name, row in results.items()
            if row.runs
        }
        own = counts.pop(_KINDS["cta"], None)
        return own / min(counts.values()) if own and counts else None

    return Goal(text=f"{_KINDS['cta']}: requests / the fewest of the others", wanted=0.99, value=ratio, at_most=True)


def _microseconds() -> Goal:
    def each(results: Results) -> float | None:
        row = results.get(_KINDS["cta"])
        return row.median / _ENTRIES * 1e6 if row and row.runs else None

    return Goal(text=f"{_KINDS['cta']}: microseconds an entry", wanted=40.0, value=each, at_most=True)


def _note() -> str:
    return f"nginx with TLS behind a forwarder on loopback: a round trip takes {2000 * _DELAY:.0f} ms."


def _make_dl1(path: Path) -> None:
    """Make a file with images and parameters of four telescopes, each a dataset in chunks."""
    import h5py
    import numpy as np

    random = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        for telescope in range(1, 5):
            group = file.create_group(f"dl1/event/telescope/tel_{telescope:03d}")
            images = random.normal(size=(1000, 1855)).astype("f4")
            group.create_dataset("image", data=images, chunks=(32, 1855))
            for name in _KEYS_OF[1:]:
                group.create_dataset(name, data=random.normal(size=20_000))

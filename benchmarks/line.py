"""A long line, simulated: one file in several streams, and many small files, each of which costs a round trip."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from benchmarks import ours, peers
from benchmarks.long_line import LongLine, long_line
from benchmarks.peers import installed, is_peer
from benchmarks.round_trip import round_trip
from benchmarks.runner import Entry, Goal, Results, Scenario, Work, faster
from benchmarks.site import Site

DELAY = 0.025
RATE = 10e6
STREAMS = 8
PARALLEL = 32
_ONE_STREAM = 8
"""The part of the file that a single stream fetches: 1 / 8, to take no longer than the others."""
_ROUNDS = 3


@contextmanager
def far_site(site: Site) -> Iterator[tuple[Site, LongLine]]:
    """Put a long line before a site."""
    port = urlsplit(site.server.url).port
    assert port is not None
    with long_line(port, delay=DELAY, rate=RATE) as line:
        yield replace(site, url=f"https://localhost:{line.port}"), line


def large(site: Site, line: LongLine) -> Scenario:
    """Download one large file."""
    site.clear()
    part = site.size // _ONE_STREAM
    single = f"curl, one stream, 1/{_ONE_STREAM} of the file"
    work: dict[str, Work] = {
        single: partial(peers.curl_get, site, most=part),
        "aria2c -x8": partial(peers.aria2c_get, site, streams=STREAMS),
        "rclone --multi-thread-streams 8": partial(peers.rclone_get, site, streams=STREAMS),
        ours.IN_PROCESS: partial(ours.get, site, streams=STREAMS),
        f"{ours.IN_PROCESS}, streams not set": partial(ours.get, site),
    }
    present, missing = installed(work)
    entries = [
        Entry(
            name=name,
            run=run,
            prepare=site.clear,
            check=_nothing if name == single else partial(site.check_large, site.received),
            amount=part / 1e6 if name == single else None,
            connections=line.connections,
        )
        for name, run in present.items()
    ]
    limit = STREAMS * RATE / 1e6
    goals = [_share(ours.IN_PROCESS, limit, f"{limit:.0f} MB/s of {STREAMS} streams")]
    goals += [faster(ours.IN_PROCESS, peer, 1.0) for peer in work if is_peer(peer) and peer != single]
    return Scenario(
        key="line-large",
        title=f"Long line, one file down: {site.size / 1e6:,.0f} MB",
        entries=entries,
        peers=[name for name in work if is_peer(name)],
        amount=site.size / 1e6,
        unit="MB",
        missing=missing,
        note=f"{_line_note(STREAMS)} {STREAMS} connections carry at most {limit:.0f} MB/s.",
        goals=goals,
        repeats=_ROUNDS,
    )


def small(site: Site, line: LongLine) -> Scenario:
    """Download many small files."""
    site.clear()
    work: dict[str, Work] = {
        f"curl -Z {PARALLEL}": partial(peers.curl_get_small, site, parallel=PARALLEL),
        f"aria2c -j{PARALLEL}": partial(peers.aria2c_get_small, site, parallel=PARALLEL),
        f"rclone --transfers {PARALLEL}": partial(peers.rclone_get_small, site, parallel=PARALLEL),
        ours.IN_PROCESS: partial(ours.get_tree, site, max_parallel=PARALLEL),
        ours.LISTED: partial(ours.get_listed, site, max_parallel=PARALLEL),
    }
    present, missing = installed(work)
    check = partial(site.check_small, site.received)
    limit = PARALLEL / (2 * DELAY)
    what = f"{limit:.0f} files/s of {PARALLEL} / round trip"
    return Scenario(
        key="line-small",
        title=f"Long line, small files down: {site.files:,} files of 10 kB",
        entries=[
            Entry(name=name, run=run, prepare=site.clear, check=check, connections=line.connections)
            for name, run in present.items()
        ],
        peers=[name for name in work if is_peer(name)],
        amount=site.files,
        unit="files",
        missing=missing,
        note=f"{_line_note(PARALLEL)} Each file costs a round trip on a kept connection, so {PARALLEL} at once are at"
        f" most {limit:.0f} files/s. curl and aria2c are told every name; rclone and ours list the folder first, but"
        " for the last row, whose listing is not timed.",
        goals=[_share(ours.IN_PROCESS, limit, what), _share(ours.LISTED, limit, what)],
        repeats=_ROUNDS,
    )


def _share(name: str, limit: float, what: str) -> Goal:
    def share(results: Results) -> float | None:
        row = results.get(name)
        return row.speed / limit if row and row.runs else None

    return Goal(text=f"{name}: share of {what}", wanted=0.9, value=share)


def _line_note(connections: int) -> str:
    real = round_trip(delay=DELAY, rate=RATE, connections=connections)
    return (
        f"A forwarder on loopback before nginx with TLS 1.3 delays every byte by {DELAY * 1000:.0f} ms each way and"
        f" lets each connection carry {RATE / 1e6:.0f} MB/s; connecting costs a round trip, TLS another. One byte and"
        f" its answer, {connections} at once and no server in between, take {real * 1000:.1f} ms."
    )


def _nothing() -> None:
    """Check nothing: a part of a file is not compared."""

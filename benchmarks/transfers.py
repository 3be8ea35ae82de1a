"""One large file and many small ones, down and up, over TLS."""

from collections.abc import Callable
from functools import partial

from benchmarks import ours, peers
from benchmarks.runner import Entry, Scenario
from benchmarks.site import Site

Run = Callable[[], None]


def large_down(site: Site) -> Scenario:
    """Download one large file."""
    target = f"{site.received}/"
    runs: dict[str, Run] = {
        "curl": partial(peers.curl_get, site),
        "davix-get": partial(peers.davix_get, site),
        ours.IN_PROCESS: partial(ours.get, site),
        ours.COMMAND: partial(ours.ctadata, site, "get", "large.bin", target),
    }
    check = partial(site.check_large, site.received)
    return _scenario(site, "One file down", runs, check, megabytes=site.size / 1e6)


def large_up(site: Site) -> Scenario:
    """Upload one large file."""
    runs: dict[str, Run] = {
        "curl": partial(peers.curl_put, site),
        "davix-put": partial(peers.davix_put, site),
        ours.IN_PROCESS: partial(ours.put, site),
        ours.COMMAND: partial(ours.ctadata, site, "put", str(site.large), "sent/large.bin"),
    }
    check = partial(site.check_large, site.sent)
    return _scenario(site, "One file up", runs, check, megabytes=site.size / 1e6)


def small_down(site: Site) -> Scenario:
    """Download many small files."""
    target = f"{site.received}/"
    runs: dict[str, Run] = {
        "curl -Z": peers.curl_get_small(site, parallel=ours.parallel()),
        ours.IN_PROCESS: partial(ours.get_tree, site),
        ours.COMMAND: partial(ours.ctadata, site, "get", "-r", "small", target),
    }
    return _scenario(site, "Small files down", runs, partial(site.check_small, site.received))


def small_up(site: Site) -> Scenario:
    """Upload many small files."""
    runs: dict[str, Run] = {
        "curl -Z": peers.curl_put_small(site, parallel=ours.parallel()),
        ours.IN_PROCESS: partial(ours.put_tree, site),
        ours.COMMAND: partial(ours.ctadata, site, "put", "-r", str(site.small), "sent/"),
    }
    return _scenario(site, "Small files up", runs, partial(site.check_small, site.sent))


def _scenario(
    site: Site,
    title: str,
    runs: dict[str, Run],
    check: Run,
    *,
    megabytes: float | None = None,
) -> Scenario:
    site.clear()
    ours.warm_up(site)
    present = {name: run for name, run in runs.items() if _installed(name)}
    where = "tmpfs" if site.on_memory else "disk"
    what = f"{megabytes:,.0f} MB" if megabytes else f"{site.files:,} files of 10 kB"
    return Scenario(
        title=f"{title}: {what}",
        entries=[Entry(name=name, run=run, prepare=site.clear, check=check) for name, run in present.items()],
        peers=[name for name in runs if _is_peer(name)],
        amount=megabytes or site.files,
        unit="MB" if megabytes else "files",
        missing={name: peers.NOT_INSTALLED for name in runs if name not in present},
        note=_note(where, megabytes),
    )


def _note(where: str, megabytes: float | None) -> str:
    common = f"nginx with TLS on loopback, both sides on {where}; every run starts with a new connection"
    if megabytes:
        return f"{common}. Ours also verify size and checksum and rename a hidden part."
    return (
        f"{common}, {ours.parallel()} transfers at once. curl is told every name and writes straight to it;"
        " ours list the folder, verify and rename."
    )


def _is_peer(name: str) -> bool:
    return name not in (ours.IN_PROCESS, ours.COMMAND)


def _installed(name: str) -> bool:
    return not _is_peer(name) or peers.has(name.split()[0])

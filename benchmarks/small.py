"""Many small files, down and up, over TLS."""

from functools import partial

from benchmarks import ours, peers
from benchmarks.peers import installed, is_peer
from benchmarks.runner import Entry, Goal, Scenario, Work, faster
from benchmarks.site import Site

_EIGHT = 8
_SINGLY = 50
"""Files for what is so slow that all of them would take minutes."""


def down(site: Site) -> Scenario:
    """Download many small files."""
    parallel, singly = ours.parallel(), min(_SINGLY, site.files)
    one_by_one = f"davix-get, {singly} processes in turn"
    work: dict[str, Work] = {
        "curl -Z": partial(peers.curl_get_small, site, parallel=parallel),
        "aria2c -j8": partial(peers.aria2c_get_small, site, parallel=_EIGHT),
        "rclone --transfers 8": partial(peers.rclone_get_small, site, parallel=_EIGHT),
        one_by_one: partial(peers.davix_get_small, site, count=singly),
        ours.LISTED: partial(ours.get_listed, site),
        ours.IN_PROCESS: partial(ours.get_tree, site),
        ours.COMMAND: partial(ours.ctadata, site, "get", "-r", "small", f"{site.received}/"),
    }
    goals = [
        faster(ours.LISTED, "curl -Z", 1.15),
        faster(ours.IN_PROCESS, "curl -Z", 1.15),
        faster(ours.COMMAND, "curl -Z", 0.75),
        faster(ours.LISTED, "aria2c -j8", 3.0),
        faster(ours.IN_PROCESS, "rclone --transfers 8", 3.0),
    ]
    return _scenario(site, "down", work, goals, fewer={one_by_one: singly})


def up(site: Site) -> Scenario:
    """Upload many small files."""
    some = min(_SINGLY, site.files)
    rclone = f"rclone --transfers 8, {some} files"
    work: dict[str, Work] = {
        "curl -Z": partial(peers.curl_put_small, site, parallel=ours.parallel()),
        rclone: partial(peers.rclone_put_small, site, parallel=_EIGHT, count=some),
        ours.IN_PROCESS: partial(ours.put_tree, site),
        ours.COMMAND: partial(ours.ctadata, site, "put", "-r", str(site.small), "sent/"),
    }
    goals = [faster(ours.IN_PROCESS, "curl -Z", 1.0), faster(ours.IN_PROCESS, rclone, 1.0)]
    return _scenario(site, "up", work, goals, fewer={rclone: some})


def _scenario(
    site: Site, way: str, work: dict[str, Work], goals: list[Goal], *, fewer: dict[str, int] | None = None
) -> Scenario:
    site.clear()
    present, missing = installed(work)
    fewer = fewer or {}
    folder = site.received if way == "down" else site.sent
    entries = [
        Entry(
            name=name,
            run=run,
            prepare=site.clear,
            check=partial(site.check_small, folder, count=fewer.get(name)),
            amount=fewer.get(name),
        )
        for name, run in present.items()
    ]
    return Scenario(
        key=f"small-{way}",
        title=f"Small files {way}: {site.files:,} files of 10 kB",
        entries=entries,
        peers=[name for name in work if is_peer(name)],
        amount=site.files,
        unit="files",
        missing=missing,
        note=f"{site.kind} with TLS on loopback, both sides on {site.where}; every run starts with new connections."
        f" curl and ours make {ours.parallel()} transfers at once. curl and aria2c are told every name and write"
        " straight to it; rclone and ours list or make the folder, but for the row whose listing is not timed; ours"
        " write a temporary name, verify and rename.",
        goals=goals,
    )

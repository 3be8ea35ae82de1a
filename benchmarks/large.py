"""One large file, down and up, over TLS, from several servers."""

from collections.abc import Callable
from functools import partial

from benchmarks import ours, peers
from benchmarks.peers import installed, is_peer
from benchmarks.runner import Entry, Goal, Scenario, Work, faster
from benchmarks.site import Site

_UNASKED = f"{ours.IN_PROCESS}, checksum=off"
"""To show what it costs that XRootD reads the whole file again when it is asked what has arrived."""
_GFAL_CHECKED = "gfal-copy, checksum"
"""The tool that asks, too."""
_CHECKED = (
    ", and compare with XRootD's checksum: it keeps that of a file with the file, and reads one that has just been sent"
    " again for it"
)


def down(site: Site) -> Scenario:
    """Download one large file."""
    work: dict[str, Work] = {
        "curl": partial(peers.curl_get, site),
        "davix-get": partial(peers.davix_get, site),
        "gfal-copy": partial(peers.gfal_get, site),
        "rclone": partial(peers.rclone_get, site),
        "aria2c": partial(peers.aria2c_get, site),
        ours.IN_PROCESS: partial(ours.get, site),
        ours.COMMAND: partial(ours.ctadata, site, "get", "large.bin", f"{site.received}/"),
    }
    goals = [faster(ours.IN_PROCESS, "curl", 1.15), faster(ours.COMMAND, "curl", 1.0)]
    goals += [faster(ours.IN_PROCESS, peer, 1.0) for peer in ("davix-get", "gfal-copy", "rclone", "aria2c")]
    return _scenario(site, "down", work, partial(site.check_large, site.received), goals)


def up(site: Site) -> Scenario:
    """Upload one large file."""
    work: dict[str, Work] = {
        "curl": partial(peers.curl_put, site),
        "davix-put": partial(peers.davix_put, site),
        "gfal-copy": partial(peers.gfal_put, site),
        "rclone": partial(peers.rclone_put, site),
        ours.IN_PROCESS: partial(ours.put, site),
        ours.COMMAND: partial(ours.ctadata, site, "put", str(site.large), "sent/large.bin"),
    }
    goals = [faster(ours.IN_PROCESS, peer, 1.0) for peer in ("curl", "davix-put", "rclone")]
    if site.kind == "XRootD":
        work[_UNASKED] = partial(ours.put, site, checksum="off")
        work[_GFAL_CHECKED] = partial(peers.gfal_put_checked, site)
        goals += [faster(_UNASKED, peer, 1.0) for peer in ("curl", "davix-put", "rclone")]
        goals.append(faster(ours.IN_PROCESS, _GFAL_CHECKED, 1.0))
    return _scenario(site, "up", work, partial(site.check_large, site.sent), goals)


def _scenario(site: Site, way: str, work: dict[str, Work], check: Callable[[], None], goals: list[Goal]) -> Scenario:
    site.clear()
    ours.prepare_checksum(site)
    megabytes = site.size / 1e6
    present, missing = installed(work)
    return Scenario(
        key=f"large-{way}-{site.kind.lower()}",
        title=f"One file {way}, {site.kind}: {megabytes:,.0f} MB",
        entries=[Entry(name=name, run=run, prepare=site.clear, check=check) for name, run in present.items()],
        peers=[name for name in work if is_peer(name)],
        amount=megabytes,
        unit="MB",
        missing=missing,
        note=f"{site.kind} with TLS{' and X.509' if site.certificate else ''} on loopback, both sides on {site.where};"
        " every run starts with a new connection. Ours also ask for the size, verify it, compute adler32 and rename a"
        f" hidden part{_CHECKED if site.kind == 'XRootD' else ''}.",
        goals=goals,
    )

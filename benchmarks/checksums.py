"""What a checksum costs: a download without one, with adler32, with md5 and sha-256, and the hashers alone."""

from functools import partial

from benchmarks import ours
from benchmarks.programs import timed
from benchmarks.runner import Entry, Goal, Results, Scenario, Work
from benchmarks.site import Site
from ctadata_providers.checksum import new_hasher

_OFF = "checksum=off"
_PIECE = 16 * 1024
"""What libcurl hands over at once when it comes by TLS."""
_SLOW = ("md5", "sha-256")


def downloads(site: Site) -> Scenario:
    """Download one large file, whose checksum the listing told, and the hashers alone on the same bytes."""
    site.clear()
    megabytes = site.size / 1e6
    check = partial(site.check_large, site.received)
    sums = {algorithm: _digest(site, algorithm) for algorithm in ("adler32", *_SLOW)}
    work: dict[str, Work] = {_OFF: partial(ours.get, site, size=site.size, checksum="off")}
    for algorithm, value in sums.items():
        work[algorithm] = partial(ours.get, site, size=site.size, checksums={algorithm: value})
    entries = [Entry(name=name, run=run, prepare=site.clear, check=check) for name, run in work.items()]
    entries += [Entry(name=_alone(name), run=partial(timed, partial(_digest, site, name))) for name in sums]
    return Scenario(
        key="checksums",
        title=f"Checksums, one file down: {megabytes:,.0f} MB",
        entries=entries,
        peers=[_OFF],
        amount=megabytes,
        unit="MB",
        note=f"In process, from nginx with TLS, both sides on {site.where}; size and checksum are known. A hasher alone"
        f" reads the same bytes from the page cache, {_PIECE // 1024} KiB at a time, as they come by TLS.",
        goals=[_adler32_cost(), *(_against_the_slower(name) for name in _SLOW)],
    )


def _alone(algorithm: str) -> str:
    return f"{algorithm}, hasher alone"


def _digest(site: Site, algorithm: str) -> str:
    hasher = new_hasher(algorithm)
    with site.large.open("rb") as file:
        while block := file.read(_PIECE):
            hasher.update(block)
    return hasher.hexdigest()


def _adler32_cost() -> Goal:
    def cost(results: Results) -> float | None:
        off, adler32 = results[_OFF], results["adler32"]
        return 100 * (off.speed / adler32.speed - 1) if off.runs and adler32.runs else None

    return Goal(text="cost of adler32, %", wanted=5.0, value=cost, at_most=True)


def _against_the_slower(algorithm: str) -> Goal:
    def share(results: Results) -> float | None:
        off, alone, both = results[_OFF], results[_alone(algorithm)], results[algorithm]
        return both.speed / min(off.speed, alone.speed) if off.runs and alone.runs and both.runs else None

    return Goal(text=f"{algorithm}: speed / the slower of hasher and line", wanted=0.9, value=share)

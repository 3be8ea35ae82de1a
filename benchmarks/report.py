"""Write what was measured as Markdown."""

import datetime as dt
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.runner import Measured, Scenario


def heading(settings: str) -> str:
    """Return the report's head: when, on what machine, with which versions."""
    lines = [
        "# Benchmarks",
        "",
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, `python -m benchmarks {settings}`",
        "",
        f"* Machine: {_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB,"
        f" {platform.system()} {platform.release().partition('-')[0]}",
        f"* Versions: {'; '.join(_versions())}",
        "* Runs alternate; the figures are medians, in brackets the fastest and the slowest run. A ratio above"
        " 1 is faster than that tool. Client and server share the cores.",
        "",
    ]
    return "\n".join(lines)


def table(scenario: Scenario, results: Sequence[Measured]) -> str:
    """Return one scenario's section."""
    measured = {result.name: result.median for result in results if result.seconds}
    peers = [peer for peer in scenario.peers if peer in measured]
    unit = "s" if scenario.amount is None else f"{scenario.unit}/s"
    columns = ["", unit, *(f"speed / {peer}" for peer in peers)]
    rows = [_row(scenario, result, [measured[peer] for peer in peers]) for result in results]
    lines = [f"## {scenario.title}", ""]
    if scenario.note:
        lines += [scenario.note, ""]
    lines += [_line(columns), _line(["---"] * len(columns)), *(_line(row) for row in rows), ""]
    return "\n".join(lines)


def _row(scenario: Scenario, result: Measured, peers: Iterable[float]) -> list[str]:
    if not result.seconds:
        return [result.name, result.reason, *("" for _ in peers)]
    figures = [_figure(scenario, value) for value in (result.median, *_extremes(result.seconds))]
    ratios = [f"{peer / result.median:.2f}" for peer in peers]
    return [result.name, f"{figures[0]} ({figures[1]} - {figures[2]})", *ratios]


def _extremes(seconds: Sequence[float]) -> tuple[float, float]:
    return min(seconds), max(seconds)


def _figure(scenario: Scenario, seconds: float) -> str:
    return f"{seconds:.3f}" if scenario.amount is None else f"{scenario.amount / seconds:,.0f}"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def _versions() -> list[str]:
    found = [f"Python {platform.python_version()}"]
    for name in ("ctadata-providers", "pycurl", "snakemake"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    found.append(_libcurl())
    for argv in (["curl", "--version"], ["davix-get", "--version"], ["nginx", "-v"]):
        found.append(_program_version(argv))
    return found


def _libcurl() -> str:
    import pycurl

    return str(pycurl.version).split(" zlib")[0].removeprefix("PycURL/").partition(" ")[2]


def _program_version(argv: list[str]) -> str:
    path = shutil.which(argv[0], path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
    if path is None:
        return f"{argv[0]} not installed"
    answer = subprocess.run([path, *argv[1:]], capture_output=True, text=True, check=False)
    words = (answer.stdout + answer.stderr).split()
    number = next((word for word in words if any(c.isdigit() for c in word)), "?")
    return f"{argv[0]} {number.rpartition('/')[2]}"

"""What a report must say about where it was measured: the machine, and the versions of all that took part."""

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

_PROGRAMS = (
    ["curl", "--version"],
    ["davix-get", "--version"],
    ["gfal-copy", "--version"],
    ["rclone", "version"],
    ["aria2c", "--version"],
    ["nginx", "-v"],
    ["xrootd", "-v"],
)


def machine() -> str:
    """Return processor, cores, memory and kernel in one line."""
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, {kernel}"


@cache
def versions() -> tuple[str, ...]:
    """Return the versions of Python, of our libraries and of the other tools."""
    found = [f"Python {platform.python_version()}"]
    for name in ("ctadata-providers", "pycurl", "zlib-ng", "snakemake"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return (*found, _libcurl(), *(_program_version(argv) for argv in _PROGRAMS))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def _libcurl() -> str:
    import pycurl

    return str(pycurl.version).split(" zlib")[0].removeprefix("PycURL/").partition(" ")[2]


def _program_version(argv: list[str]) -> str:
    path = shutil.which(argv[0], path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
    if path is None:
        return f"{argv[0]} not installed"
    env = {**os.environ, "GFAL_PYTHONBIN": "/usr/bin/python3"}
    answer = subprocess.run([path, *argv[1:]], capture_output=True, text=True, check=False, env=env)
    number = re.search(r"\d+(?:\.\d+)+", answer.stdout + answer.stderr)
    return f"{argv[0]} {number[0] if number else 'of no known version'}"

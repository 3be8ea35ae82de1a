"""The benchmarks run to their end on real servers, at sizes that measure nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.kept import ORDER, kept

pytestmark = pytest.mark.real

_TINY = "--size 2MiB --line-size 4MiB --huge-size 1MiB --files 5 --entries 20 --repeats 1 --full"
_PARTS = "large xrootd small line checksums cancel growth"
_ELSEWHERE = {"imports", "snakemake"} | {key for key in ORDER if key.startswith("plugins-")}


def test_every_part_measures_what_is_ours(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "benchmarks", *_TINY.split(), "--kept", str(tmp_path), "--only", *_PARTS.split()]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    sections = {section.key: section for section in kept(tmp_path)}

    assert list(sections) == [key for key in ORDER if key not in _ELSEWHERE]
    ours = {
        (key, row.name): row
        for key, section in sections.items()
        for row in section.rows
        if row.name not in section.peers
    }

    assert {name: row.reason for name, row in ours.items() if not row.runs} == {}
    assert ours["small-down", "ctadata, whole process"].peak > 20e6
    assert ours["line-small", "ctadata-providers, in process"].runs[0].connections


def test_workflows_are_measured_with_their_requests(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "benchmarks", "--only", "plugins", "--shapes", "folders", "--own", "--repeats", "1"]
    done = subprocess.run([*argv, "--kept", str(tmp_path)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    (section,) = kept(tmp_path)

    assert {row.name: [run.requests for run in row.runs] for row in section.rows} == {"local files": [0], "ours": [200]}

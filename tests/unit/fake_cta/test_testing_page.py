"""Every block of code of docs/testing.md is run, and its tables are complete."""

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctadata_providers.testing import FakeCta
from ctadata_providers.testing.faults import KINDS
from ctadata_providers.testing.storage import QUICK_SIZE

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[3] / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^##? ([^\n]+)\n(?:(?!^##? ).)*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
# Snakemake and Airflow take seconds to start, and must not meet what this process has imported.
IN_A_PROCESS = ("A Snakemake workflow", "An Airflow task")


def rows(heading: str) -> dict[str, list[str]]:
    """Return the rows of the table under a heading by what stands in their first column."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:3] == "| `"
    ]
    return {first: rest for first, *rest in cells}


def test_every_block_of_code_is_tried_here() -> None:
    assert PAGE.count("```python\n") == len(BLOCKS) == PAGE.count("```") // 2


def test_the_first_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(BLOCKS["Test your pipeline"], {})

    assert (tmp_path / "run1.fits").read_bytes() == b"events"


@pytest.mark.parametrize("heading", [heading for heading in list(BLOCKS)[1:] if heading not in IN_A_PROCESS])
def test_the_tests_on_the_page_pass(pytester: pytest.Pytester, heading: str) -> None:
    pytester.makepyfile(BLOCKS[heading])
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")

    result.assert_outcomes(passed=BLOCKS[heading].count("def test_"))


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Runs pytest on some of the blocks, all at once."""
    started = {heading: start_pytest(BLOCKS[heading], tmp_path_factory.mktemp("page")) for heading in IN_A_PROCESS}
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


def start_pytest(code: str, folder: Path) -> subprocess.Popen[str]:
    (folder / "test_page.py").write_text(code, encoding="utf-8")
    environ = os.environ | {
        "HOME": str(folder),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "test_page.py"],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("heading", IN_A_PROCESS)
def test_the_tests_of_engines_on_the_page_pass(processes: dict[str, subprocess.Popen[str]], heading: str) -> None:
    said, _ = processes[heading].communicate(timeout=100)

    assert processes[heading].returncode == 0, said
    assert "1 passed" in said


def test_the_table_of_faults_is_complete() -> None:
    table = {first.strip("`"): rest for first, rest in rows("What goes wrong").items()}

    assert set(table) == set(KINDS)
    for name, kind in KINDS.items():
        told = dict(re.findall(r"`(\w+)`(?: = ([\w.-]+))?", table[name][0]))
        assert set(told) == set(kind.takes), name
        for option, default in told.items():
            actual = str(getattr(kind.defaults, option)).lower().removesuffix(".0")
            assert default in ("", actual), f"{name} {option}"


def test_the_table_of_arguments_is_complete() -> None:
    told = {name for first in rows("Another data centre") for name in re.findall(r"`(\w+)[=`]", first)}
    elsewhere = {"host", "door_port", "bans", "retry_after", "clock"}

    assert told | elsewhere == set(inspect.signature(FakeCta).parameters)
    assert all(f"`FakeCta({name}=" in PAGE or f"`{name}=" in PAGE for name in elsewhere - {"host", "door_port"})
    assert f"{QUICK_SIZE >> 20} MiB" in PAGE


def test_what_the_page_names_exists() -> None:
    names = set(re.findall(r"`(?:cta\.)?(\w+)\(", "\n".join(line for line in PAGE.splitlines() if line[:1] == "|")))

    assert {"settings", "make_proxy", "set_locality", "lift_bans"} <= names
    assert [name for name in names if not hasattr(FakeCta, name)] == []

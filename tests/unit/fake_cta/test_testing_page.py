"""Every block of code of docs/testing.md is run, and its tables are complete."""

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from ctadata_providers.testing import FakeCta
from ctadata_providers.testing.fault_kinds import KINDS
from ctadata_providers.testing.oidc.issuer import Issuer
from ctadata_providers.testing.oidc.manners import Manners
from ctadata_providers.testing.storage import QUICK_SIZE

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[3] / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^##? ([^\n]+)\n(?:(?!^##? ).)*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
AIRFLOW = "An Airflow task"
"""In a process of its own: Airflow reads its settings when it is imported."""


@pytest.fixture(scope="module", autouse=True)
def airflow_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """Runs pytest on the Airflow block, beside the other tests: Airflow takes seconds to start."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "test_page.py").write_text(BLOCKS[AIRFLOW], encoding="utf-8")
    environ = os.environ | {
        "HOME": str(folder),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "test_page.py"]
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process
        process.kill()


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


@pytest.mark.parametrize("heading", [heading for heading in list(BLOCKS)[1:] if heading != AIRFLOW])
def test_the_tests_on_the_page_pass(pytester: pytest.Pytester, heading: str) -> None:
    pytester.makepyfile(BLOCKS[heading])
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")

    result.assert_outcomes(passed=BLOCKS[heading].count("def test_"))


def test_the_airflow_test_on_the_page_passes(airflow_run: subprocess.Popen[str]) -> None:
    said, _ = airflow_run.communicate(timeout=100)

    assert airflow_run.returncode == 0, said
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


def test_the_tables_of_the_issuer_are_complete() -> None:
    told = {name: text for first in rows("Logins") for name, text in re.findall(r"^`(\w+)=([^`]*)`", first)}
    known = {field.name: field for field in fields(Manners)}
    named = set(re.findall(r"`(?:cta\.)?issuer\.(\w+)", PAGE))
    faults = {name for name, kind in KINDS.items() if "issuer" in kind.servers}

    assert set(told) == set(known)
    for name in known.keys() - {"scope", "metadata"}:
        assert told[name] == str(known[name].default).removesuffix(".0"), name
    assert named | {"url", "reset", "settings", "environ", "read_token", "verification_uri"} == {
        name for name in [*vars(Issuer), "faults"] if not name.startswith("_")
    }
    assert set(re.findall(r"`([a-z-]+)`", PAGE.split("Faults of the issuer are")[1].split("\n\n")[0])) == faults


def test_what_the_page_names_exists() -> None:
    names = set(re.findall(r"`(?:cta\.)?(\w+)\(", "\n".join(line for line in PAGE.splitlines() if line[:1] == "|")))

    assert {"settings", "make_proxy", "set_locality", "lift_bans"} <= names
    assert [name for name in names if not hasattr(FakeCta, name)] == []

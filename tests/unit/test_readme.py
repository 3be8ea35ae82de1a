"""What README.md shows is tried here, on a data centre in this process."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config
from ctadata_providers.cli import main
from ctadata_providers.config import ENVIRONMENT, config_file
from ctadata_providers.testing import FakeCta
from ctadata_providers.testing.samples import write_night

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NIGHT = "/lst/DL3/20241114"
RUNS = (19681, 19682)
"""Half of the runs of the snippets: each is a process of its own."""


def snippet(heading: str, language: str) -> str:
    """Return the first block of code in a language under a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    if found is None:
        raise AssertionError(f"README has no {language} under {heading!r}")
    return found[1].replace("19681, 19682, 19683, 19684", "19681, 19682")


@pytest.fixture(scope="module")
def sample_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one night."""
    folder = tmp_path_factory.mktemp("night")
    write_night(folder, runs=RUNS)
    return folder


@pytest.fixture
def night(
    fake_cta: FakeCta, cta_environ: object, sample_night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FakeCta:
    """A data centre with one night, reached through the environment, from a folder with the analysis."""
    for file in sample_night.rglob("*.gz"):
        fake_cta.put(f"{NIGHT}/{file.relative_to(sample_night)}", file.read_bytes())
    shutil.copy(ROOT / "example_workflows" / "dl3_analysis.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    # The snippets call "python".
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return fake_cta


def run(*arguments: str) -> str:
    """Run Python and return what it printed."""
    done = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("venv", [".venv", ".venv-3.13"])
def test_make_installs_into_its_own_environment_also_where_another_is_active(venv: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "--always-make", "--dry-run", f"VENV={venv}", f"{venv}/.ready", "soak"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    installs = [line for line in done.stdout.splitlines() if "uv pip install" in line]

    assert len(installs) == 3
    assert [line for line in installs if f" --python {venv}/bin/python " not in line] == []


@pytest.mark.parametrize(
    ("heading", "language"), [("A pipeline in Snakemake", "python"), ("The same in Airflow", "python")]
)
def test_the_pipelines_have_15_lines_at_most(heading: str, language: str) -> None:
    lines = [line for line in snippet(heading, language).splitlines() if line.strip()]

    assert len(lines) <= 15


def test_the_snakefile_runs(night: FakeCta) -> None:
    Path("Snakefile").write_text(snippet("A pipeline in Snakemake", "python"))
    run("-m", "snakemake", "--cores", "2", "--quiet")

    assert night.get("/lst/users/me/20241114/plot.png").startswith(b"\x89PNG")
    assert b"19682" in night.get("/lst/users/me/20241114/table.ecsv")


@pytest.mark.timeout(300)  # most of it is Airflow's own start
def test_the_dag_runs(night: FakeCta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "work").mkdir()
    shutil.move("dl3_analysis.py", "work")
    dag = snippet("The same in Airflow", "python").replace("/home/me/night", str(tmp_path / "work"))
    (tmp_path / "dags" / "night.py").write_text(dag)
    connection = json.dumps({"conn_type": "cta", "extra": {"ambient_credentials": True}})
    for name, value in {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_CTA_DEFAULT": connection,
    }.items():
        monkeypatch.setenv(name, value)
    # `airflow db migrate`, which makes the database in twenty steps, and `airflow dags test night`, in one process.
    run(
        "-c",
        "import sys; from airflow.__main__ import main; from airflow.utils.db import initdb; initdb();"
        "sys.argv = ['airflow', 'dags', 'test', 'night']; main()",
    )

    assert night.get("/lst/users/me/20241114/plot.png").startswith(b"\x89PNG")


def test_the_connection_of_the_dag_is_complete() -> None:
    text = shlex.split(snippet("The same in Airflow", "sh"))[1].partition("=")[2]
    connection = json.loads(text)
    config = Config.from_mapping(connection["extra"])

    assert connection["conn_type"] == "cta"
    assert '`"ambient_credentials": true`' in README
    assert config.door_url == "https://dcache.cta.cscs.ch:2880"
    assert config.token_file == Path("/home/me/token")


def test_the_library_snippet_runs(night: FakeCta) -> None:
    names: dict[str, Any] = {}
    exec(snippet("As a library", "python"), names)

    assert sorted(str(name) for name in names["names"]) == ["data", "hdu-index.fits.gz", "obs-index.fits.gz"]
    assert night.get("/lst/users/me/copy.fits.gz") == Path("hdu-index.fits.gz").read_bytes()


def test_the_commands_run(night: FakeCta, capsys: pytest.CaptureFixture[str]) -> None:
    for line in snippet("On the command line", "sh").splitlines():
        program, *arguments = shlex.split(line)

        assert program == "ctadata"
        assert main(arguments) == 0, capsys.readouterr().err
    assert len(list(Path("night").iterdir())) == len(RUNS)
    assert not night.exists("/lst/users/me/night")


def test_the_profile_is_understood(tmp_path: Path) -> None:
    text = snippet("The real data centre", "toml")
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "CTA_PROFILE": "site"}
    config_file(environ).parent.mkdir()
    config_file(environ).write_text(text)
    config = Config.from_env(environ)

    assert config.door_url == "https://dcache.example.org:2880"
    assert str(config.token_file) == tomllib.loads(text)["profiles"]["site"]["token_file"]


def test_the_default_door_is_the_one_that_is_named() -> None:
    assert f"`{Config.from_env({'XDG_CONFIG_HOME': '/nonexistent'}).door_url}`" in README


def test_every_variable_that_is_named_exists() -> None:
    known = {name for names in ENVIRONMENT.values() for name in names} | {"CTA_PROFILE"}
    named = set(re.findall(r"\b((?:CTA|X509|BEARER)_[A-Z0-9_]+)\b", README)) - {"CTA_DEFAULT"}

    assert named
    assert named <= known


def test_every_link_into_the_repository_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_make_targets_exist() -> None:
    targets = re.findall(r"^\$ make ([a-z-]+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()

    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)

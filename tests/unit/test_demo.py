"""The trial `ctadata demo`: what it asks for, and that its commands see one data centre and no secret in words."""

import json
import os
import stat
import sys
import tomllib
from pathlib import Path

import pytest
from astropy.table import Table

from ctadata_providers import Config
from ctadata_providers.cli.demo import HOME, Steps, environment, find_workflows, report, run_demo
from ctadata_providers.errors import ConfigError, CtaError, IntegrityError
from ctadata_providers.testing import FakeCta

TOKEN = "canary-0123456789abcdef"
DOOR = {"CTA_DOOR_URL": "https://localhost:2880", "CTA_CA_PATH": "/some/ca.pem", "BEARER_TOKEN": TOKEN}


def test_workflows_of_this_checkout_are_found() -> None:
    found = find_workflows()

    for name in ("dl3_analysis.py", "snakemake/Snakefile", "airflow/cta_night.py"):
        assert (found / name).is_file()


def test_an_installation_has_all_workflows_that_their_page_names() -> None:
    root = find_workflows().parent
    included = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    included = included["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    files = [file.relative_to(root).as_posix() for file in find_workflows().rglob("*") if file.is_file()]

    assert included == {file: f"ctadata_providers/{file}" for file in files if "__pycache__" not in file}


def test_token_is_in_a_private_file_and_not_in_the_environment(tmp_path: Path) -> None:
    environ = environment(DOOR, tmp_path)
    file = Path(environ["BEARER_TOKEN_FILE"])

    assert file.read_text() == TOKEN
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [name for name, value in environ.items() if TOKEN in value] == []


def test_a_home_that_cannot_be_written_to_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "homeless").mkdir()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc")
    without = environment(DOOR, tmp_path / "homeless")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert without["XDG_CACHE_HOME"] == str(tmp_path / "homeless" / "cache")
    assert environment(DOOR, tmp_path)["XDG_CACHE_HOME"] == str(tmp_path / ".cache")


def test_both_engines_are_pointed_at_the_same_door(tmp_path: Path) -> None:
    environ = environment(DOOR, tmp_path)

    assert environ["CTA_DOOR_URL"] == DOOR["CTA_DOOR_URL"]
    assert json.loads(environ["AIRFLOW_CONN_CTA_DEFAULT"]) == {
        "conn_type": "cta",
        "extra": {
            "door_url": DOOR["CTA_DOOR_URL"],
            "token_file": environ["BEARER_TOKEN_FILE"],
            "ca_path": DOOR["CTA_CA_PATH"],
        },
    }


def test_the_services_are_reached_with_their_address_and_a_hub_token_alone(
    fake_cta_services: FakeCta, tmp_path: Path
) -> None:
    cta = fake_cta_services
    environ = environment(cta.service_environ(), tmp_path)
    told = {name: value for name, value in environ.items() if name.startswith(("CTA", "BEARER", "JUPYTERHUB"))}
    config = Config.from_env(environ)

    assert told.keys() == {"CTADS_URL", "JUPYTERHUB_API_TOKEN", "CTA_CA_PATH"}
    assert (config.backend, config.hub_token) == ("downloadservice", cta.hub_token)
    assert json.loads(environ["AIRFLOW_CONN_CTA_DEFAULT"])["extra"] == {
        "service_url": cta.service_url,
        "hub_token": cta.hub_token,
        "ca_path": str(cta.ca_file),
    }


def test_a_night_is_stored_in_ones_own_folder_by_the_services(fake_cta_services: FakeCta, tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "run.fits.gz").write_bytes(b"events")
    log = tmp_path / "log"
    log.touch()
    steps = Steps(scratch=tmp_path, log=log, environ=environment(fake_cta_services.service_environ(), tmp_path))
    steps.store_night(tmp_path / "night", f"{HOME}/night")

    assert fake_cta_services.get("/lst/users/alice/night/run.fits.gz") == b"events"
    assert fake_cta_services.hub_token not in log.read_text()


def test_settings_for_another_data_centre_are_left_out_and_the_rest_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = ("CTA_PROFILE", "CTADS_URL", "X509_USER_PROXY", "JUPYTERHUB_API_TOKEN", "SNAKEMAKE_PROFILE")
    for name in (*foreign, "AIRFLOW__CORE__FERNET_KEY", "EDITOR"):
        monkeypatch.setenv(name, "set by the user")
    environ = environment(DOOR, tmp_path)

    assert [name for name, value in environ.items() if value == "set by the user"] == ["EDITOR"]
    assert environ["PATH"] == os.environ["PATH"]


def test_night_is_stored_by_the_command_line(fake_cta: FakeCta, tmp_path: Path) -> None:
    night = tmp_path / "night"
    (night / "data").mkdir(parents=True)
    (night / "hdu-index.fits.gz").write_bytes(b"index")
    (night / "data" / "run.fits.gz").write_bytes(b"events")
    steps = steps_on(fake_cta, tmp_path)
    steps.store_night(night, "cta://lst/DL3/night")

    assert fake_cta.get("/lst/DL3/night/hdu-index.fits.gz") == b"index"
    assert fake_cta.get("/lst/DL3/night/data/run.fits.gz") == b"events"
    assert "put -r" in steps.log.read_text()


def test_step_that_fails_names_the_log_and_shows_its_end(
    fake_cta: FakeCta, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = steps_on(fake_cta, tmp_path)

    with pytest.raises(CtaError, match="'fetch results' ended with exit code 1") as caught:
        steps.fetch("cta://lst/users/nobody", tmp_path / "results")
    assert caught.value.path == str(steps.log)
    assert "cta://lst/users/nobody/table.ecsv" in steps.log.read_text()
    assert "/lst/users/nobody/table.ecsv" in capsys.readouterr().err
    assert fake_cta.token not in steps.log.read_text()


def steps_on(cta: FakeCta, scratch: Path) -> Steps:
    log = scratch / "log"
    log.touch()
    return Steps(scratch=scratch, log=log, environ=environment(cta.environ(), scratch))


def test_folder_without_index_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no hdu-index\.fits\.gz"):
        run_demo(data=tmp_path, output=tmp_path / "output")

    assert not (tmp_path / "output").exists()


def test_missing_package_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as Python marks a module that cannot be imported

    with pytest.raises(ConfigError, match=r"matplotlib.*ctadata-providers\[demo\]"):
        run_demo(data=None, output=tmp_path / "output")
    assert not (tmp_path / "output").exists()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Equal tables of both engines."""
    total = {"EXCESS": 40.4, "EXCESS_ERR": 7.2, "SIGNIFICANCE": 9.87}
    for engine in ("snakemake", "airflow"):
        (tmp_path / engine).mkdir()
        Table({"OBS_ID": [7, 41]}, meta={"STACKED": total}).write(tmp_path / engine / "table.ecsv")
    return tmp_path


def test_report_tells_the_result_and_ends_with_the_plot(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(results)
    said = capsys.readouterr().out

    assert "2 runs (7, 41)" in said
    assert "excess 40 +- 7 events, 9.9 sigma" in said
    assert said.splitlines()[-1] == str(results / "snakemake" / "plot.png")


def test_tables_that_differ_are_an_integrity_error_that_names_both(results: Path) -> None:
    with (results / "airflow" / "table.ecsv").open("a") as table:
        table.write("42\n")

    with pytest.raises(IntegrityError, match=r"snakemake/table\.ecsv and .*airflow/table\.ecsv"):
        report(results)

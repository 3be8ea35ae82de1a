"""What Airflow is told of the provider, checked against Airflow's own schema and tools."""

import dataclasses
import importlib.metadata
import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are not among our tools
import pytest
from airflow_provider_cta import get_provider_info

from ctadata_providers import Config, __version__

DISTRIBUTION = "airflow-provider-cta"


@pytest.fixture(scope="module")
def connection_type() -> dict[str, Any]:
    (declared,) = get_provider_info()["connection-types"]
    return dict(declared)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=60, check=True, env=os.environ
    )


def test_provider_info_fulfils_airflows_schema() -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)


def test_form_behaviour_fulfils_airflows_schema(connection_type: dict[str, Any]) -> None:
    schema = json.loads(files("airflow").joinpath("customized_form_field_behaviours.schema.json").read_text())
    behaviour = {name.replace("-", "_"): value for name, value in connection_type["ui-field-behaviour"].items()}

    jsonschema.validate(behaviour, schema)


def test_schemas_of_form_fields_are_schemas_and_allow_null(connection_type: dict[str, Any]) -> None:
    for field in connection_type["conn-fields"].values():
        jsonschema.Draft202012Validator.check_schema(field["schema"])

        assert "null" in field["schema"]["type"]


def test_package_name_and_version_are_those_of_the_distribution() -> None:
    info = get_provider_info()

    assert info["package-name"] == importlib.metadata.metadata(DISTRIBUTION)["name"] == DISTRIBUTION
    assert info["versions"] == [__version__] == [importlib.metadata.version(DISTRIBUTION)]


def test_entry_point_gives_the_provider_info() -> None:
    (entry_point,) = importlib.metadata.distribution(DISTRIBUTION).entry_points.select(group="apache_airflow_provider")

    assert entry_point.load() is get_provider_info


def test_provider_info_imports_neither_airflow_nor_a_transfer_library() -> None:
    code = (
        "import sys, airflow_provider_cta as p; p.get_provider_info();"
        "print(sorted({'airflow', 'requests', 'pycurl', 'rich', 'cryptography'} & set(sys.modules)))"
    )

    assert run("-c", code).stdout.strip() == "[]"


def test_form_fields_are_settings_by_their_own_names(connection_type: dict[str, Any]) -> None:
    settings = {field.name for field in dataclasses.fields(Config)}

    assert set(connection_type["conn-fields"]) - settings == {"proxy_pem"}


def test_each_form_field_stands_in_the_documentation(connection_type: dict[str, Any]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "airflow.md").read_text()

    assert [name for name in connection_type["conn-fields"] if f"`{name}`" not in text] == []


def test_options_of_the_installation_have_defaults_that_are_of_their_types_and_stand_in_the_documentation() -> None:
    kinds = {"integer": int, "float": float, "string": str}
    text = (Path(__file__).parents[2] / "docs" / "airflow.md").read_text()
    options = get_provider_info()["config"]["cta"]["options"]

    for name, option in options.items():
        for value in (option["default"], option["example"]):
            assert value is None or kinds[option["type"]](value) is not None
        assert f"`{name}`" in text


def test_airflow_knows_the_options() -> None:
    listed = run("-m", "airflow", "config", "get-value", "cta", "poke_interval").stdout

    assert float(listed) == 60


def test_form_fields_hold_no_plain_token(connection_type: dict[str, Any]) -> None:
    assert "token" not in connection_type["conn-fields"]
    assert connection_type["conn-fields"]["client_secret"]["schema"]["format"] == "password"
    assert connection_type["ui-field-behaviour"]["relabeling"]["password"] == "Bearer token"


def test_named_classes_exist(connection_type: dict[str, Any]) -> None:
    from airflow.sdk.bases.hook import BaseHook

    info = get_provider_info()
    kinds = ("hooks", "operators", "sensors", "triggers")
    modules = [m for kind in kinds for part in info[kind] for m in part["python-modules"]]
    modules += [*info["filesystems"], *(part["python-module"] for part in info["transfers"])]
    for module in modules:
        importlib.import_module(module)
    module, _, name = connection_type["hook-class-name"].rpartition(".")
    hook = getattr(sys.modules[module], name)

    assert issubclass(hook, BaseHook)
    assert hook.conn_type == connection_type["connection-type"]
    assert hook.hook_name == connection_type["hook-name"]


def test_named_links_exist_and_are_those_of_the_operators() -> None:
    from airflow.sdk import BaseOperatorLink
    from airflow_provider_cta.operators.cta import CtaDownloadOperator, CtaUploadOperator
    from airflow_provider_cta.sensors.cta import CtaPathSensor

    kinds = []
    for path in get_provider_info()["extra-links"]:
        module, _, name = path.rpartition(".")
        kinds.append(getattr(importlib.import_module(module), name))

    assert all(issubclass(kind, BaseOperatorLink) for kind in kinds)
    for operator in (CtaDownloadOperator, CtaUploadOperator, CtaPathSensor):
        assert {type(link) for link in operator.operator_extra_links} <= set(kinds)


def test_airflow_knows_the_links() -> None:
    from airflow.providers_manager import ProvidersManager

    assert "airflow_provider_cta.links.cta.CtaDoorLink" in ProvidersManager().extra_links_class_names


@pytest.mark.parametrize("broken", [{"package-name": None}, {"extra-links": "x"}, {"connection-types": [{}]}])
def test_a_broken_declaration_would_be_found(broken: dict[str, Any]) -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**get_provider_info(), **broken}, schema)


def test_airflow_makes_its_form_of_the_declaration() -> None:
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    (form,) = [meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "cta"]

    assert form.standard_fields is not None
    assert form.standard_fields.login is not None
    assert form.standard_fields.login.hidden
    assert form.standard_fields.port is not None
    assert form.standard_fields.port.placeholder == "2880"
    assert form.extra_fields is not None
    assert form.extra_fields["checksum"]["schema"]["enum"] == ["auto", "require", "off"]
    assert form.extra_fields["ambient_credentials"]["value"] is False


def test_airflow_lists_the_provider() -> None:
    listed = json.loads(run("-m", "airflow", "providers", "list", "--output", "json").stdout)
    (provider,) = [row for row in listed if row["package_name"] == DISTRIBUTION]

    assert provider["version"] == __version__
    assert Path(os.environ["AIRFLOW_HOME"]).name.startswith("cta-airflow-")


def test_airflow_knows_the_filesystem_and_each_integration_of_a_transfer() -> None:
    from airflow.sdk.io import has_fs

    info = get_provider_info()
    named = {part["integration-name"] for part in info["integrations"]}
    used = {part[side] for part in info["transfers"] for side in ("source-integration-name", "target-integration-name")}

    assert has_fs("cta")
    assert used == named

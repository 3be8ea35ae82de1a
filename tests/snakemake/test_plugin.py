"""The plugin as Snakemake loads it: interface, queries, settings, import."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_storage_plugins.registry import StoragePluginRegistry
from snakemake_interface_storage_plugins.settings import StorageProviderSettingsBase
from snakemake_interface_storage_plugins.storage_provider import StorageProviderBase
from snakemake_interface_storage_plugins.tests import TestStorageBase
from snakemake_storage_plugin_cta import StorageObject, StorageProvider, StorageProviderSettings, queries

from ctadata_providers import ConfigError, CredentialError
from ctadata_providers.testing import FakeCta

pytestmark = pytest.mark.usefixtures("cta_environ")

Make = Callable[[str], StorageObject]
NewProvider = Callable[..., StorageProvider]


class TestInterface(TestStorageBase):
    """The interface's own tests."""

    __test__ = True
    files_only = False
    touch = True

    def get_query(self, tmp_path: Path) -> str:
        return "cta://lst/users/alice/result"

    def get_query_not_existing(self, tmp_path: Path) -> str:
        return "cta://lst/nobody/nothing.txt"

    def get_storage_provider_cls(self) -> type[StorageProviderBase]:
        return StorageProvider

    def get_storage_provider_settings(self) -> StorageProviderSettingsBase:
        return StorageProviderSettings()


class TestInterfaceOddNames(TestInterface):
    """The same for names that mean something elsewhere."""

    def get_query(self, tmp_path: Path) -> str:
        return "cta://lst/a b/100%25 #1+2?=[x]&é日本~'\"/r;e%2Fs"


class TestQueries:
    @pytest.mark.parametrize(
        "query",
        [
            "cta://lst/DL3/run.fits",
            "cta:///lst/DL3/run.fits",
            "cta://dev@lst/DL3",
            "cta://lst/users/alice/",
            "cta://lst/{run}.fits",
            "cta://{site}/DL3/{run,[^/?#]+}_{sub,\\d{4}}.h5",
            "cta://lst/{path,(x|\\.\\.)//../.+}.fits",
            "cta://{instance}@lst/x",
            "cta://lst/a..b #%+[ü]",
        ],
    )
    def test_addresses_with_and_without_wildcards_are_valid(self, query: str) -> None:
        assert StorageProvider.is_valid_query(query)

    @pytest.mark.parametrize(
        "query",
        [
            "https://door/lst/x",
            "lst/x",
            "/lst/x",
            "CTA://lst/x",
            "ctax://lst/x",
            "s3://lst/x",
            "",
            "cta://",
            "cta:///",
            "cta://dev@",
            "cta://lst/../x",
            "cta://lst//x",
            "cta://@lst/x",
            "cta://lst/a\nb",
        ],
    )
    def test_everything_else_is_invalid_with_a_reason(self, query: str) -> None:
        result = StorageProvider.is_valid_query(query)

        assert not result
        assert 'write storage.cta("cta://lst/…")' in result.reason
        assert "plain path" not in result.reason

    def test_examples_are_valid(self) -> None:
        assert all(StorageProvider.is_valid_query(example.query) for example in StorageProvider.example_queries())

    def test_different_files_have_different_copies_and_one_file_has_one(self, make: Make) -> None:
        different = ["cta://lst/x", "cta://dev@lst/x", "cta://prod@lst/x", "cta:///dev@lst/x", "cta://dev@a@lst/x"]
        different += ["cta:///@/dev@lst/x", "cta:///a@lst/x", "cta://dev@x/lst", "cta://lst/dev@x"]
        same = ["cta://lst/x", "cta:///lst/x", "cta://lst/x/", "cta:///lst/x/"]

        assert len({make(query).local_path() for query in different}) == len(different)
        assert len({make(query).local_path() for query in same}) == 1

    def test_copies_follow_a_rewritten_query_and_keep_its_constraints(self, make: Make) -> None:
        made = make("cta://lst/{run}.fits")
        made.query = "cta://lst/{run,\\d+}.fits"

        assert made.local_suffix() == "lst/{run,\\d+}.fits"

    @pytest.mark.parametrize("profile", [None, "dev", "x.y"])
    @pytest.mark.parametrize("path", ["/lst", "/lst/a b", "/a@b/c", "/a@b"])
    def test_a_path_of_a_profile_has_one_query(self, path: str, profile: str | None) -> None:
        address = queries.parse(queries.of_path(path, profile))

        assert (address.path, address.name) == (path, profile)


class TestSettings:
    def test_every_setting_has_a_help_and_no_default_and_a_plain_type(self) -> None:
        plugin = StoragePluginRegistry().get_plugin("cta")
        plain = {f"typing.Optional[{name}]" for name in ("str", "int", "float", "bool")}

        assert all(info["help"] and info["default"] is None for info in plugin.get_settings_info())
        assert {str(spec.type) for spec in fields(StorageProviderSettings)} <= plain
        assert "token" not in {spec.name for spec in fields(StorageProviderSettings)}

    def test_a_token_as_setting_is_refused_without_showing_it(self, new_provider: NewProvider) -> None:
        with pytest.raises(WorkflowError, match="token_file") as caught:
            new_provider(token="s3cret")

        assert "s3cret" not in str(caught.value)

    def test_settings_reach_the_client(
        self, tmp_path: Path, new_provider: NewProvider, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("CTA_DOOR_URL", "BEARER_TOKEN", "CTA_CA_PATH"):
            monkeypatch.delenv(name)
        (tmp_path / "token").write_text(fake_cta.token)
        fake_cta.put("/vo/lst/x", b"12345")
        provider = new_provider(
            door_url=fake_cta.door_url,
            base_path="/vo",
            token_file=str(tmp_path / "token"),
            ca_path=str(fake_cta.ca_file),
            allow_http_pools="false",
            trusted_hosts="a.example.org,*.example.com",
            copy_hosts="*.example.com",
            max_requests_per_second=100.0,
            max_parallel=2,
        )

        assert provider.object("cta://lst/x").size() == 5

    def test_a_wrong_setting_is_named_at_the_first_use_only(self, new_provider: NewProvider) -> None:
        made = new_provider(checksum="perhaps").object("cta://lst/x")

        with pytest.raises(ConfigError, match="checksum"):
            made.exists()

    def test_a_setting_with_a_tag_is_refused_with_a_remedy(self, new_provider: NewProvider) -> None:
        """Snakemake parses `tag::value` and hands on `tag:value` to jobs in processes of their own."""
        with pytest.raises(ConfigError, match=r"setting door_url: .*storage two: ….*cta://dev@"):
            new_provider(door_url="two:https://door:2880").object("cta://lst/x").exists()

    def test_a_wrong_setting_of_what_is_not_retrieved_is_an_error_of_the_workflow(
        self, new_provider: NewProvider
    ) -> None:
        with pytest.raises(WorkflowError, match=r"(?s)cta://lst/x.*checksum"):
            StorageObject("cta://lst/x", False, False, new_provider(checksum="perhaps"))

    def test_a_profile_in_the_address_does_not_get_the_settings_of_another(
        self, tmp_path: Path, new_provider: NewProvider, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = Path(os.environ["XDG_CONFIG_HOME"]) / "ctadata-providers" / "config.toml"
        config.parent.mkdir()
        own = tmp_path / "own.token"
        own.write_text(fake_cta.make_token(scope="storage.read:/other"))
        config.write_text(
            f'[profiles.other]\ndoor_url = "{fake_cta.door_url}"\nbase_path = "/other"\ntoken_file = "{own}"\n'
        )
        monkeypatch.delenv("BEARER_TOKEN")
        (tmp_path / "token").write_text(fake_cta.token)
        fake_cta.put("/other/lst/x", b"other")
        fake_cta.put("/lst/x", b"mine")
        provider = new_provider(token_file=str(tmp_path / "token"), base_path="/")

        assert provider.object("cta://lst/x").size() == 4
        assert provider.object("cta://other@lst/x").size() == 5
        assert len({request.headers["authorization"] for request in fake_cta.requests}) == 2

    def test_a_profile_in_the_address_does_not_get_the_token_of_the_environment(
        self, new_provider: NewProvider, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = Path(os.environ["XDG_CONFIG_HOME"]) / "ctadata-providers" / "config.toml"
        config.parent.mkdir()
        config.write_text(f'[profiles.other]\ndoor_url = "{fake_cta.door_url}"\n')
        monkeypatch.setenv("BEARER_TOKEN", fake_cta.token)

        with pytest.raises(CredentialError):
            new_provider().object("cta://other@lst/x").exists()
        assert [request.headers.get("authorization") for request in fake_cta.requests] == [None]

        monkeypatch.setenv("CTA_PROFILE", "other")  # then it is the user's own instance

        assert not new_provider().object("cta://other@lst/x").exists()


class TestCatalogue:
    """What the plugin catalogue looks for."""

    def test_examples_pages_and_a_lower_bound_of_the_interface(self) -> None:
        root = Path(__file__).parents[2]
        project = tomllib.loads((root / "snakemake_plugin" / "pyproject.toml").read_text())["project"]

        assert project["name"] == "snakemake-storage-plugin-cta"
        assert any(text.startswith("snakemake-interface-storage-plugins>=") for text in project["dependencies"])
        assert all((root / "docs" / name).read_text().startswith("# ") for name in ("intro.md", "further.md"))
        assert all(example.description for example in StorageProvider.example_queries())

    def test_settings_can_be_written_as_json(self) -> None:
        infos = StoragePluginRegistry().get_plugin("cta").get_settings_info()

        assert json.loads(json.dumps([info["default"] for info in infos])) == [None] * len(infos)


class TestImport:
    def test_loads_nothing_heavy_and_not_even_the_core(self) -> None:
        code = (
            "import sys, snakemake.cli; before = set(sys.modules)\n"
            "import snakemake_storage_plugin_cta\n"
            "print(*sorted(set(sys.modules) - before))"
        )
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

        assert {name.partition(".")[0] for name in loaded} == {"snakemake_storage_plugin_cta"}

    def test_costs_less_than_100_ms_beyond_snakemakes_own(self) -> None:
        code = (
            "import snakemake.cli, time; begun = time.process_time()\n"
            "import snakemake_storage_plugin_cta\n"
            "print(time.process_time() - begun)"
        )
        run = [sys.executable, "-c", code]
        seconds = min(float(subprocess.run(run, capture_output=True, text=True, check=True).stdout) for _ in range(3))

        assert seconds < 0.1

    def test_does_not_fail_without_the_core(self) -> None:
        code = "import sys; sys.modules['ctadata_providers'] = None; import snakemake_storage_plugin_cta"

        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

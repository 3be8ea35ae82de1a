"""The interface's own tests, as they run on a server that the fixture `server` gives."""

from pathlib import Path

import pytest
from snakemake_interface_storage_plugins.settings import StorageProviderSettingsBase
from snakemake_interface_storage_plugins.storage_provider import StorageProviderBase
from snakemake_interface_storage_plugins.tests import TestStorageBase
from snakemake_storage_plugin_cta import StorageProvider, StorageProviderSettings

from tests.servers.server import Server


class OnServer(TestStorageBase):
    """Files, folders and touch."""

    __test__ = False
    files_only = False
    touch = True

    @pytest.fixture(autouse=True)
    def reach(self, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Point the environment at the server."""
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            monkeypatch.setenv(name, str(tmp_path / "home"))
        variables = {
            "door_url": "CTA_DOOR_URL",
            "ca_path": "CTA_CA_PATH",
            "token": "BEARER_TOKEN",
            "proxy_file": "X509_USER_PROXY",
            "trusted_hosts": "CTA_TRUSTED_HOSTS",
        }
        for name, value in server.settings().items():
            if value:
                monkeypatch.setenv(variables[name], value)
            else:
                monkeypatch.delenv(variables[name], raising=False)

    def get_query(self, tmp_path: Path) -> str:
        # No blank: the redirectors of XRootD 5.5 do not find a folder below a name with one.
        return f"cta://plugin/{tmp_path.name}/new/result"

    def get_query_not_existing(self, tmp_path: Path) -> str:
        return "cta://plugin/nobody/nothing.txt"

    def get_storage_provider_cls(self) -> type[StorageProviderBase]:
        return StorageProvider

    def get_storage_provider_settings(self) -> StorageProviderSettingsBase:
        return StorageProviderSettings()

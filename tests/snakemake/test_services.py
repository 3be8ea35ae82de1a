"""The interface's own tests on the CTA services, which neither remove nor rename, and what that means for touch."""

import logging
from pathlib import Path

import pytest
from snakemake_interface_storage_plugins.settings import StorageProviderSettingsBase
from snakemake_interface_storage_plugins.storage_provider import StorageProviderBase
from snakemake_interface_storage_plugins.tests import TestStorageBase
from snakemake_storage_plugin_cta import StorageProvider, StorageProviderSettings

from ctadata_providers import UnsupportedError
from ctadata_providers.testing import FakeCta

HOME = "/lst/users/alice"


@pytest.fixture(autouse=True)
def environ(cta_services_environ: dict[str, str]) -> None:
    """The address of the service and a hub token alone."""


class OnServices(TestStorageBase):
    """In one's own folder. What is asked to go stays, with a warning."""

    @pytest.fixture(autouse=True)
    def warned(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        self.log = caplog

    def get_query(self, tmp_path: Path) -> str:
        return f"cta:/{HOME}/plugin #%20/{tmp_path.name}/result"

    def get_query_not_existing(self, tmp_path: Path) -> str:
        return f"cta:/{HOME}/nobody/nothing.txt"

    def get_storage_provider_cls(self) -> type[StorageProviderBase]:
        return StorageProvider

    def get_storage_provider_settings(self) -> StorageProviderSettingsBase:
        return StorageProviderSettings()


class TestFiles(OnServices):
    """Files, which are touched by being sent again."""

    __test__ = True
    touch = True

    def test_what_is_removed_stays_with_a_warning(self, tmp_path: Path, fake_cta_services: FakeCta) -> None:
        self._test_storage(tmp_path)

        assert [path.rpartition("/")[2] for path in fake_cta_services.paths()] == ["result"]
        assert "stays as it is until it is stored anew" in self.log.text

    def test_what_counts_as_removed_is_known_by_its_new_copy_and_stored_again(
        self, tmp_path: Path, fake_cta_services: FakeCta
    ) -> None:
        made = self._get_obj(tmp_path, self.get_query(tmp_path))
        made.local_path().parent.mkdir(parents=True)
        made.local_path().write_bytes(b"content")
        made.store_object()
        made.remove()
        made.local_path().write_bytes(b"")

        assert not made.exists()
        assert made.size() == 0

        made.local_path().write_bytes(b"content")
        fake_cta_services.clear_requests()
        made.store_object()

        assert made.exists()
        assert "PUT" in {request.method for request in fake_cta_services.requests}


class TestFolders(OnServices):
    """Folders, which cannot be touched: a file would have to come and go in them."""

    __test__ = True

    def test_storage(self, tmp_path: Path) -> None:
        self._test_storage(tmp_path, directory=True)

    def test_a_touch_is_refused_and_leaves_nothing_behind(self, tmp_path: Path, fake_cta_services: FakeCta) -> None:
        fake_cta_services.put(f"{HOME}/plugin #%20/{tmp_path.name}/result/x", b"x")

        with pytest.raises(UnsupportedError, match="--backend webdav"):
            self._get_obj(tmp_path, self.get_query(tmp_path)).touch()

        assert [path.rpartition("/")[2] for path in fake_cta_services.paths()] == ["x"]

    def test_a_folder_of_which_old_files_would_stay_is_not_replaced(
        self, tmp_path: Path, fake_cta_services: FakeCta
    ) -> None:
        made = self._get_obj(tmp_path, self.get_query(tmp_path))
        made.local_path().mkdir(parents=True)
        (made.local_path() / "old").touch()
        made.store_object()
        made.remove()
        (made.local_path() / "old").rename(made.local_path() / "new")

        with pytest.raises(UnsupportedError, match=r"/old is in the old one only"):
            made.store_object()
        assert [path.rpartition("/")[2] for path in fake_cta_services.paths()] == ["old"]

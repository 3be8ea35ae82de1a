"""What the objects of the plugin promise Snakemake, each against a data centre on loopback."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from snakemake.io import IOCache
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_storage_plugin_cta import StorageObject

from ctadata_providers import CredentialError, NotFoundError, UnsupportedError
from ctadata_providers.testing import FakeCta
from tests.snakemake.conftest import local_file

pytestmark = pytest.mark.usefixtures("cta_environ")

Make = Callable[[str], StorageObject]
MakeForJobs = Callable[..., list[StorageObject]]


def inventory(made: StorageObject, cache: IOCache) -> IOCache:
    asyncio.run(made.inventory(cache))
    return cache


class TestInventory:
    def test_one_listing_tells_all_about_a_folder(
        self, make: Make, make_for_jobs: MakeForJobs, fake_cta: FakeCta
    ) -> None:
        for number in range(20):
            fake_cta.put(f"/lst/n {number}", b"x" * number)
        fake_cta.make_dir("/lst/folder")
        made = make_for_jobs(*(f"cta://lst/n {number}" for number in range(20)), "cta://lst/folder")[:20]
        cache = IOCache(max_wait_time=10)
        for one in made:
            inventory(one, cache)

        assert [request.method for request in fake_cta.requests] == ["PROPFIND"]
        assert fake_cta.requests[0].headers["depth"] == "1"
        assert [cache.size[one.cache_key()] for one in made] == list(range(20))
        assert [cache.mtime[one.cache_key()].storage() for one in made] == [one.mtime() for one in made]
        assert cache.exists_in_storage[make("cta://lst/folder").cache_key()]
        assert cache.size[make("cta://lst/folder").cache_key()] == 0
        assert make("cta://lst/missing").get_inventory_parent() in cache.exists_in_storage.has_inventory
        assert make("cta://lst/missing").cache_key() not in dict(cache.exists_in_storage)

    def test_files_of_a_profile_and_of_the_root_have_keys_of_their_own(
        self, make: Make, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CTA_PROFILE", "prod")
        fake_cta.put("/top", b"x")
        cache = inventory(make("cta://top"), IOCache(max_wait_time=10))

        assert cache.exists_in_storage[make("cta://top").cache_key()]
        assert make("cta://dev@top").cache_key() not in dict(cache.exists_in_storage)
        assert make("cta://dev@top").get_inventory_parent() not in cache.exists_in_storage.has_inventory

    def test_a_missing_folder_is_known_to_be_empty(self, make_for_jobs: MakeForJobs, fake_cta: FakeCta) -> None:
        made, *_ = make_for_jobs(*(f"cta://lst/none/{name}" for name in "wxyz"))
        cache = inventory(made, IOCache(max_wait_time=10))

        assert made.get_inventory_parent() in cache.exists_in_storage.has_inventory
        assert not made.exists()
        assert [request.path.rstrip("/") for request in fake_cta.requests] == ["/lst/none"]

    def test_an_object_alone_in_its_folder_is_told_alone(self, make: Make, fake_cta: FakeCta) -> None:
        fake_cta.put("/lst/x", b"12")
        cache = inventory(make("cta://lst/x"), IOCache(max_wait_time=10))
        inventory(make("cta://lst/missing"), cache)

        assert [request.headers["depth"] for request in fake_cta.requests] == ["0", "0"]
        assert cache.size[make("cta://lst/x").cache_key()] == 2
        assert cache.exists_in_storage[make("cta://lst/missing").cache_key()] is False
        assert make("cta://lst/other").get_inventory_parent() not in cache.exists_in_storage.has_inventory

    def test_a_refused_token_is_one_clear_error(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BEARER_TOKEN", "wrong")

        with pytest.raises(WorkflowError, match=r"(?s)cta://lst/x.*CredentialError"):
            inventory(make("cta://lst/x"), IOCache(max_wait_time=10))

    def test_an_unknown_profile_is_one_clear_error(self, make: Make) -> None:
        with pytest.raises(WorkflowError, match=r"list the folder of cta://nobody@lst/x(?s:.*)nobody"):
            inventory(make("cta://nobody@lst/x"), IOCache(max_wait_time=10))

    def test_a_folder_that_may_not_be_listed_has_no_inventory(
        self, make: Make, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake_cta.put("/lst/users/alice/d/x", b"12")
        monkeypatch.setenv("BEARER_TOKEN", fake_cta.make_token(scope="storage.create:/lst/users/alice"))
        made = make("cta://lst/users/alice/d/x")
        cache = inventory(made, IOCache(max_wait_time=10))

        assert made.get_inventory_parent() not in cache.exists_in_storage.has_inventory
        assert made.size() == 2


class TestAnswers:
    def test_questions_about_a_folder_cost_one_request(self, make_for_jobs: MakeForJobs, fake_cta: FakeCta) -> None:
        for number in range(10):
            fake_cta.put(f"/lst/{number}", b"x")
        made = make_for_jobs(*(f"cta://lst/{number}" for number in range(10)))

        assert all(one.exists() and one.size() == 1 and one.mtime() > 0 for one in made for _ in range(3))
        assert len(fake_cta.requests) == 1

    def test_what_this_provider_stored_and_removed_is_seen_at_once(self, make: Make, fake_cta: FakeCta) -> None:
        made, folder = make("cta://lst/new/deep/x"), make("cta://lst/new")
        assert not made.exists()
        assert not folder.exists()
        local_file(made, b"123")
        made.store_object()

        assert made.exists()
        assert made.size() == 3
        assert folder.exists()
        folder.remove()

        assert not made.exists()
        assert not folder.exists()
        assert fake_cta.paths() == []

    def test_a_folder_has_size_0_and_the_footprint_of_all_its_files(self, make: Make, fake_cta: FakeCta) -> None:
        fake_cta.put("/lst/d/a", b"12")
        fake_cta.put("/lst/d/e/f/b", b"345")

        assert make("cta://lst/d").size() == 0
        assert make("cta://lst/d/").local_footprint() == 5
        assert make("cta://lst/d/a").local_footprint() == 2

    def test_an_output_that_is_not_stored_yet_is_known_by_its_copy(self, make: Make) -> None:
        made = make("cta://lst/out")
        local = local_file(made, b"1234")

        assert not made.exists()
        assert made.size() == 4
        assert made.mtime() == local.stat().st_mtime

    def test_what_is_nowhere_has_no_size(self, make: Make) -> None:
        with pytest.raises(NotFoundError, match="cta://lst/out"):
            make("cta://lst/out").size()

    def test_a_refused_token_is_not_a_missing_file(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BEARER_TOKEN", "wrong")

        with pytest.raises(CredentialError):
            make("cta://lst/x").exists()


class TestTouch:
    def test_an_absent_file_becomes_an_empty_one(self, make: Make, fake_cta: FakeCta) -> None:
        make("cta://lst/new/x").touch()

        assert fake_cta.get("/lst/new/x") == b""

    def test_a_file_keeps_its_content_and_gets_the_present_time(self, make: Make, fake_root: Path) -> None:
        (fake_root / "x").write_bytes(b"content")
        os.utime(fake_root / "x", (1000, 1000))
        made = make("cta://x")
        assert made.mtime() == 1000
        made.touch()

        assert made.mtime() > 1000
        assert (fake_root / "x").read_bytes() == b"content"

    def test_a_folder_keeps_its_content_and_gets_the_present_time(self, make: Make, fake_root: Path) -> None:
        (fake_root / "d").mkdir()
        (fake_root / "d" / "x").write_bytes(b"content")
        os.utime(fake_root / "d", (1000, 1000))
        made = make("cta://d")
        assert made.mtime() == 1000
        made.touch()

        assert made.mtime() > 1000
        assert [path.name for path in (fake_root / "d").iterdir()] == ["x"]

    def test_a_file_above_1_mib_is_refused_and_unharmed(self, make: Make, fake_cta: FakeCta) -> None:
        fake_cta.put("/lst/large", bytes((1 << 20) + 1))
        made = make("cta://lst/large")

        with pytest.raises(UnsupportedError, match="1 MiB"):
            made.touch()

        assert [request.method for request in fake_cta.requests] == ["PROPFIND"]


class TestGlob:
    def test_matches_are_spelled_as_the_pattern(self, make: Make, fake_cta: FakeCta) -> None:
        for path in ("/lst/r 1.fits", "/lst/r#2.fits", "/lst/sub/r3.fits", "/lst/ü.txt", "/a@b/r4.fits"):
            fake_cta.put(path, b"")

        assert sorted(make("cta://lst/r{x}.fits").list_candidate_matches()) == [
            "cta://lst/r 1.fits",
            "cta://lst/r#2.fits",
        ]
        assert "cta:///lst/sub/r3.fits" in make("cta:///lst/{x}.fits").list_candidate_matches()
        assert "cta:///a@b/r4.fits" in make("cta:///{x}.fits").list_candidate_matches()
        assert not [found for found in make("cta://{x}").list_candidate_matches() if "a@b" in found]
        assert list(make("cta://lst/none/{x}").list_candidate_matches()) == []

    def test_a_pattern_that_ends_in_a_slash_matches_folders_only(self, make: Make, fake_cta: FakeCta) -> None:
        fake_cta.put("/lst/run_1/x", b"")
        fake_cta.put("/lst/run_2", b"")

        assert list(make("cta://lst/run_{run}/").list_candidate_matches()) == ["cta://lst/run_1/"]

    def test_lists_only_folders_that_can_match_and_leaves_the_answers_known(
        self, make: Make, fake_cta: FakeCta
    ) -> None:
        fake_cta.put("/lst/run_1/x", b"12")
        fake_cta.put("/lst/other/x", b"")
        found = sorted(make("cta://lst/run_{run}").list_candidate_matches())

        assert found == ["cta://lst/run_1", "cta://lst/run_1/x"]
        assert make("cta://lst/run_1/x").size() == 2
        assert [request.path.rstrip("/") for request in fake_cta.requests] == ["/lst", "/lst/run_1"]

    def test_a_refused_token_is_one_clear_error(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BEARER_TOKEN", "wrong")

        with pytest.raises(WorkflowError, match=r"(?s)cta://lst/\{x\}.*CredentialError"):
            list(make("cta://lst/{x}").list_candidate_matches())

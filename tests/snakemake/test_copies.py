"""What is retrieved, stored and removed: whole, instead of what was there, and with its time."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from snakemake_storage_plugin_cta import StorageObject, StorageProvider

from ctadata_providers import NotFoundError, PermissionDeniedError, StorageError, UnsupportedError
from ctadata_providers.testing import FakeCta
from tests.snakemake.conftest import kill_while_it_writes, local_file

pytestmark = pytest.mark.usefixtures("cta_environ")
Make = Callable[[str], StorageObject]


def test_a_missing_file_is_said_and_the_old_copy_unharmed(make: Make) -> None:
    made = make("cta://lst/missing")
    local = local_file(made, b"old")

    with pytest.raises(NotFoundError, match="lst/missing"):
        made.retrieve_object()

    assert local.read_bytes() == b"old"


def test_a_folder_replaces_its_old_copy(make: Make, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/d/a b/c#d", b"new")
    made = make("cta://lst/d")
    (made.local_path() / "gone").mkdir(parents=True)
    made.retrieve_object()

    assert [path.name for path in made.local_path().iterdir()] == ["a b"]
    assert (made.local_path() / "a b" / "c#d").read_bytes() == b"new"
    assert [path.name for path in made.local_path().parent.iterdir()] == ["d"]


def test_a_copy_of_another_kind_is_replaced(make: Make, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/file", b"new")
    fake_cta.put("/lst/folder/x", b"new")
    file, folder = make("cta://lst/file"), make("cta://lst/folder")
    (file.local_path() / "old").mkdir(parents=True)
    folder.local_path().write_bytes(b"old")
    for made in (file, folder):
        asyncio.run(made.managed_retrieve())

    assert file.local_path().read_bytes() == b"new"
    assert (folder.local_path() / "x").read_bytes() == b"new"


def test_a_file_that_has_changed_since_its_listing_is_retrieved_as_it_is_now(make: Make, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/x", b"old")
    made = make("cta://lst/x")
    assert made.size() == 3
    fake_cta.put("/lst/x", b"another")
    asyncio.run(made.managed_retrieve())

    assert made.local_path().read_bytes() == b"another"
    assert made.size() == 7


def test_copies_have_the_times_of_their_originals_and_one_that_is_older_is_no_checksum(
    make: Make, fake_root: Path
) -> None:
    (fake_root / "d").mkdir()
    (fake_root / "x").touch()
    made = [make("cta://d"), make("cta://x")]
    for one in made:
        os.utime(fake_root / one.local_suffix(), (1000, 1000))
    for one in made:
        asyncio.run(one.managed_retrieve())

    assert [one.local_path().stat().st_mtime for one in made] == [1000, 1000]
    assert made[1].checksum() is None
    os.utime(made[1].local_path(), (900, 900))

    assert len({made[1].checksum(), made[1].checksum(), None}) == 3  # none is equal to one that was noted before


def test_one_thread_is_enough(new_provider: Callable[..., StorageProvider], fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/x", b"")
    made = new_provider(max_parallel=1).object("cta://lst/x")
    asyncio.run(asyncio.wait_for(made.managed_remove(), timeout=20))

    assert fake_cta.paths() == []


def test_a_folder_that_fails_leaves_the_old_copy_and_no_part(make: Make, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/d/a", b"1")
    made = make("cta://lst/d")
    made.local_path().mkdir(parents=True)
    assert made.exists()
    fake_cta.reset()

    with pytest.raises(NotFoundError):
        made.retrieve_object()

    assert [path.name for path in made.local_path().parent.iterdir()] == ["d"]


def test_a_kill_leaves_no_folder_half_full(make: Make, fake_root: Path) -> None:
    (fake_root / "d").mkdir()
    for number in range(10):
        with (fake_root / "d" / str(number)).open("wb") as file:
            file.truncate(20_000_000)
    made = make("cta://d")
    made.local_path().parent.mkdir(exist_ok=True)
    code = (
        "import sys, pathlib\n"
        "from ctadata_providers import Config\n"
        "from snakemake_storage_plugin_cta.storage import Storage\n"
        "local = pathlib.Path(sys.argv[1])\n"
        "Storage(Config.from_env(), local.parent).retrieve('/d', local)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(made.local_path())], start_new_session=True, text=True)
    kill_while_it_writes(process, made.local_path().parent)

    assert process.returncode == -signal.SIGKILL
    assert not made.local_path().exists()
    made.retrieve_object()

    assert sum(path.stat().st_size for path in made.local_path().iterdir()) == 200_000_000


def test_a_stored_folder_holds_empty_folders_and_no_note_of_snakemake(make: Make, fake_cta: FakeCta) -> None:
    made = make("cta://lst/none/d")
    (made.local_path() / "empty").mkdir(parents=True)
    (made.local_path() / ".snakemake_timestamp").touch()
    made.store_object()

    assert fake_cta.exists("/lst/none/d/empty")
    assert fake_cta.paths() == []


def test_the_copy_of_what_is_removed_goes_too(make: Make, fake_cta: FakeCta) -> None:
    made = [make("cta://lst/f"), make("cta://lst/d")]
    fake_cta.put("/lst/f", b"")
    fake_cta.put("/lst/d/old", b"")
    for one in made:
        asyncio.run(one.managed_retrieve())
        asyncio.run(one.managed_remove())

    assert fake_cta.paths() == []
    assert not [one for one in made if one.local_path().exists()]


def test_a_removed_file_may_be_gone_already(make: Make, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/x", b"")
    made = make("cta://lst/x")
    assert made.exists()
    fake_cta.reset()
    made.remove()

    assert not made.exists()


def test_a_folder_gets_its_name_when_all_is_in_it_and_replaces_the_old_one(make: Make, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/users/d/old", b"old")
    made = make("cta://lst/users/d/")
    for name in ("a", "deep/b"):
        file = made.local_path() / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    made.store_object()

    sent = [request.path for request in fake_cta.requests if request.method == "PUT"]
    assert fake_cta.paths() == ["/lst/users/d/a", "/lst/users/d/deep/b"]
    assert sent
    assert all(path.startswith("/lst/users/.d.") for path in sent)
    assert [request.path for request in fake_cta.requests if request.method == "MOVE"][-1].endswith(".ctapart")


def test_a_stored_folder_costs_8_requests_more_than_its_file(make: Make, fake_cta: FakeCta) -> None:
    fake_cta.make_dir("/lst/users")
    made = make("cta://lst/users/d")
    made.local_path().mkdir(parents=True)
    (made.local_path() / "x").write_bytes(b"x")
    made.store_object()
    asked = Counter(request.method for request in fake_cta.requests if request.server == "door")

    assert asked == {"PUT": 1, "PROPFIND": 1 + 6, "MOVE": 1 + 1, "MKCOL": 1}


def test_a_failed_folder_leaves_the_old_one_and_nothing_else(make: Make, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/users/d/old", b"old")
    made = make("cta://lst/users/d/")
    made.local_path().mkdir(parents=True)
    (made.local_path() / "a").write_bytes(b"a")
    (made.local_path() / "nowhere").symlink_to("missing")

    with pytest.raises(StorageError, match="nowhere"):
        made.store_object()
    assert fake_cta.paths() == ["/lst/users/d/old"]


def test_a_token_that_may_not_rename_fills_folders_under_their_names_and_says_what_remains(
    make: Make, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", fake_cta.make_token(scope="storage.read:/ storage.create:/"))
    for name in "de":
        made = make(f"cta://lst/{name}")
        made.local_path().mkdir(parents=True)
        (made.local_path() / "x").touch()
        made.store_object()
    shown = [path for path in fake_cta.paths() if "ctapart" not in path]

    assert shown == ["/lst/d/x", "/lst/e/x"]
    assert len(fake_cta.paths()) == 3
    assert "ctadata clean" in caplog.text


def test_where_a_folder_cannot_be_renamed_it_holds_only_the_new_files(make: Make, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/users/d/sub/old", b"1")
    fake_cta.put("/lst/users/d/x", b"1")
    made = make("cta://lst/users/d")
    made.local_path().mkdir(parents=True)
    (made.local_path() / "x").write_bytes(b"2")
    with fake_cta.fault("forbidden", method="MOVE", path="/lst/users/.d.*"):
        made.store_object()

    assert fake_cta.paths() == ["/lst/users/d/x"]
    assert fake_cta.get("/lst/users/d/x") == b"2"


def test_an_old_file_that_stays_in_a_folder_is_told(make: Make, fake_cta: FakeCta) -> None:
    fake_cta.put("/lst/users/d/old", b"1")
    made = make("cta://lst/users/d")
    made.local_path().mkdir(parents=True)
    (made.local_path() / "x").write_bytes(b"2")
    with (
        fake_cta.fault("forbidden", method="MOVE", path="/lst/users/.d.*"),
        fake_cta.fault("forbidden", method="DELETE", path="/lst/users/d/old"),
        pytest.raises(UnsupportedError, match="old is in the old one only, and cannot be removed"),
    ):
        made.store_object()

    assert "/lst/users/d/old" in fake_cta.paths()


def test_a_token_that_may_only_read_cannot_store(
    make: Make, fake_cta: FakeCta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARER_TOKEN", fake_cta.make_token(scope="storage.read:/"))
    made = make("cta://lst/x")
    local_file(made, b"1")

    with pytest.raises(PermissionDeniedError, match="403"):
        made.store_object()

    assert fake_cta.paths() == []

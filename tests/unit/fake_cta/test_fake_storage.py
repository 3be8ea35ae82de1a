import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ctadata_providers.errors import NotADirError, NotFoundError
from ctadata_providers.testing.entries import Entry
from ctadata_providers.testing.storage import Storage


def found(storage: Storage, path: str) -> Entry:
    """Return an entry that must exist."""
    entry = storage.stat(path)
    assert entry is not None
    return entry


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    made = Storage(tmp_path)
    yield made
    made.close()


def test_a_given_folder_is_served_as_it_is_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_bytes(b"hello")
    storage = Storage(tmp_path)
    entry = found(storage, "/d/x")
    checksums = storage.checksums(entry)
    storage.put("/y", b"1")
    storage.close()

    assert entry.size == 5
    assert checksums == {"adler32": "062c0215"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "y"]


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADirError):
        Storage(tmp_path / "no")


def test_a_temporary_folder_goes_at_close() -> None:
    storage = Storage()
    storage.put("/x", b"1")
    storage.close()

    assert not storage.root.exists()


def test_a_file_changed_on_disk_gets_another_checksum_and_etag(storage: Storage) -> None:
    storage.put("/x", b"hello")
    before = found(storage, "/x")
    checksums = storage.checksums(before)
    (storage.root / "x").write_bytes(b"other")
    after = found(storage, "/x")

    assert storage.checksums(after) != checksums
    assert after.etag != before.etag
    with pytest.raises(NotFoundError):
        storage.open(before)


def test_quick_overwrites_never_share_an_etag(storage: Storage) -> None:
    etags = set()
    for number in range(200):
        storage.put("/x", b"%03d" % number)
        etags.add(found(storage, "/x").etag)

    assert len(etags) == 200


def test_a_move_keeps_the_etag(storage: Storage) -> None:
    storage.put("/x", b"1")
    before = found(storage, "/x").etag
    storage.move("/x", "/y")

    assert found(storage, "/y").etag == before


def test_bytes_are_visible_only_when_all_are_there(storage: Storage) -> None:
    entry = storage.create("/x", patience=10)
    with storage.upload(entry) as upload:
        upload.write(b"hel")
        during = (storage.root / "x").read_bytes(), found(storage, "/x").size, [e.path for e in storage.walk()]
        upload.write(b"lo")
        stored = upload.commit()

    assert during == (b"", None, ["/x"])
    assert (stored.size, (storage.root / "x").read_bytes()) == (5, b"hello")


def test_a_file_that_is_put_replaces_an_older_one_at_once(storage: Storage) -> None:
    storage.put("/x", b"1")
    seen = seen_meanwhile(storage, "/x", lambda: storage.put("/x", b"two"))

    assert seen <= {1, 3}


def test_an_upload_that_begins_is_never_taken_for_an_empty_file(storage: Storage) -> None:
    def store() -> None:
        with storage.upload(storage.create("/x", patience=600)) as upload:
            upload.write(b"two")
            upload.commit()

    assert seen_meanwhile(storage, "/x", store) <= {"nothing", None, 3}


def test_uploads_work_on_a_file_system_that_keeps_whole_seconds(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_nanoseconds = os.utime

    def in_seconds(path: str, *, ns: tuple[int, int]) -> None:
        in_nanoseconds(path, (ns[0] // 1_000_000_000, ns[1] // 1_000_000_000))

    monkeypatch.setattr(os, "utime", in_seconds)
    entry = storage.create("/x", patience=10)
    waiting = found(storage, "/x").size
    with storage.upload(entry) as upload:
        upload.write(b"hello")
        upload.commit()

    assert (waiting, found(storage, "/x").size) == (None, 5)


def test_an_upload_that_never_comes_is_given_up_after_a_while(tmp_path: Path) -> None:
    now = [0.0]
    storage = Storage(tmp_path, clock=lambda: now[0])
    storage.create("/x", patience=300)
    waiting = found(storage, "/x").size
    now[0] = 300.0

    assert (waiting, found(storage, "/x").size) == (None, 0)


def test_discarding_an_entry_spares_what_replaced_it(storage: Storage) -> None:
    entry = storage.create("/x", patience=10)
    storage.put("/x", b"newer")
    storage.discard(entry)

    assert found(storage, "/x").size == 5


def test_links_are_followed_and_dangling_ones_are_not_there(storage: Storage, tmp_path: Path) -> None:
    storage.put("/d/x", b"1")
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "broken").symlink_to("nowhere")
    listed = sorted(entry.path for entry in storage.walk())
    storage.remove("/link")

    assert listed == ["/d", "/d/x", "/link", "/link/x"]
    assert storage.stat("/d/x") is not None


def test_many_threads_store_at_once(storage: Storage, tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: storage.put(f"/{number // 16}/a/b/{number}", b"1"), range(320)))
        list(threads.map(lambda number: storage.put("/same", b"%d" % number), range(64)))
        list(threads.map(storage.make_dirs, ["/made/by/many"] * 64))
    storage.close()

    assert sum(not entry.is_dir for entry in storage.walk()) == 321
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_nothing_is_kept_of_what_is_gone(storage: Storage) -> None:
    for number in range(20):
        storage.put("/d/over", b"%d" % number)
        storage.put("/d/moved", b"%d" % number)
        storage.move("/d/moved", f"/d/{number}")
        storage.remove(f"/d/{number}")
    kept = storage.noted
    storage.notes_to_change(found(storage, "/d")).xattrs["a"] = "b"
    storage.remove("/d")

    assert (kept, storage.noted) == (1, 0)


def test_a_folder_that_goes_while_it_is_listed_ends_the_listing_of_it(storage: Storage) -> None:
    storage.put("/d/x", b"1")
    storage.put("/e/x", b"1")
    listing = storage.walk()
    first = next(listing)
    storage.remove(first.path)

    assert [entry.path for entry in listing] == (["/d", "/d/x"] if first.path == "/e" else ["/e", "/e/x"])


def seen_meanwhile(storage: Storage, path: str, store: Callable[[], object]) -> set[object]:
    """Return the sizes that a file had for somebody who looked again and again while it was stored many times."""
    seen: set[object] = set()
    looked, done = threading.Event(), threading.Event()

    def look() -> None:
        while not done.is_set():
            entry = storage.stat(path)
            seen.add(entry.size if entry else "nothing")
            looked.set()

    with ThreadPoolExecutor(1) as threads:
        looking = threads.submit(look)
        looked.wait(10)
        try:
            for _ in range(60):
                store()
        finally:
            done.set()
        looking.result()
    return seen

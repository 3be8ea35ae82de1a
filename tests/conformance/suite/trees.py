"""Whole trees."""

import os
from pathlib import Path

import pytest

from ctadata_providers import AlreadyExistsError, CtaClient, StorageError
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage, names_in

FILES = {f"night {night}/run{run} #1.fits": os.urandom(run * 1000) for night in range(3) for run in range(5)}


def plant(root: Path, files: dict[str, bytes]) -> Path:
    """Write files below a local folder."""
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def tree(root: Path) -> dict[str, bytes]:
    """Return the files below a local folder by relative path, hidden ones too."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@feature(Feature.TREES)
def test_a_tree_comes_back_as_it_went(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    plant(local / "sent", FILES)
    (local / "sent" / "empty" / "inner").mkdir(parents=True)
    up: list[int] = []
    sent = client.upload_tree(local / "sent", folder, progress=up.append)
    received = client.download_tree(folder, local / "received")
    size = sum(map(len, FILES.values()))

    assert storage.tree(folder) == FILES
    assert tree(local / "received") == FILES
    assert (local / "received" / "empty" / "inner").is_dir()
    assert (sent.files, sent.size, sent.retries) == (received.files, received.size, received.retries) == (15, size, 0)
    assert sum(up) == size


@feature(Feature.TREES)
def test_an_empty_tree_is_an_empty_folder(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    (local / "sent").mkdir()
    sent = client.upload_tree(local / "sent", folder)
    received = client.download_tree(folder, local / "received")

    assert (sent.files, received.files) == (0, 0)
    assert client.stat(folder).is_dir
    assert names_in(local / "received") == []


@feature(Feature.TREES)
def test_a_tree_is_added_to_what_is_there(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/a/old", b"old")
    storage.put(f"{folder}/a/f", b"old")
    plant(local / "sent", {"a/f": b"new", "b/g": b"new"})
    client.upload_tree(local / "sent", folder)
    plant(local / "received", {"mine": b"mine", "a/f": b"mine"})
    client.download_tree(folder, local / "received")

    assert storage.tree(folder) == {"a/old": b"old", "a/f": b"new", "b/g": b"new"}
    assert tree(local / "received") == {"mine": b"mine", "a/f": b"new", "a/old": b"old", "b/g": b"new"}


@feature(Feature.TREES)
def test_nothing_in_a_tree_is_replaced_when_that_is_forbidden(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", b"old")
    plant(local, {"sent/f": b"new", "received/f": b"mine"})
    with pytest.raises(AlreadyExistsError):
        client.upload_tree(local / "sent", folder, overwrite=False)
    with pytest.raises(AlreadyExistsError):
        client.download_tree(folder, local / "received", overwrite=False)

    assert storage.tree(folder) == {"f": b"old"}
    assert tree(local) == {"sent/f": b"new", "received/f": b"mine"}


@feature(Feature.TREES)
def test_the_first_error_of_a_tree_stops_it_and_leaves_no_parts(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    for number in range(20):
        storage.put(f"{folder}/{number:02d}", b"x" * 1000)
    (local / "received" / "10").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        client.download_tree(folder, local / "received")
    plant(local / "sent", {f"{number:02d}": b"y" for number in range(20)})
    (local / "sent" / "10").unlink()
    (local / "sent" / "10").symlink_to("/does/not/exist")
    with pytest.raises(StorageError):
        client.upload_tree(local / "sent", f"{folder}/up")

    assert not [name for name in tree(local) if name.endswith(".ctapart")]
    assert not [name for name in storage.tree(folder) if name.endswith(".ctapart")]
    assert set(tree(local / "received").values()) <= {b"x" * 1000}
    assert set(storage.tree(f"{folder}/up").values()) <= {b"y"}


@feature(Feature.TREES)
def test_parts_are_left_where_they_are(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/.f.1a2b3c4d.0123.ctapart", b"part")
    storage.put(f"{folder}/f", b"1")
    client.download_tree(folder, local / "received")
    plant(local / "sent", {".g.1a2b3c4d.0123.ctapart": b"part", "g": b"1"})
    client.upload_tree(local / "sent", f"{folder}/up")

    assert tree(local / "received") == {"f": b"1"}
    assert storage.tree(f"{folder}/up") == {"g": b"1"}


@feature(Feature.TREES)
def test_no_link_leads_a_tree_out_of_its_folder(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/sub/f", b"new")
    (local / "outside").mkdir()
    (local / "received").mkdir()
    (local / "received" / "sub").symlink_to(local / "outside")
    with pytest.raises(StorageError, match="outside"):
        client.download_tree(folder, local / "received")

    assert names_in(local / "outside") == []


@feature(Feature.TREES)
def test_a_circle_of_links_is_told(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    plant(local / "sent", {"a/f": b"1"})
    (local / "sent" / "a" / "loop").symlink_to(local / "sent")
    with pytest.raises(StorageError, match="circle"):
        client.upload_tree(local / "sent", folder)

    assert not [name for name in storage.tree(folder) if name.endswith(".ctapart")]

"""Local files: links, pipes, permissions."""

import os
import threading
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, IsADirError, PermissionDeniedError
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage, names_in
from tests.places import unwritable

BIG = 8 * 1024 * 1024


@feature(Feature.LOCAL)
def test_a_download_into_a_folder_that_cannot_be_is_told(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", b"new")
    (local / "file").write_bytes(b"old")
    with pytest.raises(NotADirectoryError):
        client.download(f"{folder}/f", local / "file" / "below")
    with pytest.raises(IsADirError):
        client.download(f"{folder}/f", f"{local}/")

    assert {path.name: path.read_bytes() for path in local.iterdir()} == {"file": b"old"}


@feature(Feature.LOCAL)
def test_a_local_folder_that_may_not_be_written_is_told(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", b"new")
    target = unwritable(local)
    with pytest.raises(PermissionDeniedError, match=str(target)):
        client.download(f"{folder}/f", target / "f")

    assert names_in(local) == []
    assert not (target / "f").exists()


@feature(Feature.LOCAL)
def test_a_link_stays_a_link_and_permissions_stay(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", b"new")
    (local / "real").write_bytes(b"old")
    (local / "real").chmod(0o640)
    (local / "link").symlink_to(local / "real")
    client.download(f"{folder}/f", local / "link")

    assert (local / "link").is_symlink()
    assert (local / "real").read_bytes() == b"new"
    assert (local / "real").stat().st_mode & 0o777 == 0o640
    assert names_in(local) == ["link", "real"]


@feature(Feature.LOCAL)
def test_a_pipe_is_uploaded_whole(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    os.mkfifo(local / "pipe")
    data = os.urandom(BIG // 4)
    writer = threading.Thread(target=(local / "pipe").write_bytes, args=(data,))
    writer.start()
    result = client.upload(local / "pipe", f"{folder}/f")
    writer.join(20)

    assert storage.tree(folder) == {"f": data}
    assert result.size == len(data)

"""What is interrupted leaves nothing behind."""

import os
import threading
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, IsADirError, PermissionDeniedError
from tests.conformance.storage import Storage, names_in

BIG = 8 * 1024 * 1024
PIECE = 64 * 1024


class Stop(Exception):
    """Raised by a callback in the middle of a transfer."""


class StopAfter:
    """A progress callback that stops a transfer after some bytes."""

    def __init__(self, size: int) -> None:
        self.left = size

    def __call__(self, passed: int) -> None:
        self.left -= passed
        if self.left <= 0:
            raise Stop


def test_progress_tells_every_byte(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    (local / "sent").write_bytes(os.urandom(BIG))
    up: list[int] = []
    down: list[int] = []
    client.upload(local / "sent", f"{folder}/f", progress=up.append)
    client.download(f"{folder}/f", local / "received", progress=down.append)

    assert (sum(up), sum(down)) == (BIG, BIG)


@pytest.mark.parametrize("passed", [1, BIG // 2, BIG])
def test_an_interrupted_download_leaves_nothing_and_the_old_file(
    storage: Storage, client: CtaClient, folder: str, local: Path, passed: int
) -> None:
    storage.put(f"{folder}/f", os.urandom(BIG))
    (local / "old").write_bytes(b"old")
    for target in ("old", "new"):
        with pytest.raises(Stop):
            client.download(f"{folder}/f", local / target, progress=StopAfter(passed))

    assert names_in(local) == ["old"]
    assert (local / "old").read_bytes() == b"old"


@pytest.mark.parametrize("passed", [1, BIG // 2, BIG])
def test_an_interrupted_upload_leaves_nothing_and_the_old_file(
    storage: Storage, client: CtaClient, folder: str, local: Path, passed: int
) -> None:
    storage.put(f"{folder}/old", b"old")
    (local / "sent").write_bytes(os.urandom(BIG))
    for target in ("old", "new"):
        with pytest.raises(Stop):
            client.upload(local / "sent", f"{folder}/{target}", progress=StopAfter(passed))

    assert storage.tree(folder) == {"old": b"old"}


def test_a_client_goes_on_after_an_interruption(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    data = os.urandom(BIG)
    (local / "sent").write_bytes(data)
    with pytest.raises(Stop):
        client.upload(local / "sent", f"{folder}/f", progress=StopAfter(PIECE))
    client.upload(local / "sent", f"{folder}/f")
    with pytest.raises(Stop):
        client.download(f"{folder}/f", local / "received", progress=StopAfter(PIECE))
    client.download(f"{folder}/f", local / "received")

    assert storage.tree(folder) == {"f": data}
    assert (local / "received").read_bytes() == data


def test_a_file_can_be_read_while_its_successor_is_written(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", b"old")
    (local / "sent").write_bytes(os.urandom(BIG))
    seen: list[bytes] = []
    half_way, go_on = threading.Event(), threading.Event()

    def hold(passed: int) -> None:
        half_way.set()
        go_on.wait(20)

    def replace() -> None:
        client.upload(local / "sent", f"{folder}/f", progress=hold)

    thread = threading.Thread(target=replace)
    thread.start()
    half_way.wait(20)
    seen.append(storage.get(f"{folder}/f"))
    go_on.set()
    thread.join(20)
    client.download(f"{folder}/f", local / "received")

    assert seen == [b"old"]
    assert (local / "received").read_bytes() == (local / "sent").read_bytes()


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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_local_folder_that_may_not_be_written_is_told(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", b"new")
    local.chmod(0o500)
    with pytest.raises(PermissionDeniedError, match=str(local)):
        client.download(f"{folder}/f", local / "f")

    assert names_in(local) == []


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


def test_a_pipe_is_uploaded_whole(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    os.mkfifo(local / "pipe")
    data = os.urandom(BIG // 4)
    writer = threading.Thread(target=(local / "pipe").write_bytes, args=(data,))
    writer.start()
    result = client.upload(local / "pipe", f"{folder}/f")
    writer.join(20)

    assert storage.tree(folder) == {"f": data}
    assert result.size == len(data)

"""Transfers that are stopped, and wires that are cut, in the middle."""

import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, TransientError
from tests.conformance.features import Feature, feature
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


class CutAfter:
    """A progress callback that cuts the wire after some bytes, once."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._done = False

    def __call__(self, passed: int) -> None:
        self._left -= passed
        if self._left <= 0 and not self._done:
            self._done = True  # a retry counts again from zero
            cut_connections()


def cut_connections() -> None:
    """Cut every TCP connection of this process, in both directions."""
    for descriptor in Path("/dev/fd").iterdir():
        if not descriptor.is_socket():
            continue
        with suppress(OSError), socket.socket(fileno=os.dup(int(descriptor.name))) as wire:
            if wire.type == socket.SOCK_STREAM and wire.family in (socket.AF_INET, socket.AF_INET6):
                wire.getpeername()  # an error for one that listens: a server in this process goes on
                wire.shutdown(socket.SHUT_RDWR)


@feature(Feature.DOWNLOAD_CUT)
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


NAMES = {"old": Feature.UPLOAD_CUT, "new": Feature.UPLOAD_CUT, "old one": Feature.UPLOAD_CUT_BLANK}


def put_old_files(storage: Storage, folder: str) -> dict[str, bytes]:
    """Store the files that an interruption must leave as they are, and return them."""
    old = {"old": b"old", "old one": b"old"}
    for name, data in old.items():
        storage.put(f"{folder}/{name}", data)
    return old


@feature(NAMES)
@pytest.mark.parametrize("passed", [1, BIG // 2, BIG])
@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_upload_leaves_nothing_and_the_old_file(
    storage: Storage, client: CtaClient, folder: str, local: Path, name: str, passed: int
) -> None:
    old = put_old_files(storage, folder)
    (local / "sent").write_bytes(os.urandom(BIG))
    with pytest.raises(Stop):
        client.upload(local / "sent", f"{folder}/{name}", progress=StopAfter(passed))

    assert storage.tree(folder) == old


@feature(NAMES, of_servers=True)
@pytest.mark.parametrize("name", NAMES)
def test_a_cut_wire_leaves_nothing_and_the_old_file(storage: Storage, folder: str, source: Path, name: str) -> None:
    old = put_old_files(storage, folder)
    with storage.client(retries="0") as hasty, pytest.raises(TransientError):
        hasty.upload(source, f"{folder}/{name}", progress=CutAfter(BIG // 2))

    assert storage.tree(folder) == old


@feature(NAMES, of_servers=True)
@pytest.mark.parametrize("name", NAMES)
def test_an_upload_is_whole_although_the_wire_was_cut_once(
    storage: Storage, client: CtaClient, folder: str, source: Path, name: str
) -> None:
    old = put_old_files(storage, folder)
    result = client.upload(source, f"{folder}/{name}", progress=CutAfter(BIG // 2))

    assert result.retries == 1
    assert storage.tree(folder) == old | {name: source.read_bytes()}


@feature(Feature.DOWNLOAD_CUT, of_servers=True)
def test_a_download_is_whole_although_the_wire_was_cut_once(
    storage: Storage, client: CtaClient, folder: str, source: Path, local: Path
) -> None:
    storage.put(f"{folder}/f", source.read_bytes())
    result = client.download(f"{folder}/f", local / "f", progress=CutAfter(1))  # the rest may be here already

    assert result.retries == 1
    assert (local / "f").read_bytes() == source.read_bytes()
    assert names_in(local) == ["f", "sent"]


@feature(Feature.UPLOAD_CUT)
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

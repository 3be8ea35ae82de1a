"""Single files: up and down."""

import os
import zlib
from pathlib import Path

import pytest

from ctadata_providers import AlreadyExistsError, CtaClient, NotFoundError
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage, names_in

CONTENT = b"0123456789abcdefghijklmnopqrstuvwxyz"
BIG = 8 * 1024 * 1024
SIZES = (0, 1, 36, 1024 * 1024 - 1, 1024 * 1024, 3 * 1024 * 1024 + 7)


@feature(Feature.TRANSFER)
@pytest.mark.parametrize("size", SIZES)
def test_a_file_comes_back_as_it_went(storage: Storage, client: CtaClient, folder: str, local: Path, size: int) -> None:
    data = os.urandom(size)
    (local / "sent").write_bytes(data)
    sent = client.upload(local / "sent", f"{folder}/f")
    received = client.download(f"{folder}/f", local / "received")

    assert (local / "received").read_bytes() == data
    assert storage.tree(folder) == {"f": data}
    assert (sent.size, received.size) == (size, size)
    assert sent.checksums == received.checksums == {"adler32": f"{zlib.adler32(data):08x}"}
    assert (sent.path, received.path, received.local) == (f"{folder}/f", f"{folder}/f", local / "received")
    assert (sent.retries, received.retries) == (0, 0)
    assert client.stat(f"{folder}/f").size == size
    assert names_in(local) == ["received", "sent"]


@feature(Feature.TRANSFER)
def test_progress_tells_every_byte(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    (local / "sent").write_bytes(os.urandom(BIG))
    up: list[int] = []
    down: list[int] = []
    client.upload(local / "sent", f"{folder}/f", progress=up.append)
    client.download(f"{folder}/f", local / "received", progress=down.append)

    assert (sum(up), sum(down)) == (BIG, BIG)


@feature(Feature.TRANSFER)
def test_a_listing_saves_the_look_up(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/f", CONTENT)
    (info,) = client.list_dir(folder)
    client.download(info.path, local / "f", info=info)

    assert (local / "f").read_bytes() == CONTENT
    with pytest.raises(ValueError, match="not of"):
        client.download(f"{folder}/other", local / "other", info=info)


@feature(Feature.PARENTS)
def test_missing_parents_are_made_on_both_sides(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    (local / "sent").write_bytes(CONTENT)
    client.upload(local / "sent", f"{folder}/a/b/c/f")
    client.download(f"{folder}/a/b/c/f", local / "x" / "y" / "f")

    assert storage.tree(folder) == {"a/b/c/f": CONTENT}
    assert (local / "x" / "y" / "f").read_bytes() == CONTENT


@feature(Feature.REPLACE)
def test_a_file_is_replaced_whole_by_default(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/f", b"old" * 1000)
    (local / "f").write_bytes(b"old local" * 1000)
    (local / "sent").write_bytes(CONTENT)
    client.upload(local / "sent", f"{folder}/f")
    client.download(f"{folder}/f", local / "f")

    assert storage.tree(folder) == {"f": CONTENT}
    assert (local / "f").read_bytes() == CONTENT


@feature(Feature.KEEP)
def test_nothing_is_replaced_when_that_is_forbidden(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", b"old")
    (local / "sent").write_bytes(CONTENT)
    with pytest.raises(AlreadyExistsError, match=f"{folder}/f"):
        client.upload(local / "sent", f"{folder}/f", overwrite=False)
    with pytest.raises(AlreadyExistsError, match="sent"):
        client.download(f"{folder}/f", local / "sent", overwrite=False)
    client.upload(local / "sent", f"{folder}/new", overwrite=False)
    client.download(f"{folder}/f", local / "new", overwrite=False)

    assert storage.tree(folder) == {"f": b"old", "new": CONTENT}
    assert (local / "sent").read_bytes() == CONTENT
    assert (local / "new").read_bytes() == b"old"


@feature(Feature.MISSING)
def test_what_is_missing_is_said_so(client: CtaClient, folder: str, local: Path) -> None:
    path = f"{folder}/missing"
    acts = (
        lambda: client.stat(path),
        lambda: client.download(path, local / "f"),
        lambda: client.remove(path),
        lambda: client.remove(path, recursive=True),
        lambda: client.checksum(path),
        lambda: client.move(path, f"{folder}/other"),
        lambda: list(client.list_dir(path)),
        lambda: list(client.walk(path)),
        lambda: list(client.glob(f"{path}/*")),
        lambda: client.download_tree(path, local / "tree"),
    )
    for act in acts:
        with pytest.raises(NotFoundError, match=path):
            act()

    assert not client.exists(path)
    assert not client.exists(f"{path}/below")
    assert names_in(local) == []


@feature(Feature.MISSING)
def test_a_missing_local_file_is_said_so(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        client.upload(local / "nothing", f"{folder}/f")
    with pytest.raises(NotFoundError, match="nothing"):
        client.upload_tree(local / "nothing", folder)

    assert storage.tree(folder) == {}
    assert not client.exists(folder)

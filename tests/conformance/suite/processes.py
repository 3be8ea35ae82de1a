"""An upload by another process: killed half-way, and read meanwhile."""

import threading
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, CtaError
from ctadata_providers.backends import Backend
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage, names_in
from tests.conformance.writer import half_way_up


@feature(Feature.UPLOAD_KILLED, of_servers=True)
@pytest.mark.parametrize("name", ["old", "new"])
def test_a_killed_upload_leaves_the_old_file_and_the_next_one_tidies_up(
    storage: Storage, client: CtaClient, folder: str, source: Path, name: str
) -> None:
    storage.put(f"{folder}/old", b"old")
    with half_way_up(storage, source, f"{folder}/{name}") as writer:
        writer.kill()
    left = [info.name for info in client.list_dir(folder)]
    old = storage.get(f"{folder}/old")
    client.upload(source, f"{folder}/{name}")

    assert left == ["old"]
    assert old == b"old"
    assert storage.tree(folder) == {"old": b"old"} | {name: source.read_bytes()}


@feature(Feature.READ_WHILE_WRITTEN, of_servers=True)
def test_the_old_file_is_read_while_another_process_replaces_it(
    storage: Storage, client: CtaClient, folder: str, source: Path, local: Path
) -> None:
    storage.put(f"{folder}/old", b"old")
    with half_way_up(storage, source, f"{folder}/old") as writer:
        client.download(f"{folder}/old", local / "before")
        size = client.stat(f"{folder}/old").size
        listed = [info.name for info in client.list_dir(folder)]
        writer.finish()
    client.download(f"{folder}/old", local / "after")

    assert (local / "before").read_bytes() == b"old"
    assert size == 3
    assert listed == ["old"]
    assert (local / "after").read_bytes() == source.read_bytes()


@feature(Feature.READ_WHILE_WRITTEN, of_servers=True)
def test_a_new_file_is_not_there_before_it_is_whole(
    storage: Storage, client: CtaClient, folder: str, source: Path
) -> None:
    storage.put(f"{folder}/old", b"old")
    with half_way_up(storage, source, f"{folder}/new") as writer:
        meanwhile = client.exists(f"{folder}/new")
        writer.finish()

    assert not meanwhile
    assert client.stat(f"{folder}/new").size == source.stat().st_size
    assert set(storage.tree(folder)) == {"old", "new"}
    assert names_in(source.parent) == ["sent"]


SIZE = 1_500_000
REPLACED = 8
GONE = {
    "fakecta": {404},
    "wsgidav": {404, 500},  # 500 when the file goes between its look and its opening
    "apache": {404, 403},  # 403 when the file comes between its look and its opening
    "apache-tls": {404, 403},
}
"""Storages that remove the old file before they rename (dCache by its source): what they answer while there is none."""


@feature(Feature.READ_WHILE_WRITTEN, of_servers=True)
def test_who_reads_in_a_loop_sees_the_old_file_or_the_new_one_and_never_half(
    storage: Storage, client: CtaClient, backend: Backend, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", bytes(SIZE))
    seen: list[bytes | CtaError] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            pieces: list[bytes] = []
            try:
                backend.read(f"{folder}/f", pieces.append).result()
            except CtaError as error:
                seen.append(error)
            else:
                seen.append(b"".join(pieces))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, REPLACED + 1):
            (local / "new").write_bytes(bytes([number]) * SIZE)
            client.upload(local / "new", f"{folder}/f")
    finally:
        done.set()
        reader.join()

    versions = [bytes([number]) * SIZE for number in range(REPLACED + 1)]
    answered = GONE.get(storage.name, set())
    wrong = [one for one in seen if one not in versions and getattr(one, "status", None) not in answered]
    assert [one if isinstance(one, CtaError) else len(one) for one in wrong] == []
    order = [versions.index(one) for one in seen if one in versions]
    assert order == sorted(order)
    assert len(order) > 1

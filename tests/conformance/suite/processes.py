"""An upload by another process: killed half-way, and read meanwhile."""

from pathlib import Path

import pytest

from ctadata_providers import CtaClient
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

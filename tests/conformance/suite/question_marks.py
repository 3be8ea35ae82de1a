"""Every operation on a name with `?`, which some servers cut: it is literal, or refused, and never meets another."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import CtaClient
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage

Act = Callable[[CtaClient, str, Path], object]


def _upload(client: CtaClient, path: str, local: Path) -> None:
    (local / "sent").write_bytes(b"new")
    client.upload(local / "sent", path)


def _move_onto(client: CtaClient, path: str, local: Path) -> None:
    client.move(path.replace("q?x", "other"), path, overwrite=True)


ON_FILES: dict[str, Act] = {
    "stat": lambda client, path, local: client.stat(path),
    "exists": lambda client, path, local: client.exists(path),
    "checksum": lambda client, path, local: client.checksum(path),
    "download": lambda client, path, local: client.download(path, local / "received"),
    "upload": _upload,
    "remove": lambda client, path, local: client.remove(path),
    "move onto": _move_onto,
    "move away": lambda client, path, local: client.move(path, path.replace("q?x", "elsewhere")),
}
ON_FOLDERS: dict[str, Act] = {
    "list_dir": lambda client, path, local: list(client.list_dir(path)),
    "download_tree": lambda client, path, local: client.download_tree(path, local / "received"),
    "upload_tree": lambda client, path, local: client.upload_tree(local, path),
    "remove recursively": lambda client, path, local: client.remove(path, recursive=True),
}
ON_NOTHING: dict[str, Act] = {
    "exists": lambda client, path, local: client.exists(path),
    "upload": _upload,
    "move to": _move_onto,
    "make_dir": lambda client, path, local: client.make_dir(path),
    "make_dir with parents": lambda client, path, local: client.make_dir(f"{path}/new", parents=True),
}
CASES = {
    f"{name} {there}": (there, act)
    for there, acts in {"a file": ON_FILES, "a folder": ON_FOLDERS, "nothing": ON_NOTHING}.items()
    for name, act in acts.items()
}


@feature(Feature.NAME_QUESTION)
@pytest.mark.parametrize("neighbour", ["q", "q/f"])
@pytest.mark.parametrize("case", CASES)
def test_every_operation_takes_a_question_mark_literally(
    storage: Storage, folder: str, local: Path, case: str, neighbour: str
) -> None:
    there, act = CASES[case]
    storage.put(f"{folder}/{neighbour}", b"untouched")
    storage.put(f"{folder}/other", b"other")
    if there != "nothing":
        storage.put(f"{folder}/q?x" if there == "a file" else f"{folder}/q?x/inner", b"literal")
    try:
        with storage.client() as fresh:  # at first a client does not know the server
            act(fresh, f"{folder}/q?x", local)
    finally:  # also where it is refused
        tree = storage.tree(folder)

        assert tree[neighbour] == b"untouched"
        assert {name for name in tree if name.split("/")[0] == "q"} == {neighbour}

"""Names are literal."""

from pathlib import Path

import pytest

from ctadata_providers import CtaClient
from tests.conformance.storage import Storage

NAMES = (
    *(
        "a b",
        " a",
        "h#h",
        "p%41q",
        "%",
        "%2F",
        "a+b",
        "[x]",
        "it's",
        "a&b;c=d",
        "a;b",
        "ü",
        "xü",
        "日本",
        "e\u0301",
        "q?x",
    ),
    *('a"b', "<x>", "a\\b", "a:b", "~", "$HOME", "-rf", "*", "a..b", ".hidden", "x" * 200, "a,b@c", "{}", "`", "^|"),
)
NEIGHBOURS = {"h#h": "h", "p%41q": "pAq", "xü": "x", "q?x": "q", "a;b": "a", "a+b": "a b", "t ": "t", "%2F": "_"}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_literal(storage: Storage, client: CtaClient, folder: str, local: Path, name: str) -> None:
    path = f"{folder}/{name}"
    (local / "sent").write_text(name)
    client.upload(local / "sent", path)
    client.download(path, local / "received")
    stored = storage.tree(folder)
    listed = [(info.path, info.name, info.size, info.is_dir) for info in client.list_dir(folder)]
    told = client.stat(path)
    client.remove(path)

    assert stored == {name: name.encode()}
    assert (local / "received").read_text() == name
    assert listed == [(path, name, len(name.encode()), False)]
    assert (told.path, told.uri) == (path, f"cta:/{path}")
    assert storage.tree(folder) == {}


@pytest.mark.parametrize("name", sorted(NEIGHBOURS))
def test_a_special_name_leaves_its_neighbour_alone(storage: Storage, folder: str, local: Path, name: str) -> None:
    neighbour = NEIGHBOURS[name]
    storage.put(f"{folder}/{neighbour}", b"untouched")
    (local / "sent").write_bytes(b"new")
    for _ in range(2):  # at first a client does not know the server
        with storage.client() as fresh:
            fresh.upload(local / "sent", f"{folder}/{name}")

    assert storage.tree(folder) == {neighbour: b"untouched", name: b"new"}


@pytest.mark.parametrize("name", sorted(NEIGHBOURS))
def test_moving_to_a_special_name_leaves_its_neighbour_alone(
    storage: Storage, client: CtaClient, folder: str, name: str
) -> None:
    neighbour = NEIGHBOURS[name]
    storage.put(f"{folder}/{neighbour}", b"untouched")
    storage.put(f"{folder}/other", b"new")
    client.move(f"{folder}/other", f"{folder}/{name}")
    moved = storage.tree(folder)
    client.move(f"{folder}/{name}", f"{folder}/other")

    assert moved == {neighbour: b"untouched", name: b"new"}
    assert storage.tree(folder) == {neighbour: b"untouched", "other": b"new"}


@pytest.mark.parametrize("name", sorted(NEIGHBOURS))
def test_removing_a_special_name_leaves_its_neighbour_alone(
    storage: Storage, client: CtaClient, folder: str, name: str
) -> None:
    storage.put(f"{folder}/{NEIGHBOURS[name]}", b"untouched")
    storage.put(f"{folder}/{name}", b"new")
    client.remove(f"{folder}/{name}")

    assert storage.tree(folder) == {NEIGHBOURS[name]: b"untouched"}


@pytest.mark.parametrize("name", ["a b", "h#h", "p%41q", "a&b;c=d", "日本", "[x]", "q?x"])
def test_a_tree_with_a_special_name_comes_back(
    storage: Storage, client: CtaClient, folder: str, local: Path, name: str
) -> None:
    (local / "sent" / name / name).mkdir(parents=True)
    (local / "sent" / name / name / name).write_text(name)
    client.upload_tree(local / "sent", f"{folder}/{name}")
    client.download_tree(f"{folder}/{name}", local / "received")
    walked = [info.path.removeprefix(folder + "/") for info in client.walk(folder)]
    client.remove(f"{folder}/{name}/{name}", recursive=True)

    assert (local / "received" / name / name / name).read_text() == name
    assert walked == ["/".join([name] * depth) for depth in range(1, 5)]
    assert storage.tree(folder) == {}

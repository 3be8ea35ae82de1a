"""Names are literal."""

import errno
from pathlib import Path

import pytest

from ctadata_providers import CtaClient, StorageError
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage

NAMES = {
    **dict.fromkeys(("plain.fits", "x" * 200, "a..b", "~"), Feature.NAME_PLAIN),
    **dict.fromkeys(("a b", " a", "t "), Feature.NAME_BLANK),
    "h#h": Feature.NAME_HASH,
    **dict.fromkeys(("p%41q", "%", "%2F"), Feature.NAME_PERCENT),
    "a+b": Feature.NAME_PLUS,
    "[x]": Feature.NAME_BRACKETS,
    "it's": Feature.NAME_QUOTE,
    **dict.fromkeys(("a&b;c=d", "a;b"), Feature.NAME_PARAMETERS),
    **dict.fromkeys(("ü", "xü", "日本", "e\u0301"), Feature.NAME_UNICODE),
    "q?x": Feature.NAME_QUESTION,
    ".hidden": Feature.NAME_DOT,
    **dict.fromkeys(('a"b', "<x>", "a\\b", "a:b", "$HOME", "-rf", "*", "a,b@c", "{}", "`", "^|"), Feature.NAME_OTHER),
}
NEIGHBOURS = {"h#h": "h", "p%41q": "pAq", "xü": "x", "q?x": "q", "a;b": "a", "a+b": "a b", "t ": "t", "%2F": "_"}
IN_TREES = ("a b", "h#h", "p%41q", "a+b", "[x]", "it's", "a&b;c=d", "ü", "日本", "q?x")


@feature(NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_literal(storage: Storage, client: CtaClient, folder: str, local: Path, name: str) -> None:
    path = f"{folder}/{name}"
    (local / "sent").write_text(name)
    client.upload(local / "sent", path)
    client.download(path, local / "received")
    stored = storage.tree(folder)
    listed = [(info.path, info.name, info.size, info.is_dir) for info in client.list_dir(folder)]
    told = client.stat(path)

    assert stored == {name: name.encode()}
    assert (local / "received").read_text() == name
    assert listed == [(path, name, len(name.encode()), False)]
    assert (told.path, told.uri) == (path, f"cta:/{path}")


@feature(NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_removed_literally(storage: Storage, client: CtaClient, folder: str, name: str) -> None:
    storage.put(f"{folder}/{name}", b"1")
    client.remove(f"{folder}/{name}")

    assert storage.tree(folder) == {}


@feature(Feature.NAME_PLAIN, of_servers=True)
@pytest.mark.parametrize("size", [10, 2_000_000], ids=["small", "large"])
def test_a_name_that_is_too_long_is_told(
    storage: Storage, client: CtaClient, folder: str, local: Path, size: int
) -> None:
    storage.put(f"{folder}/f", b"data")
    (local / "sent").write_bytes(bytes(size))
    with pytest.raises(StorageError, match="256 bytes") as caught:
        client.upload(local / "sent", f"{folder}/{'x' * 256}")

    assert caught.value.errno == errno.ENAMETOOLONG
    assert storage.tree(folder) == {"f": b"data"}


@feature(NAMES)
@pytest.mark.parametrize("name", sorted(NEIGHBOURS))
def test_a_special_name_leaves_its_neighbour_alone(storage: Storage, folder: str, local: Path, name: str) -> None:
    neighbour = NEIGHBOURS[name]
    storage.put(f"{folder}/{neighbour}", b"untouched")
    (local / "sent").write_bytes(b"new")
    for _ in range(2):  # at first a client does not know the server
        with storage.client() as fresh:
            fresh.upload(local / "sent", f"{folder}/{name}")

    assert storage.tree(folder) == {neighbour: b"untouched", name: b"new"}


@feature(NAMES)
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


@feature(NAMES)
@pytest.mark.parametrize("name", sorted(NEIGHBOURS))
def test_removing_a_special_name_leaves_its_neighbour_alone(
    storage: Storage, client: CtaClient, folder: str, name: str
) -> None:
    storage.put(f"{folder}/{NEIGHBOURS[name]}", b"untouched")
    storage.put(f"{folder}/{name}", b"new")
    client.remove(f"{folder}/{name}")

    assert storage.tree(folder) == {NEIGHBOURS[name]: b"untouched"}


@feature(NAMES)
@pytest.mark.parametrize("name", IN_TREES)
def test_a_new_folder_with_a_special_name_is_there_at_once(
    storage: Storage, client: CtaClient, folder: str, name: str
) -> None:
    client.make_dir(f"{folder}/{name}", parents=True)

    assert client.stat(f"{folder}/{name}").is_dir
    assert [info.name for info in client.list_dir(folder)] == [name]
    assert list(client.list_dir(f"{folder}/{name}")) == []


@feature(NAMES)
@pytest.mark.parametrize("name", IN_TREES)
def test_a_tree_with_a_special_name_comes_back(
    storage: Storage, client: CtaClient, folder: str, local: Path, name: str
) -> None:
    (local / "sent" / name / name).mkdir(parents=True)
    (local / "sent" / name / name / name).write_text(name)
    client.upload_tree(local / "sent", f"{folder}/{name}")
    client.download_tree(f"{folder}/{name}", local / "received")
    walked = [info.path.removeprefix(folder + "/") for info in client.walk(folder)]

    assert (local / "received" / name / name / name).read_text() == name
    assert walked == ["/".join([name] * depth) for depth in range(1, 5)]


@feature(NAMES)
@pytest.mark.parametrize("name", IN_TREES)
def test_a_tree_with_a_special_name_is_removed(storage: Storage, client: CtaClient, folder: str, name: str) -> None:
    storage.put(f"{folder}/{name}/{name}/{name}", b"1")
    client.remove(f"{folder}/{name}/{name}", recursive=True)

    assert storage.tree(folder) == {}

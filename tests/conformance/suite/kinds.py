"""A file where a folder is meant, and the reverse."""

from pathlib import Path

import pytest

from ctadata_providers import AlreadyExistsError, CtaClient, IsADirError, NotADirError, NotFoundError
from tests.conformance.features import Feature, feature
from tests.conformance.storage import Storage, names_in

CONTENT = b"0123456789"


@feature(Feature.KINDS)
def test_a_folder_is_no_file(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/sub/f", CONTENT)
    (local / "sent").write_bytes(CONTENT)
    (local / "sub").mkdir()
    acts = (
        lambda: client.download(f"{folder}/sub", local / "f"),
        lambda: client.download(f"{folder}/sub/f", local / "sub"),
        lambda: client.upload(local / "sent", f"{folder}/sub"),
        lambda: client.upload(local / "sent", f"{folder}/sub", overwrite=False),
        lambda: client.upload(local / "sent", f"{folder}/new/"),
        lambda: client.upload(local / "sub", f"{folder}/f"),
        lambda: client.checksum(f"{folder}/sub"),
    )
    for act in acts:
        with pytest.raises(IsADirError):
            act()

    assert storage.tree(folder) == {"sub/f": CONTENT}
    assert names_in(local) == ["sent", "sub"]


@feature(Feature.KINDS)
def test_a_file_is_no_folder(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/f", CONTENT)
    (local / "sent").write_bytes(CONTENT)
    (local / "tree").mkdir()
    acts = (
        lambda: list(client.list_dir(f"{folder}/f")),
        lambda: list(client.list_dir(f"{folder}/f/")),
        lambda: list(client.walk(f"{folder}/f")),
        lambda: list(client.glob(f"{folder}/f/*")),
        lambda: client.stat(f"{folder}/f/"),
        lambda: client.download_tree(f"{folder}/f", local / "out"),
        lambda: client.download_tree(folder, local / "sent"),
        lambda: client.upload_tree(local / "tree", f"{folder}/f"),
        lambda: client.upload_tree(local / "sent", f"{folder}/new"),
        lambda: client.upload(local / "sent", f"{folder}/f/below"),
        lambda: client.upload(local / "sent", f"{folder}/f/far/below"),
        lambda: client.make_dir(f"{folder}/f/below"),
        lambda: client.make_dir(f"{folder}/f/far/below", parents=True),
        lambda: client.make_dir(f"{folder}/f", parents=True),
    )
    for act in acts:
        with pytest.raises(NotADirError):
            act()

    assert not client.exists(f"{folder}/f/")
    assert not client.exists(f"{folder}/f/below")
    assert storage.tree(folder) == {"f": CONTENT}
    assert names_in(local) == ["sent", "tree"]


@feature(Feature.KINDS)
def test_below_a_file_there_is_nothing(storage: Storage, client: CtaClient, folder: str, local: Path) -> None:
    storage.put(f"{folder}/f", CONTENT)
    for path in (f"{folder}/f/below", f"{folder}/f/far/below"):
        acts = (
            lambda path=path: client.stat(path),
            lambda path=path: list(client.list_dir(path)),
            lambda path=path: client.checksum(path),
            lambda path=path: client.download(path, local / "f"),
            lambda path=path: client.download_tree(path, local / "tree"),
            lambda path=path: client.remove(path),
            lambda path=path: client.remove(path, recursive=True),
            lambda path=path: client.move(path, f"{folder}/g"),
        )
        for act in acts:
            with pytest.raises((NotFoundError, NotADirError)):
                act()

    assert storage.tree(folder) == {"f": CONTENT}
    assert names_in(local) == []


@feature(Feature.KINDS)
def test_a_trailing_slash_means_a_folder_and_spares_a_file(
    storage: Storage, client: CtaClient, folder: str, local: Path
) -> None:
    storage.put(f"{folder}/f", CONTENT)
    (info,) = client.list_dir(folder)
    acts = (
        lambda: client.remove(f"{folder}/f/"),
        lambda: client.remove(f"{folder}/f/", recursive=True),
        lambda: client.move(f"{folder}/f/", f"{folder}/g"),
        lambda: client.checksum(f"{folder}/f/"),
        lambda: client.download(f"{folder}/f/", local / "f"),
    )
    for act in acts:
        with pytest.raises((NotADirError, IsADirError)):
            act()

    assert storage.tree(folder) == {"f": CONTENT}
    assert info.path == f"{folder}/f"


@feature(Feature.KINDS)
def test_a_file_in_the_way_of_a_folder_is_never_right(storage: Storage, client: CtaClient, folder: str) -> None:
    storage.put(f"{folder}/f", b"1")
    for flags in ({}, {"exist_ok": True}, {"parents": True}, {"parents": True, "exist_ok": True}):
        with pytest.raises((AlreadyExistsError, NotADirError), match=f"{folder}/f"):
            client.make_dir(f"{folder}/f", **flags)

    assert storage.tree(folder) == {"f": b"1"}

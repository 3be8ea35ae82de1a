"""Symbolic links that another user has put where everybody may write: nothing of ours is written through them."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import AlreadyExistsError, CtaClient, PermissionDeniedError, StorageError
from tests.faults.cells import parts_in
from tests.faults.scripted import Door

PATH = "/night/events.fits"
STRANGER, OTHER = 12001, 12002
Open = Callable[..., Door]
Client = Callable[..., CtaClient]
Link = Callable[..., Path]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the files of another user")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder like `/tmp`."""
    folder = tmp_path / "world"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of ours, with a file."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / ".bashrc").write_bytes(b"own")
    return folder


@pytest.fixture
def link(world: Path) -> Link:
    """Make a link of another user in the folder of all."""

    def made(name: str, to: Path | str, *, owner: int = STRANGER) -> Path:
        place = world / name
        place.symlink_to(to)
        os.lchown(place, owner, owner)
        return place

    return made


def content(folder: Path) -> dict[str, bytes]:
    return {place.name: place.read_bytes() for place in folder.iterdir()}


@pytest.mark.parametrize("size", [3, 300_000, 3_000_000])
@pytest.mark.parametrize("name", [".bashrc", ".bash_login"])
def test_what_another_user_has_linked_to_is_not_written(
    name: str, size: int, open_door: Open, client_of: Client, link: Link, own: Path
) -> None:
    door = open_door(files={PATH: bytes(size)})
    planted = link("result.fits", own / name)
    with pytest.raises(PermissionDeniedError, match=rf"link {planted} belongs to another user.*; name ") as told:
        client_of(door).download(PATH, planted)

    assert told.value.path == str(planted)
    assert content(own) == {".bashrc": b"own"}
    assert parts_in(planted.parent) == []


def test_many_small_files_are_not_written_through_one_either(
    open_door: Open, client_of: Client, link: Link, own: Path
) -> None:
    door = open_door(files={f"/night/{number}.fits": b"new" for number in range(20)})
    planted = link("7.fits", own / ".bashrc")
    client = client_of(door)
    files = [(info, planted.with_name(info.name)) for info in client.list_dir("/night")]
    refused = {
        place.name: outcome.exception() for (_, place), outcome in client.download_many(files) if outcome.exception()
    }

    assert list(refused) == ["7.fits"]
    assert isinstance(refused["7.fits"], PermissionDeniedError)
    assert content(own) == {".bashrc": b"own"}


def test_a_link_that_is_ours_does_not_lead_through_one_of_another_user(
    open_door: Open, client_of: Client, link: Link, own: Path, tmp_path: Path
) -> None:
    door = open_door(files={PATH: b"new"})
    planted = link("second", own / ".bashrc")
    first = tmp_path / "first"
    first.symlink_to(os.path.relpath(planted, tmp_path))
    with pytest.raises(PermissionDeniedError, match=rf"symbolic link {planted} "):
        client_of(door).download(PATH, first)

    assert content(own) == {".bashrc": b"own"}


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("below", ["new.fits", "new/new.fits"])
def test_a_folder_that_another_user_has_linked_to_is_not_written_into(
    below: str,
    relative: bool,
    open_door: Open,
    client_of: Client,
    link: Link,
    own: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = open_door(files={PATH: b"new"})
    planted = link("out", own)
    monkeypatch.chdir(planted.parent)
    with pytest.raises(PermissionDeniedError, match=rf"symbolic link {planted} "):
        client_of(door).download(PATH, (Path("out") if relative else planted) / below)

    assert content(own) == {".bashrc": b"own"}


@pytest.mark.parametrize("act", ["download_tree", "sync"])
@pytest.mark.parametrize("whole", [True, False])
def test_trees_are_not_written_through_one_either(
    act: str, whole: bool, open_door: Open, client_of: Client, link: Link, own: Path
) -> None:
    door = open_door(files={"/tree/sub/.bashrc": b"new", "/tree/.bashrc": b"new"})
    target = link("out", own) if whole else link(".bashrc", own / ".bashrc").parent
    client = client_of(door)
    with pytest.raises(StorageError, match="link"):
        client.download_tree("/tree", target) if act == "download_tree" else client.sync("cta:///tree", target)

    assert content(own) == {".bashrc": b"own"}


@pytest.mark.parametrize("owner", ["we", "the folder's"])
def test_links_of_ours_and_of_whoever_has_the_folder_are_followed(
    owner: str, open_door: Open, client_of: Client, link: Link, own: Path, world: Path
) -> None:
    door = open_door(files={PATH: b"new"})
    os.chown(world, OTHER, OTHER)
    kept = link("kept", own / ".bashrc", owner=0 if owner == "we" else OTHER)
    new = link("new", "../own/new", owner=0 if owner == "we" else OTHER)
    folder = link("folder", own, owner=0 if owner == "we" else OTHER)
    for place in (kept, new, folder / "third"):
        client_of(door).download(PATH, place)

    assert content(own) == {".bashrc": b"new", "new": b"new", "third": b"new"}
    assert kept.is_symlink()
    assert new.is_symlink()


@pytest.mark.parametrize("mode", [0o777, 0o1775, 0o755])
def test_elsewhere_than_in_such_a_folder_the_link_of_another_user_is_followed(
    mode: int, open_door: Open, client_of: Client, link: Link, own: Path, world: Path
) -> None:
    door = open_door(files={PATH: b"new"})
    world.chmod(mode)
    client_of(door).download(PATH, link("kept", own / ".bashrc"))

    assert content(own) == {".bashrc": b"new"}


def test_a_link_that_leads_nowhere_counts_as_there(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door = open_door(files={PATH: b"new"})
    link = tmp_path / "link"
    link.symlink_to("named")
    with pytest.raises(AlreadyExistsError):
        client_of(door).download(PATH, link, overwrite=False)
    assert not (tmp_path / "named").exists()
    client_of(door).download(PATH, link)

    assert (tmp_path / "named").read_bytes() == b"new"
    assert link.is_symlink()


def test_a_link_that_appears_meanwhile_is_not_replaced_where_there_are_no_hard_links(
    open_door: Open, client_of: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        (tmp_path / "f").symlink_to("nowhere")
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    door = open_door(files={PATH: b"new"})
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageError):
        client_of(door).download(PATH, tmp_path / "f", overwrite=False)

    assert (tmp_path / "f").is_symlink()


def test_links_in_a_circle_are_told(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StorageError, match=r"cannot write .*/a: Too many levels of symbolic links"):
        client_of(open_door(files={PATH: b"new"})).download(PATH, tmp_path / "a")


@pytest.mark.parametrize("size", [3, 3_000_000])
def test_a_link_that_is_put_there_before_the_folder_is_made_is_not_followed_either(
    size: int, open_door: Open, client_of: Client, link: Link, own: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def slow(folder: Path, *args: int, **options: bool) -> None:
        if folder == world / "out" and not folder.is_symlink():
            link("out", own)
        real(folder, *args, **options)

    client = client_of(open_door(files={PATH: bytes(size)}))
    monkeypatch.setattr(Path, "mkdir", slow)
    with pytest.raises(PermissionDeniedError, match="symbolic link"):
        client.download(PATH, world / "out" / ".bashrc")

    assert content(own) == {".bashrc": b"own"}

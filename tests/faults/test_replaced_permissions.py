"""A file that replaces another one: who may read, write and run it."""

import errno
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import CtaClient
from tests.faults.cells import parts_in
from tests.faults.scripted import Door
from tests.places import another_group

PATH = "/night/events.fits"
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.mark.parametrize("size", [3, 300_000, 3_000_000])
def test_what_has_arrived_runs_as_nobody_else(size: int, open_door: Open, client_of: Client, target: Path) -> None:
    door = open_door(files={PATH: bytes(size)})
    target.chmod(0o6755)  # by whoever it belongs to, where several write into a folder
    client_of(door).download(PATH, target)

    assert stat.S_IMODE(target.stat().st_mode) == 0o755


@pytest.mark.parametrize("size", [3, 300_000, 3_000_000])
@pytest.mark.parametrize(("allowed", "mode"), [(True, 0o654), (False, 0o644)])
def test_a_file_keeps_its_group_or_the_other_group_may_no_more_than_anybody(
    allowed: bool,
    mode: int,
    size: int,
    open_door: Open,
    client_of: Client,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    door = open_door(tls=False, files={PATH: bytes(size)})
    group, own = another_group(), target.stat().st_gid
    os.chown(target, -1, group)
    target.chmod(0o654)
    if not allowed:
        monkeypatch.setattr(os, "fchown", refuse)  # who is not of a group can give it nothing
    seen: set[int] = set()

    def look(_: int) -> None:
        seen.update(Path(place).stat().st_mode & 0o077 for place in parts_in(target.parent))

    client_of(door).download(PATH, target, progress=look)

    found = target.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (mode, group if allowed else own)
    assert seen <= {0}  # the bytes on their way are not for the group of the part


def test_a_file_system_without_permissions_takes_files_that_replace_others(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    target.write_bytes(b"old")
    monkeypatch.setattr(os, "fchmod", refuse)
    client_of(open_door(files={PATH: payload})).download(PATH, target)

    assert target.read_bytes() == payload


ACL = "system.posix_acl_access"


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Return an access control list: version 2, then tag, permissions and number of each entry (acl(5))."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_a_file_that_replaces_one_with_an_access_control_list_has_it_too(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    nobody = 0xFFFFFFFF
    rights = acl((1, 6, nobody), (2, 4, 65534), (4, 0, nobody), (16, 4, nobody), (32, 0, nobody))
    target.write_bytes(b"old")
    try:
        os.setxattr(target, ACL, rights)
    except OSError:
        pytest.skip("no access control lists on this file system")
    client_of(open_door(files={PATH: payload})).download(PATH, target)

    assert (target.read_bytes(), os.getxattr(target, ACL)) == (payload, rights)


def test_a_list_gives_nothing_to_a_group_that_the_old_file_was_not_of(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    nobody = 0xFFFFFFFF
    target.write_bytes(b"old")
    os.chown(target, -1, another_group())
    try:
        os.setxattr(target, ACL, acl((1, 6, nobody), (2, 4, 65534), (4, 4, nobody), (16, 4, nobody), (32, 0, nobody)))
    except OSError:
        pytest.skip("no access control lists on this file system")
    monkeypatch.setattr(os, "fchown", refuse)
    client_of(open_door(files={PATH: payload})).download(PATH, target)

    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (payload, 0o600)
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(target, ACL)


def test_what_a_folder_gives_to_new_files_is_not_given_to_one_that_replaces_another(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    nobody = 0xFFFFFFFF
    target.write_bytes(b"old")
    target.chmod(0o640)
    try:
        default = acl((1, 7, nobody), (2, 7, 65534), (4, 5, nobody), (16, 7, nobody), (32, 0, nobody))
        os.setxattr(target.parent, "system.posix_acl_default", default)
    except OSError:
        pytest.skip("no access control lists on this file system")
    client_of(open_door(files={PATH: payload})).download(PATH, target)

    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (payload, 0o640)
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(target, ACL)

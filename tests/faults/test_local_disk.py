"""The local side breaks: full disk, no permission, folders in the way, names that cannot be."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers import (
    AlreadyExistsError,
    CtaClient,
    CtaError,
    IntegrityError,
    IsADirError,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    StorageError,
)
from tests.faults.cells import assert_absent, parts_at, parts_in
from tests.faults.scripted import Door
from tests.places import unwritable

PATH = "/night/events.fits"
Open = Callable[..., Door]
Client = Callable[..., CtaClient]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the operating system refuse to write parts after some bytes of them; a first write may be short."""
    real = os.write

    def make(room: int, number: int = errno.ENOSPC) -> None:
        left = room

        def write(fd: int, data: bytes) -> int:
            nonlocal left
            if Path(f"/proc/self/fd/{fd}").readlink().suffix != ".ctapart":
                return real(fd, data)
            if left <= 0:
                raise OSError(number, os.strerror(number))
            written = real(fd, bytes(data)[:left])
            left -= written
            return written

        monkeypatch.setattr(os, "write", write)

    return make


@pytest.mark.parametrize("room", [0, 1, 100_000])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_is_a_quota_error(
    room: int,
    number: int,
    full_disk: Callable[..., None],
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)
    full_disk(room, number)

    error = assert_absent(lambda: client.download(PATH, target), QuotaError, str(target), target)

    assert "space" in (error.remedy or "")
    assert len(door.requests("GET")) == 1


def test_a_disk_error_is_no_fault_of_the_network(
    full_disk: Callable[..., None], open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)
    full_disk(10, errno.EIO)

    error = assert_absent(lambda: client.download(PATH, target), StorageError, str(target), target)

    assert isinstance(error, OSError)
    assert error.errno == errno.EIO
    assert len(door.requests("GET")) == 1


def test_a_disk_from_which_nothing_can_be_removed_either_is_told_by_its_first_error(
    full_disk: Callable[..., None],
    open_door: Open,
    client_of: Client,
    target: Path,
    payload: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)
    full_disk(10, errno.EIO)

    def refuse(path: object, **_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        with pytest.raises(StorageError) as caught:
            client.download(PATH, target)

    assert caught.value.errno == errno.EIO
    assert str(target) in str(caught.value)


def test_a_file_larger_than_the_free_space_is_refused_before_a_byte(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload}, sizes={PATH: 10**18})
    client = client_of(door)

    error = assert_absent(lambda: client.download(PATH, target), QuotaError, str(target), target)

    assert "1000000000000000000" in str(error)
    assert door.requests("GET") == []


def refused(act: Callable[[], object], kind: type[CtaError], place: Path | str) -> CtaError:
    with pytest.raises(kind) as caught:
        act()

    assert str(place) in str(caught.value)
    assert caught.value.remedy
    return caught.value


def test_a_target_that_is_a_folder_is_refused_before_a_byte(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)

    refused(lambda: client.download(PATH, target.parent), IsADirError, target.parent)
    refused(lambda: client.download(PATH, f"{target.parent}/"), IsADirError, target.parent)

    assert target.read_bytes() == b"old"
    assert parts_in(target.parent) == []
    assert door.requests("GET") == []


def test_a_target_below_a_file_is_refused(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)

    refused(lambda: client.download(PATH, target / "below"), NotADirError, target)

    assert target.read_bytes() == b"old"


@pytest.mark.parametrize("length", [256, 5000])
def test_a_name_that_is_too_long_is_one_clear_error(
    length: int, open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)

    error = refused(lambda: client.download(PATH, target.parent / ("n" * length)), StorageError, "nnn")

    assert isinstance(error, OSError)
    assert error.errno == errno.ENAMETOOLONG
    assert [place.name for place in target.parent.iterdir()] == [target.name]


def test_the_longest_name_works(open_door: Open, client_of: Client, target: Path, payload: bytes) -> None:
    name = "ü" * 127 + "n"
    door = open_door(files={f"/night/{name}": payload})
    client = client_of(door)

    client.download(f"/night/{name}", target.parent / name)
    client.upload(target.parent / name, f"/night/{name}")

    assert (target.parent / name).read_bytes() == payload
    assert door.files == {f"/night/{name}": payload}
    assert parts_in(target.parent) == []


def test_a_folder_that_cannot_be_written_is_refused(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)
    forbidden = unwritable(target.parent) / target.name

    refused(lambda: client.download(PATH, forbidden), PermissionDeniedError, forbidden)

    assert target.read_bytes() == b"old"
    assert door.requests("GET") == []


def test_a_file_that_only_somebody_else_can_replace_is_refused_before_it_is_fetched(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(files={PATH: payload})
    client, new = client_of(door), target.with_name("new")
    target.parent.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    refused(lambda: client.download(PATH, target), PermissionDeniedError, target)

    assert target.read_bytes() == b"old"
    assert door.requests("GET") == []
    client.download(PATH, new)

    assert new.read_bytes() == payload


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_read_only_place_is_a_permission_error(
    number: int, open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)
    client.stat(PATH)
    real = os.open

    def read_only(path: str | Path, flags: int, *rest: int, **named: int) -> int:
        if str(path).endswith(".ctapart") and flags & os.O_CREAT:
            raise OSError(number, os.strerror(number), str(path))
        return real(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", read_only)

    refused(lambda: client.download(PATH, target), PermissionDeniedError, target)

    assert target.read_bytes() == b"old"
    assert door.requests("GET") == []


def test_a_rename_that_fails_leaves_the_old_file_and_no_part(
    open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)

    def replace(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "replace", replace)

    assert_absent(lambda: client.download(PATH, target), StorageError, str(target), target)


def test_a_file_that_came_to_be_meanwhile_is_not_replaced_without_leave(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)
    target.unlink()

    def come_to_be(_: int) -> None:
        target.write_bytes(b"old")

    assert_absent(
        lambda: client.download(PATH, target, overwrite=False, progress=come_to_be),
        AlreadyExistsError,
        str(target),
        target,
    )


def test_a_progress_callback_that_raises_ends_the_download(
    open_door: Open, client_of: Client, target: Path, payload: bytes
) -> None:
    door = open_door(files={PATH: payload})
    client = client_of(door)

    def broken(_: int) -> None:
        raise RuntimeError("the bar is broken")

    with pytest.raises(RuntimeError, match="the bar is broken"):
        client.download(PATH, target, progress=broken)
    client.download(PATH, target)

    assert target.read_bytes() == payload
    assert parts_in(target.parent) == []


def test_a_missing_local_file_is_refused_before_a_request(open_door: Open, client_of: Client, tmp_path: Path) -> None:
    door = open_door(folders={"/night"})
    client = client_of(door)

    refused(lambda: client.upload(tmp_path / "none", PATH), NotFoundError, tmp_path / "none")
    refused(lambda: client.upload(tmp_path, PATH), IsADirError, tmp_path)

    assert door.files == {}
    assert parts_at(door) == []


def test_a_local_file_that_shrinks_while_it_is_sent_is_an_integrity_error(
    open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    door = open_door(folders={"/night"}, files={PATH: b"old one"})
    client = client_of(door, timeout=2.0)
    source = tmp_path / "source"
    source.write_bytes(bytes(6 << 20))

    def shrink(_: int) -> None:
        os.truncate(source, 100)

    refused(lambda: client.upload(source, PATH, progress=shrink), IntegrityError, source)

    assert door.files == {PATH: b"old one"}


def test_a_local_file_that_grows_while_it_is_sent_is_an_integrity_error(
    open_door: Open, client_of: Client, tmp_path: Path
) -> None:
    door = open_door(folders={"/night"}, files={PATH: b"old one"})
    client = client_of(door, timeout=2.0)
    source = tmp_path / "source"
    source.write_bytes(b"x" * 1000)

    def grow(_: int) -> None:
        with source.open("ab") as file:
            file.write(b"more")

    refused(lambda: client.upload(source, PATH, progress=grow), IntegrityError, source)

    assert door.files == {PATH: b"old one"}


@pytest.mark.parametrize("size", [300_000, 3_000_000])
def test_what_replaces_a_private_file_is_private_from_its_first_byte(
    size: int, open_door: Open, client_of: Client, target: Path
) -> None:
    door = open_door(tls=False, files={PATH: bytes(size)})
    target.chmod(0o600)
    seen: set[int] = set()

    def look(_: int) -> None:
        seen.update(Path(place).stat().st_mode & 0o777 for place in parts_in(target.parent))

    client_of(door).download(PATH, target, progress=look)

    assert seen <= {0o600}
    assert seen
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_a_file_system_without_hard_links_takes_new_files(
    number: int, open_door: Open, client_of: Client, target: Path, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    target.unlink()
    client_of(open_door(files={PATH: payload})).download(PATH, target, overwrite=False)

    assert target.read_bytes() == payload
    assert parts_in(target.parent) == []


@pytest.mark.parametrize("act", ["upload", "write"])
def test_no_room_for_what_comes_through_a_pipe_tells_the_folder(
    act: str, open_door: Open, client_of: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, b"12345")
    full = Path("/dev/full").open("r+b", buffering=0)  # noqa: SIM115 (closed by who spools)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)
    with pipe.open("rb", buffering=0) as stream, pytest.raises(QuotaError, match="TMPDIR") as raised:
        client_of(door).upload(pipe, PATH) if act == "upload" else client_of(door).write(PATH, stream)
    os.close(writer)

    what = str(pipe) if act == "upload" else f"what goes to {PATH}"
    assert f"cannot keep all of {what} in {tempfile.gettempdir()}: No space left on device" in str(raised.value)
    assert door.requests("PUT") == []
    assert full.closed

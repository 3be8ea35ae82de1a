"""Files that nobody has named, and files that only we may read."""

import os
import stat
from pathlib import Path

import pytest

from ctadata_providers import CredentialError
from ctadata_providers.credentials.safe_files import ForeignFileError, read_private, write_private

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
SECRET = b"a-very-secret-token"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A file of our own, closed to others."""
    path = tmp_path / "private"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def test_a_private_file_is_read_up_to_a_limit(private: Path) -> None:
    assert read_private(private) == SECRET
    assert read_private(private, limit=6) == SECRET[:6]


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_private(tmp_path / "missing")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644])
def test_a_file_open_to_others_is_refused_and_the_cure_told(mode: int, private: Path) -> None:
    private.chmod(mode)
    with pytest.raises(CredentialError, match=rf"mode {mode:04o}.*chmod 600 .*private") as caught:
        read_private(private)

    assert SECRET.decode() not in str(caught.value)
    assert caught.value.path == str(private)


def test_a_link_is_refused_wherever_it_leads(private: Path, tmp_path: Path) -> None:
    for number, target in enumerate((private, tmp_path / "missing", Path("/dev/zero"))):
        link = tmp_path / f"link {number}"
        link.symlink_to(target)
        with pytest.raises(CredentialError, match=rf"symbolic link.*rm '.*link {number}'"):
            read_private(link)


def test_what_is_no_regular_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    for name in ("fifo", "folder"):
        with pytest.raises(CredentialError, match="no regular file"):
            read_private(tmp_path / name)


@needs_root
def test_somebody_elses_file_is_told_apart(private: Path, tmp_path: Path) -> None:
    os.chown(private, 65534, -1)
    link = tmp_path / "link"
    link.symlink_to("/etc/passwd")
    os.chown(link, 65534, -1, follow_symlinks=False)
    for path in (private, link):
        with pytest.raises(ForeignFileError, match="another user"):
            read_private(path)


def test_what_is_written_is_ours_alone_and_replaces_even_a_link(private: Path, tmp_path: Path) -> None:
    new, link = tmp_path / "new", tmp_path / "link"
    link.symlink_to(private)
    for path in (new, link):
        write_private(path, b"other")

    assert (new.read_bytes(), link.read_bytes(), private.read_bytes()) == (b"other", b"other", SECRET)
    assert not link.is_symlink()
    assert stat.S_IMODE(new.stat().st_mode) == 0o600


def test_a_pipe_or_device_is_never_replaced(tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)  # as /dev/stdout is one
    for path in (fifo, link):
        with pytest.raises(OSError, match=f"not a regular file: '{path}'"):
            write_private(path, b"other")

    assert fifo.is_fifo()
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [fifo, link]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(private: Path, tmp_path: Path) -> None:
    (tmp_path / "folder" / "x").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_private(tmp_path / "folder", b"other")  # a folder is not replaced by a file

    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "private"]


def test_what_cannot_be_written_is_told_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder") as caught:
        write_private(tmp_path / "folder", b"x")

    assert caught.value.filename == str(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]

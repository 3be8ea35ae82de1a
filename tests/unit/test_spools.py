"""Folders for what passes through this machine: gone at the end, taken over after a kill."""

import subprocess
import sys
from pathlib import Path

import pytest

from ctadata_providers.transfer.parts import owners
from ctadata_providers.transfer.spools import spool_folder

KILLED = """
import os, signal
from ctadata_providers.transfer.spools import spool_folder
with spool_folder({address!r}) as folder:
    (folder / "part").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def kill_one(address: str) -> None:
    subprocess.run([sys.executable, "-c", KILLED.format(address=address)], check=False)


def test_a_folder_is_for_us_alone_and_gone_at_the_end(temporary: Path) -> None:
    seen: list[bool] = []

    def use() -> None:
        with spool_folder("https://door/a") as folder, spool_folder("https://door/a") as second:
            (folder / "whole").write_text("x")
            seen.append({folder, second} == set(temporary.iterdir()) and folder.stat().st_mode & 0o777 == 0o700)
            raise KeyError

    with pytest.raises(KeyError):
        use()

    assert seen == [True]
    assert list(temporary.iterdir()) == []


def test_what_a_killed_copy_left_is_taken_over_by_the_next_of_the_same_file(temporary: Path) -> None:
    kill_one("https://door/a")
    (left,) = temporary.iterdir()
    with spool_folder("https://door/b") as other:
        spared = list(other.iterdir()), left.exists()
    with spool_folder("https://door/a") as folder:
        taken = (folder / "part").read_text(), left.exists()

    assert (spared, taken) == (([], True), ("half", False))
    assert list(temporary.iterdir()) == []


def test_what_somebody_else_could_have_made_is_left_alone(temporary: Path) -> None:
    kill_one("https://door/a")
    (left,) = temporary.iterdir()
    left.chmod(0o755)
    with spool_folder("https://door/a") as folder:
        entered = list(folder.iterdir())
    left.rename(temporary / "elsewhere")
    left.symlink_to(temporary / "elsewhere")
    (temporary / "elsewhere").chmod(0o700)
    with spool_folder("https://door/a") as folder:
        followed = list(folder.iterdir())

    assert (entered, followed) == ([], [])
    assert left.is_symlink()


def test_a_folder_that_somebody_else_has_made_is_not_used(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = owners.new_name(owners.stem("ctadata-copy", "https://door/a"))
    monkeypatch.setattr(owners, "new_name", lambda _: name)
    (temporary / name.part).mkdir()

    with pytest.raises(FileExistsError), spool_folder("https://door/a"):
        pass
    assert (temporary / name.part).is_dir()

"""What a user meets who is not root: homes, folders and files that are somebody else's."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ctadata_providers.cli import commands
from ctadata_providers.testing import FakeCta
from tests.places import AS_PLAIN_USER
from tests.unit.cli.conftest import Ran

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(night: FakeCta, tmp_path: Path) -> Run:
    """Run a command for which permissions count, in an empty folder."""
    (tmp_path / "work").mkdir()
    ours = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"], **night.environ()}

    def ran(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [*AS_PLAIN_USER, sys.executable, "-m", "ctadata_providers.cli", *map(str, arguments)]
        return subprocess.run(
            command, env=ours | environ, cwd=tmp_path / "work", capture_output=True, text=True, timeout=60, check=False
        )

    return ran


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A folder, not empty, that may be listed and not entered."""
    folder = tmp_path / "work" / "locked"
    folder.mkdir()
    (folder / "file").write_text("x")
    folder.chmod(0o600)
    return folder


def test_a_limit_of_threads_is_no_fault_of_ours(ctadata: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(commands, "list_", refuse)
    ran = ctadata("list", "lst")

    assert (ran.code, ran.err) == (
        1,
        "ctadata: no more threads are allowed to this user; end other programs, or raise the limit (ulimit -u)\n",
    )


@pytest.mark.parametrize("mode", [0o000, 0o600])
def test_a_home_that_may_not_be_entered_costs_what_is_kept_there_and_no_more(
    mode: int, run: Run, night: FakeCta, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir(mode=mode)
    (tmp_path / "work" / "a").write_text("a")
    put, get, doctor = run("put", "a", "lst/DL3/"), run("get", "lst/DL3/b.fits"), run("doctor")
    named = run("list", "lst", CTA_PROFILE="site")

    assert [done.returncode for done in (put, get, doctor)] == [0, 0, 0]
    assert (night.get("/lst/DL3/a"), (tmp_path / "work" / "b.fits").read_bytes()) == (b"a", b"bb")
    assert f"cannot look into {tmp_path}/home/.config/ctadata-providers" in get.stderr
    assert (named.returncode, "cannot read" in named.stderr) == (2, True)


def test_settings_that_are_there_and_cannot_be_read_are_not_passed_over(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "home" / ".config" / "ctadata-providers"
    folder.mkdir(parents=True)
    (folder / "config.toml").touch(mode=0o000)
    ran = run("list", "lst")

    assert (ran.returncode, ran.stderr.startswith("ctadata: cannot read ")) == (2, True)


def test_a_local_folder_of_the_same_name_that_may_not_be_entered_is_nothing_to_a_remote_copy(
    run: Run, night: FakeCta, locked: Path
) -> None:
    night.make_dir("/locked")
    ran = run("cp", "lst/DL3/b.fits", "locked/file")
    missing = run("cp", "locked/none", "lst/")

    assert ran.returncode == 0, ran.stderr
    assert night.get("/locked/file") == b"bb"
    assert (missing.returncode, "404" in missing.stderr) == (1, True)


def test_cas_that_cannot_be_read_are_told_by_the_doctor_too(run: Run, locked: Path) -> None:
    for place in (locked, locked / "file", locked / "missing"):
        for command in ("doctor", "list"):
            ran = run(command, CTA_CA_PATH=str(place))

            assert ran.returncode in (1, 2)
            assert f"ca_path {place} cannot be read" in ran.stdout + ran.stderr


def test_a_bundle_of_the_system_that_cannot_be_read_is_none(run: Run, locked: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").touch(mode=0o000)
    ran = run("get", "lst/DL3/b.fits", SSL_CERT_FILE=str(tmp_path / "bundle"))

    assert ran.returncode == 0, ran.stderr

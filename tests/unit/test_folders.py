import fcntl
import json
import os
import pwd
import stat
from pathlib import Path

import pytest

from ctadata_providers.config.folders import ForeignFolderError, check_own, home_folder, make_own, state_folder
from ctadata_providers.session.markers import Marker
from ctadata_providers.transfer.notes import abandoned, remember, under_way
from ctadata_providers.transfer.parts.owners import this_owner


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without an entry in the password file, as in many containers."""

    def missing(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", missing)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_what_is_remembered_lies_in_the_state_folder() -> None:
    assert state_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/ctadata-providers")
    assert state_folder({"XDG_STATE_HOME": "", "HOME": "/h"}) == Path("/h/.local/state/ctadata-providers")


def test_a_relative_state_folder_counts_for_nothing() -> None:
    # The specification says so, and an agent in another working folder would have another one.
    assert state_folder({"XDG_STATE_HOME": "state", "HOME": "/h"}) == Path("/h/.local/state/ctadata-providers")


@pytest.mark.usefixtures("nobody")
def test_who_has_no_home_lives_in_the_root() -> None:
    assert home_folder() == Path("/")
    assert state_folder() == Path("/.local/state/ctadata-providers")


@pytest.mark.usefixtures("nobody")
def test_who_has_no_home_can_work_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    from ctadata_providers import Config
    from ctadata_providers.credentials.resolve import resolve
    from ctadata_providers.session.markers import admission_folder
    from ctadata_providers.transfer import notes

    monkeypatch.setenv("BEARER_TOKEN", "a-token")

    assert resolve(Config.from_env()).has_token
    assert admission_folder() == state_folder() / "admission"
    assert notes.state_folder() == state_folder() / "uploads"


# Whose they are


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder that another user has made where several keep their states, open to all."""
    folder = tmp_path / "shared" / "ctadata-providers"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o1777)
    folder.chmod(0o777)
    try:
        os.chown(folder, 12001, 12001)
    except PermissionError:
        pytest.skip("only root can make the folder of another user")
    return folder


def test_a_folder_is_made_and_closed_to_others(tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir(mode=0o777)
    outer.chmod(0o777)
    make_own(outer, outer / "inner")
    check_own(outer, outer / "inner")

    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (outer, outer / "inner")] == [0o700, 0o700]


def test_the_folder_of_another_user_is_not_ours(foreign: Path) -> None:
    (foreign / "inner").mkdir()  # ours, but another user can put another one there at any time
    for act in (make_own, check_own):
        with pytest.raises(ForeignFolderError, match=r"belongs to somebody else.*ctadata-providers"):
            act(foreign, foreign / "inner")

    assert stat.S_IMODE(foreign.stat().st_mode) == 0o777


def test_the_link_of_another_user_leads_to_no_folder_of_ours(foreign: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o755)
    foreign.rmdir()
    foreign.symlink_to(own)
    make_own(foreign)  # the link is ours
    own.chmod(0o755)
    os.lchown(foreign, 12001, 12001)
    with pytest.raises(ForeignFolderError):
        make_own(foreign)

    assert stat.S_IMODE(own.stat().st_mode) == 0o755


def test_a_folder_that_is_not_there_is_nobodys(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_own(tmp_path / "missing")


def test_what_another_user_says_of_a_credential_counts_for_nothing(foreign: Path) -> None:
    folder = foreign / "admission"
    folder.mkdir()
    (folder / "credential").write_text("r")
    (folder / "server.lock").touch()
    marker, other = Marker(folder, "server", "credential"), Marker(folder, "server", "other")
    with (folder / "server.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        assert marker.read() is None
        assert marker.lock()  # nobody is waited for
        assert marker.write("good") is None
        assert other.write("good") is None
    assert {place.name: place.read_text() for place in folder.iterdir()} == {"credential": "r", "server.lock": ""}


def test_the_notes_of_another_user_have_nothing_removed(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(foreign.parent))
    (foreign / "uploads").mkdir()
    owner = f"{this_owner()[:16]}00000001"  # as of a process that has ended
    planted = {"door": "https://door/", "target": "/f", "path": "/.g.1a2b3c4d.0123.ctapart", "owner": owner}
    (foreign / "uploads" / f"{owner}.json").write_text(json.dumps(planted))
    remembered = remember("https://door/", "/f", "/.f.ctapart")

    assert abandoned("https://door/", "/f") == []
    assert remembered.note is None
    with pytest.raises(ForeignFolderError):  # who removes leftovers has to know that it cannot be known
        under_way()
    assert len(list((foreign / "uploads").iterdir())) == 1

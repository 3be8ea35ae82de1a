import pwd
from pathlib import Path

import pytest

from ctadata_providers.config.folders import home_folder, state_folder


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

"""The user's own folder, by what a token says."""

import pytest

from ctadata_providers import ConfigError, NotFoundError, PermissionDeniedError, TransientError
from ctadata_providers.credentials import Token
from ctadata_providers.credentials.homes import find_home, fragment, possible_homes


def token(**facts: object) -> Token:
    """Return a token that says something."""
    return Token("x", source="x", **facts)  # type: ignore[arg-type]  # names of its fields


@pytest.mark.parametrize(
    ("name", "folder"),
    [("alice", "alice"), ("Alice.B", "alice_b"), ("a1b2c0", "a1b_c0"), ("ä-ö", "___"), ("../x", "___x")],
)
def test_the_folder_of_a_name_is_that_of_the_services(name: str, folder: str) -> None:
    assert fragment(name) == folder


def test_scopes_go_before_the_user_name_and_that_before_the_subject() -> None:
    scopes = frozenset({"storage.read:/", "storage.modify:/lst/users/a.b/", "storage.read:/lst/users/other", "openid"})
    homes = [home.path for home in possible_homes(token(scopes=scopes, username="A.B", subject="f:1"))]

    assert homes == ["/lst/users/a.b", "/lst/users/a_b", "/cta/users/a_b", "/lst/users/f_1", "/cta/users/f_1"]


def test_a_folder_is_asked_for_once() -> None:
    homes = [home.path for home in possible_homes(token(username="alice", subject="alice"))]

    assert homes == ["/lst/users/alice", "/cta/users/alice"]


def test_the_first_that_the_door_knows_is_taken() -> None:
    home = find_home(token(username="alice"), lambda path: path.startswith("/cta"))

    assert (home.path, home.how) == ("/cta/users/alice", "the token's user name alice")


@pytest.mark.parametrize("error", [NotFoundError, PermissionDeniedError])
def test_a_folder_that_is_not_there_or_not_ours_is_none(error: type[Exception]) -> None:
    def look(path: str) -> bool:
        raise error("no")

    with pytest.raises(ConfigError, match="none of /lst/users/alice, /cta/users/alice is a folder; set home"):
        find_home(token(username="alice"), look)


def test_a_door_that_is_away_is_an_error() -> None:
    def look(path: str) -> bool:
        raise TransientError("away")

    with pytest.raises(TransientError):
        find_home(token(username="alice"), look)


@pytest.mark.parametrize("known", [None, Token("x")])
def test_who_is_not_named_has_no_folder(known: Token | None) -> None:
    with pytest.raises(ConfigError, match="does not tell who you are; set home"):
        find_home(known, lambda path: True)

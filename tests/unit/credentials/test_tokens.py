"""What tokens say of themselves, and what gives them."""

import base64
import copy
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctadata_providers import CredentialError
from ctadata_providers.credentials import Renewable, Token
from ctadata_providers.credentials.tokens import FileToken, FixedToken, Prompt, require_fresh
from tests.unit.credentials.machine import jwt_of

SECRET = "a-very-secret-token"
NOW = 1_795_334_526.0


@pytest.mark.parametrize("text", [SECRET, f" {SECRET}\n", f"\t\v\f\r\n{SECRET}\r\n"])
def test_c99_white_space_around_a_token_is_stripped(text: str) -> None:
    assert Token.parse(text, source="x").value == SECRET


@pytest.mark.parametrize(
    "text", ["", " \n", f"{SECRET} {SECRET}", f"{SECRET}\nX: 1", f"{SECRET}\u00a0", f"{SECRET}\0", "x" * 70_000]
)
def test_what_cannot_be_a_bearer_token_is_refused_by_its_source(text: str) -> None:
    with pytest.raises(CredentialError, match="token file /x") as caught:
        Token.parse(text, source="token file /x")

    assert SECRET not in str(caught.value)


@given(st.integers(0, 2**38), st.integers(0, 40))
def test_the_expiry_of_a_jwt_is_read_whatever_its_padding(exp: int, filler: int) -> None:
    assert Token.parse(jwt_of({"exp": exp, "x": "y" * filler}), source="x").expires_at == exp


def test_the_scopes_of_a_jwt_are_read() -> None:
    token = Token.parse(jwt_of({"scope": "openid storage.read:/ storage.modify:/lst"}), source="x")

    assert token.scopes == frozenset({"openid", "storage.read:/", "storage.modify:/lst"})


@pytest.mark.parametrize("exp", [None, "soon", [], True, float("nan"), float("inf"), 10**400])
def test_an_odd_expiry_is_no_expiry(exp: object) -> None:
    token = Token.parse(jwt_of({"exp": exp, "scope": ["storage.read:/"]}), source="x")

    assert (token.expires_at, token.scopes) == (None, None)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
@example("a.!!!.c")
@example(jwt_of([1, 2]))
@example(jwt_of("text"))
@example("x." + base64.urlsafe_b64encode(b"[" * 100_000).decode()[:60_000] + ".y")
@example("x." + base64.urlsafe_b64encode(b'{"exp":' + b"9" * 5000 + b"}").decode() + ".y")
def test_an_opaque_token_is_taken_as_it_is(text: str) -> None:
    token = Token.parse(text, source="x")

    assert token.value == text
    assert not token.expired(-1e18)


def test_a_token_is_neither_shown_nor_pickled_nor_copied() -> None:
    token = Token.parse(SECRET, source="here")

    assert SECRET not in repr(token) + str(token)
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            act(token)


def test_a_token_is_expired_a_minute_after_its_expiry() -> None:
    token = Token.parse(jwt_of({"exp": NOW}), source="x")

    assert not token.expired(NOW - 1)
    assert not token.expired(NOW + 59)
    assert token.expired(NOW + 60)


def test_an_expired_token_is_refused_with_its_source_and_remedy() -> None:
    token = Token.parse(jwt_of({"exp": NOW}), source="token file /x")

    assert require_fresh(token, clock=lambda: NOW) is token
    with pytest.raises(CredentialError, match=r"token file /x expired 3600 s ago; put a new token there") as caught:
        require_fresh(token, clock=lambda: NOW + 3600)

    assert token.value not in str(caught.value)


def test_a_fixed_token_is_parsed_once() -> None:
    provider = FixedToken(Token.parse(SECRET, source="x"))

    assert provider() is provider()


def test_what_a_jwt_says_of_itself_is_read() -> None:
    claims = {"iat": NOW - 60, "iss": "https://i.example", "aud": "d", "sub": "f:1", "preferred_username": "alice"}
    token = Token.parse(jwt_of(claims), source="x")
    many = Token.parse(jwt_of({"aud": ["d", 7, "e"]}), source="x")

    assert (token.issued_at, token.issuer, token.audience) == (NOW - 60, "https://i.example", ("d",))
    assert (token.subject, token.username) == ("f:1", "alice")
    assert many.audience == ("d", "e")


def test_odd_claims_are_no_claims() -> None:
    token = Token.parse(jwt_of({"iat": "x", "iss": 3, "aud": {}, "sub": [], "preferred_username": ""}), source="x")

    assert (token.issued_at, token.issuer, token.audience) == (None, None, ())
    assert (token.subject, token.username) == (None, None)


def test_a_token_is_dead_to_the_second_and_tells_its_life() -> None:
    token = Token.parse(jwt_of({"exp": NOW}), source="x")

    assert not token.dead(NOW - 0.5)
    assert token.dead(NOW)
    assert (token.life_left(NOW - 5), token.life_left(NOW + 5)) == (5, -5)


def test_an_opaque_token_neither_dies_nor_tells_its_life() -> None:
    token = Token.parse(SECRET, source="x")

    assert not token.dead(1e18)
    assert token.life_left(NOW) is None


def test_a_value_and_a_file_are_prompt_but_not_renewable() -> None:
    for provider in (FixedToken(Token.parse(SECRET, source="x")), FileToken(Path("/x"))):
        assert isinstance(provider, Prompt)
        assert not isinstance(provider, Renewable)


# Token files


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file that holds a token."""
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


def test_a_token_file_is_not_read_before_it_is_needed(tmp_path: Path) -> None:
    provider = FileToken(tmp_path / "later")
    (tmp_path / "later").write_text("first")

    assert provider().value == "first"


def test_a_token_file_that_did_not_change_is_not_parsed_again(token_file: Path) -> None:
    provider = FileToken(token_file)

    assert provider() is provider()


def test_a_token_file_is_read_again_when_it_was_replaced(token_file: Path, tmp_path: Path) -> None:
    provider = FileToken(token_file)
    first = provider().value
    new = tmp_path / "new"
    new.write_text("other\n")
    os.utime(new, ns=(0, token_file.stat().st_mtime_ns))  # a renewal within the clock's tick, of the same length
    new.replace(token_file)

    assert (first, provider().value) == ("first", "other")


def test_a_token_file_is_read_again_when_it_was_rewritten(token_file: Path) -> None:
    provider = FileToken(token_file)
    first = provider().value
    token_file.write_text("a-longer-one\n")

    assert (first, provider().value) == ("first", "a-longer-one")


def test_a_token_file_that_goes_bad_is_an_error_and_then_good_again(token_file: Path) -> None:
    provider = FileToken(token_file)
    provider()
    token_file.write_text("not a token")
    with pytest.raises(CredentialError, match=str(token_file)):
        provider()
    token_file.unlink()
    with pytest.raises(CredentialError, match="No such file"):
        provider()
    token_file.write_text("again")

    assert provider().value == "again"


def test_a_token_file_that_is_being_written_leaves_the_last_token_in_use_while_it_lives(token_file: Path) -> None:
    provider = FileToken(token_file)
    first = provider()
    token_file.write_text("")
    meanwhile = provider()
    token_file.write_text(jwt_of({"exp": NOW - 1e6}))
    provider()
    token_file.write_text("")

    assert meanwhile is first
    with pytest.raises(CredentialError, match="empty"):
        provider()


@pytest.mark.parametrize("content", [b"", b"\n", b"a b", b"\xff\xfe", b"x" * 100_000])
def test_a_file_without_a_token_is_told_with_its_name(content: bytes, token_file: Path) -> None:
    token_file.write_bytes(content)
    with pytest.raises(CredentialError, match=str(token_file)) as caught:
        FileToken(token_file)()

    assert caught.value.path == str(token_file)


def test_a_folder_is_no_token_file(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match=str(tmp_path)):
        FileToken(tmp_path)()


def test_a_file_is_ready_when_it_has_been_read_and_is_as_it_was(token_file: Path) -> None:
    provider = FileToken(token_file)
    before = provider.ready()
    token = provider()
    after = provider.ready()
    token_file.write_text("another")
    changed = provider.ready()
    token_file.unlink()

    assert (before, after, changed, provider.ready()) == (None, token, None, None)

import base64
import os
from pathlib import Path

import pytest

from ctadata_providers import Config, CredentialError
from ctadata_providers.credentials.oidc.client_secret import as_secret, client_secret, given_secret, read_secret

SECRET = "s3cret/with+odd=signs"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home with the secrets of ctadata."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".config" / "cta-data"
    folder.mkdir(parents=True)
    for name, secret in (("secret", "of-prod"), ("secret-dev", "of-dev")):
        write(folder / name, base64.b64encode(secret.encode()) + b"\nnotes\n")
    return folder


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_secret_in_the_settings_is_taken_before_its_file(tmp_path: Path) -> None:
    file = write(tmp_path / "secret", b"another\n")

    assert given_secret(Config(client_secret=SECRET, client_secret_file=file)) == SECRET
    assert given_secret(Config(client_secret_file=file)) == "another"
    assert given_secret(Config()) is None


@pytest.mark.parametrize("content", [SECRET, f" {SECRET}\r\n", f"{SECRET}\nsecond line\n"])
def test_the_first_line_of_a_file_is_the_secret(content: str, tmp_path: Path) -> None:
    assert read_secret(write(tmp_path / "secret", content.encode())) == SECRET


def test_a_file_that_was_named_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "secret", SECRET.encode())
    (tmp_path / "link").symlink_to(tmp_path / "secret")

    assert read_secret(tmp_path / "link") == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_is_open_to_others_is_refused(mode: int, tmp_path: Path) -> None:
    path = write(tmp_path / "secret", SECRET.encode(), mode)
    with pytest.raises(CredentialError, match=f"is open to others; chmod 600 {path}") as told:
        read_secret(path)

    assert SECRET not in str(told.value)


@pytest.mark.parametrize("mode", [0o440, 0o444])
def test_a_file_of_another_owner_is_taken_as_a_container_mounts_it(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "secret", SECRET.encode(), mode)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    assert read_secret(path) == SECRET


@pytest.mark.parametrize("content", [b"", b"\n", b"\n" + SECRET.encode(), b"two words", b"\xff\xfe", b"x" * 5000])
def test_what_holds_no_secret_is_told_without_showing_it(content: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "secret", content)
    with pytest.raises(CredentialError, match=f"{path} holds no client secret in its first line") as told:
        read_secret(path)

    assert "words" not in str(told.value)
    assert SECRET not in str(told.value)


def test_a_missing_file_and_a_folder_are_told_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(CredentialError, match=f"cannot read the client secret in {path}: .*; check"):
            read_secret(path)


def test_standard_input_is_named_in_its_errors() -> None:
    with pytest.raises(CredentialError, match="standard input holds no client secret"):
        as_secret(b"", source="standard input")


@pytest.mark.parametrize(("profile", "secret"), [("prod", "of-prod"), ("dev", "of-dev")])
def test_the_secrets_of_ctadata_are_those_of_the_built_in_clients(home: Path, profile: str, secret: str) -> None:
    assert client_secret(Config.from_mapping({"profile": profile})) == secret


def test_the_secrets_of_ctadata_are_for_no_other_client_or_issuer(home: Path) -> None:
    config = Config.from_mapping({"profile": "prod"})

    assert client_secret(config.with_settings(client_id="another")) is None
    assert client_secret(config.with_settings(issuer="https://id.example/realms/master")) is None
    assert client_secret(config.with_settings(client_secret="mine")) == "mine"


def test_without_a_file_of_ctadata_the_client_is_a_public_one(home: Path) -> None:
    (home / "secret").unlink()

    assert client_secret(Config.from_mapping({})) is None


@pytest.mark.parametrize("content", [b"no base64!", b"", base64.b64encode(b"two words")])
def test_a_file_of_ctadata_that_holds_something_else_is_told(home: Path, content: bytes) -> None:
    write(home / "secret", content)
    with pytest.raises(CredentialError, match="cta-data/secret holds no client secret"):
        client_secret(Config.from_mapping({}))


def test_a_file_of_ctadata_that_is_open_to_others_is_refused(home: Path) -> None:
    (home / "secret").chmod(0o644)
    with pytest.raises(CredentialError, match="chmod 600"):
        client_secret(Config.from_mapping({}))

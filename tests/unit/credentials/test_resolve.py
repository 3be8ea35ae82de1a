"""Which credential is chosen, and which origins may see it."""

import time
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import Config, CredentialError
from ctadata_providers.credentials import ClientCertificate, Credential, Token, resolve
from ctadata_providers.credentials.resolve import origin, renewable
from ctadata_providers.credentials.tokens import FileToken
from tests.unit.credentials.machine import jwt

SECRET = "a-very-secret-token"


def config_of(**settings: Any) -> Config:
    """Return settings made of what mappings and command lines give."""
    return Config(**settings)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file that holds a token."""
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


def test_the_order_is_token_then_token_file_then_proxy_then_certificate(token_file: Path) -> None:
    everything = config_of(token=SECRET, token_file=token_file, proxy_file="/p", cert_file="/c", key_file="/k")
    token = resolve(everything).token()
    file_token = resolve(config_of(token_file=token_file, proxy_file="/p")).token()

    assert token is not None
    assert token.value == SECRET
    assert file_token is not None
    assert file_token.value == "first"
    assert resolve(config_of(proxy_file="/p", cert_file="/c")).certificate == ClientCertificate(Path("/p"), proxy=True)
    assert resolve(config_of(cert_file="/c", key_file="/k")).certificate == ClientCertificate(Path("/c"), Path("/k"))


def test_without_a_credential_there_is_none() -> None:
    credential = resolve(Config())

    assert (credential.token_provider, credential.certificate, credential.token()) == (None, None, None)


def test_resolving_reads_no_file() -> None:
    for name in ("token_file", "proxy_file", "cert_file"):
        assert isinstance(resolve(config_of(**{name: "/does/not/exist"})), Credential)


def test_no_representation_shows_the_token() -> None:
    assert SECRET not in repr(resolve(config_of(token=SECRET)))


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://door.example:2880/lst", True),
        ("https://DOOR.example:2880/", True),
        ("https://door.example/lst", False),
        ("https://door.example:2881/lst", False),
        ("http://door.example:2880/lst", False),
        ("https://pool.example:2880/lst", False),
        ("https://door.example.evil.example:2880/", False),
        ("https://door.example:2880@evil.example/", False),
        ("https://a.trusted.example:1/", True),
        ("https://a.b.trusted.example/", True),
        ("https://trusted.example/", False),
        ("https://nottrusted.example/", False),
        ("http://a.trusted.example/", False),
        ("https://one.example/", True),
        ("https://two.one.example/", False),
    ],
)
def test_a_credential_is_bound_to_the_doors_origin_and_trusted_hosts(url: str, allowed: bool) -> None:
    config = config_of(
        door_url="https://door.example:2880", trusted_hosts="*.trusted.example,one.example", token=SECRET
    )

    assert resolve(config).may_see(url) is allowed


def test_an_origin_has_a_default_port() -> None:
    assert origin("https://Door.example/x") == origin("https://door.example:443")
    assert origin("http://door.example") == ("http", "door.example", 80)


def test_a_token_is_not_sent_unencrypted_to_another_machine() -> None:
    for settings in ({"token": SECRET}, {"token_file": "/t"}):
        with pytest.raises(CredentialError, match="unencrypted"):
            resolve(config_of(door_url="http://door.example", **settings))

    assert resolve(config_of(door_url="http://localhost:8080", token=SECRET)).token() is not None


# Ready, and renewed


def test_a_fixed_token_is_ready_and_has_no_successor() -> None:
    credential = resolve(config_of(token=SECRET))
    token = credential.ready()

    assert token is not None
    assert credential.has_token
    assert token.value == SECRET
    assert credential.renew(token) is None


def test_without_a_token_nothing_is_ready() -> None:
    for credential in (resolve(Config()), resolve(config_of(cert_file="/c"))):
        assert not credential.has_token
        assert credential.ready() is None
        assert credential.renew(Token.parse(SECRET, source="x")) is None


def test_an_expired_token_is_not_ready_so_that_the_error_is_told_by_token() -> None:
    credential = resolve(config_of(token=jwt(exp=time.time() - 3600)))

    assert credential.ready() is None
    with pytest.raises(CredentialError, match="expired 36"):
        credential.token()


def test_a_program_that_gives_ended_tokens_is_what_the_user_is_to_look_at(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text(jwt(exp=time.time() - 3600))
    with pytest.raises(CredentialError, match=r"token_command cat expired 3600 s ago by the clock of") as caught:
        resolve(config_of(token_command=("cat", str(old)))).token()

    assert str(caught.value.remedy).startswith("see why token_command cat gives an old one, and whether the clock")


def test_a_file_is_read_again_when_its_token_was_rejected(token_file: Path) -> None:
    credential = resolve(config_of(token_file=token_file))
    first = credential.token()
    assert first is not None
    before = credential.renew(first)
    token_file.write_text("the-second")
    second = credential.renew(first)

    assert before is None
    assert second is not None
    assert second.value == "the-second"


def test_an_expired_successor_is_none(token_file: Path) -> None:
    credential = resolve(config_of(token_file=token_file))
    first = credential.token()
    assert first is not None
    token_file.write_text(jwt(exp=time.time() - 3600))

    assert credential.renew(first) is None


def test_a_plain_provider_is_asked_each_time_and_never_ready() -> None:
    told = iter(("first", "second"))
    provider = lambda: Token.parse(next(told), source="x")  # noqa: E731 (a provider is any callable)
    credential = Credential(home=origin("https://door.example"), token_provider=provider)
    first = credential.token()
    assert first is not None
    second = credential.renew(first)

    assert credential.ready() is None
    assert second is not None
    assert second.value == "second"


def test_what_is_renewable_is_found_behind_values_and_files(token_file: Path) -> None:
    config = config_of(token=SECRET, token_file=token_file, token_command=("echo", "x"))
    source = renewable(config)

    assert source is not None
    assert source().value == "x"
    assert renewable(config_of(token=SECRET, token_file=token_file, proxy_file="/p")) is None


def test_a_door_whose_name_begins_like_this_machines_is_another_machine() -> None:
    with pytest.raises(CredentialError, match="unencrypted"):
        resolve(config_of(door_url="http://localhost.example", token=SECRET))


def test_the_file_of_a_setting_may_be_a_link_and_open_to_others(token_file: Path, tmp_path: Path) -> None:
    token_file.chmod(0o644)
    link = tmp_path / "link"
    link.symlink_to(token_file)

    assert FileToken(link)().value == "first"

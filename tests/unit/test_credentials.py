import base64
import copy
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import example, given
from hypothesis import strategies as st

from ctadata_providers import Config, CredentialError
from ctadata_providers.credentials import ClientCertificate, Credential, Token, resolve
from ctadata_providers.credentials.resolve import origin
from ctadata_providers.credentials.tokens import FileToken, fixed_token, require_fresh
from tests.servers.pki import Pki, make_pki

SECRET = "a-very-secret-token"
NOW = 1_795_334_526.0


def jwt(claims: object) -> str:
    """Return an unsigned JWT with some claims."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({}, claims)]
    return ".".join([*parts, "c2lnbmF0dXJl"])


def config_of(**settings: Any) -> Config:
    """Return settings made of what mappings and command lines give."""
    return Config(**settings)


# Tokens


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
    assert Token.parse(jwt({"exp": exp, "x": "y" * filler}), source="x").expires_at == exp


def test_the_scopes_of_a_jwt_are_read() -> None:
    token = Token.parse(jwt({"scope": "openid storage.read:/ storage.modify:/lst"}), source="x")

    assert token.scopes == frozenset({"openid", "storage.read:/", "storage.modify:/lst"})


@pytest.mark.parametrize("exp", [None, "soon", [], True, float("nan"), float("inf"), 10**400])
def test_an_odd_expiry_is_no_expiry(exp: object) -> None:
    token = Token.parse(jwt({"exp": exp, "scope": ["storage.read:/"]}), source="x")

    assert (token.expires_at, token.scopes) == (None, None)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
@example("a.!!!.c")
@example(jwt([1, 2]))
@example(jwt("text"))
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
    token = Token.parse(jwt({"exp": NOW}), source="x")

    assert not token.expired(NOW - 1)
    assert not token.expired(NOW + 59)
    assert token.expired(NOW + 60)


def test_an_expired_token_is_refused_with_its_source_and_remedy() -> None:
    token = Token.parse(jwt({"exp": NOW}), source="token file /x")

    assert require_fresh(token, clock=lambda: NOW) is token
    with pytest.raises(CredentialError, match=r"token file /x expired 3600 s ago; get a new token") as caught:
        require_fresh(token, clock=lambda: NOW + 3600)

    assert token.value not in str(caught.value)


def test_a_fixed_token_is_parsed_once() -> None:
    provider = fixed_token(SECRET, source="x")

    assert provider() is provider()


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


@pytest.mark.parametrize("content", [b"", b"\n", b"a b", b"\xff\xfe", b"x" * 100_000])
def test_a_file_without_a_token_is_told_with_its_name(content: bytes, token_file: Path) -> None:
    token_file.write_bytes(content)
    with pytest.raises(CredentialError, match=str(token_file)):
        FileToken(token_file)()


def test_a_folder_is_no_token_file(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match=str(tmp_path)):
        FileToken(tmp_path)()


# Client certificates


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """User certificate and proxies."""
    return make_pki(tmp_path_factory.mktemp("pki"))


def test_a_proxy_and_a_certificate_with_its_key_are_good(pki: Pki) -> None:
    ClientCertificate(pki.proxy).check()
    ClientCertificate(pki.user_cert, pki.user_key).check()

    assert ClientCertificate(pki.proxy).expires_at() < ClientCertificate(pki.user_cert).expires_at()


def test_an_expired_proxy_is_told_before_anything_is_sent(pki: Pki) -> None:
    with pytest.raises(CredentialError, match=r"expired at 20\d\d-.* UTC; make a new proxy"):
        ClientCertificate(pki.expired_proxy).check()


def test_a_proxy_ends_with_the_first_certificate_of_its_chain(pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "chain.pem"
    path.write_bytes(pki.user_cert.read_bytes() + pki.user_key.read_bytes() + pki.expired_proxy.read_bytes())
    with pytest.raises(CredentialError, match="expired"):
        ClientCertificate(path).check()


@pytest.mark.parametrize(("cert", "key"), [("missing.pem", None), ("user.pem", "missing.key"), ("folder", None)])
def test_a_missing_file_is_told_with_its_name(cert: str, key: str | None, pki: Pki) -> None:
    (pki.folder / "folder").mkdir(exist_ok=True)
    certificate = ClientCertificate(pki.folder / cert, pki.folder / key if key else None)
    with pytest.raises(CredentialError, match=rf"cannot read .*{key or cert}"):
        certificate.check()


def test_an_encrypted_key_is_told_as_such_and_asks_for_no_passphrase(pki: Pki, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(pki.user_key.read_bytes(), None)
    path = tmp_path / "encrypted.key"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    with pytest.raises(CredentialError, match="encrypted; make a proxy of it"):
        ClientCertificate(pki.user_cert, path).check()


def test_a_file_without_key_or_with_another_ones_is_told(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for cert, key in ((pki.user_cert, None), (pki.user_cert, pki.host_key), (tmp_path / "empty.pem", None)):
        with pytest.raises(CredentialError, match="does not hold a certificate with its private key"):
            ClientCertificate(cert, key).check()


# Which credential goes where


def test_the_order_is_token_then_token_file_then_proxy_then_certificate(token_file: Path) -> None:
    everything = config_of(token=SECRET, token_file=token_file, proxy_file="/p", cert_file="/c", key_file="/k")
    token = resolve(everything).token()
    file_token = resolve(config_of(token_file=token_file, proxy_file="/p")).token()

    assert token is not None
    assert token.value == SECRET
    assert file_token is not None
    assert file_token.value == "first"
    assert resolve(config_of(proxy_file="/p", cert_file="/c")).certificate == ClientCertificate(Path("/p"))
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

"""Good, wrong and missing credentials on XRootD, which answers 403 to all that is not allowed."""

import logging
from pathlib import Path

import pytest

from ctadata_providers import CredentialError, CtaClient, CtaError, NotFoundError, PermissionDeniedError
from tests.real.conftest import CERTIFICATES, TOKENS, connect
from tests.servers.pki import Pki
from tests.servers.server import Server
from tests.servers.tokens import TokenIssuer

pytestmark = pytest.mark.real
with_tokens = pytest.mark.parametrize("server", TOKENS, indirect=True)
with_certificates = pytest.mark.parametrize("server", CERTIFICATES, indirect=True)


def _try_all(client: CtaClient, folder: str, tmp_path: Path) -> list[CtaError]:
    """Return the errors of everything that needs a right; the file `f` is there."""
    (tmp_path / "local").write_bytes(b"new" * 1_000_000)
    errors = []
    for act in (
        lambda: client.download(f"{folder}/f", tmp_path / "copy"),
        lambda: client.upload(tmp_path / "local", f"{folder}/new"),
        lambda: client.upload(tmp_path / "local", f"{folder}/f"),
        lambda: client.stat(f"{folder}/f"),
        lambda: list(client.list_dir(folder)),
        lambda: client.remove(f"{folder}/f"),
    ):
        with pytest.raises(CtaError) as caught:
            act()
        errors.append(caught.value)
    return errors


def _unharmed(server: Server, folder: str, tmp_path: Path) -> bool:
    there = server.root / folder.lstrip("/")
    return (
        (there / "f").read_bytes() == b"secret" and len(list(there.iterdir())) == 1 and not (tmp_path / "copy").exists()
    )


@with_tokens
def test_a_token_of_another_issuer_is_refused_and_never_shown(
    server: Server, folder: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.put(f"{folder}/f", b"secret")
    token = TokenIssuer().mint()
    with caplog.at_level(logging.DEBUG), connect(server, token=token) as client:
        errors = _try_all(client, folder, tmp_path)

    assert {type(error) for error in errors} <= {PermissionDeniedError, CredentialError}
    assert all(folder in str(error) for error in errors)
    assert token not in caplog.text + "".join(map(str, errors))
    assert _unharmed(server, folder, tmp_path)


@with_tokens
def test_an_expired_token_is_told_as_such(server: Server, folder: str, issuer: TokenIssuer, tmp_path: Path) -> None:
    server.put(f"{folder}/f", b"secret")
    with connect(server, token=issuer.mint(lifetime=-100)) as client:
        errors = _try_all(client, folder, tmp_path)

    assert {type(error) for error in errors} == {CredentialError}
    assert all("expired" in str(error) for error in errors)
    assert _unharmed(server, folder, tmp_path)


@with_tokens
def test_without_a_token_only_the_public_part_can_be_read(server: Server, folder: str, tmp_path: Path) -> None:
    server.put(f"{folder}/f", b"secret")
    server.put("/public/f", b"open")
    with connect(server, token="") as client:
        errors = _try_all(client, folder, tmp_path)
        client.download("/public/f", tmp_path / "open")

    assert {type(error) for error in errors} == {PermissionDeniedError}
    assert all("BEARER_TOKEN" in str(error) for error in errors)
    assert (tmp_path / "open").read_bytes() == b"open"
    assert _unharmed(server, folder, tmp_path)


@with_tokens
def test_a_token_to_read_cannot_write(server: Server, folder: str, issuer: TokenIssuer, tmp_path: Path) -> None:
    server.put(f"{folder}/f", b"secret")
    (tmp_path / "local").write_bytes(b"new")
    with connect(server, token=issuer.mint(scope="storage.read:/")) as client:
        client.download(f"{folder}/f", tmp_path / "read")
        with pytest.raises(PermissionDeniedError):
            client.upload(tmp_path / "local", f"{folder}/f")
        with pytest.raises(NotFoundError):
            client.stat(f"{folder}/missing")

    assert (tmp_path / "read").read_bytes() == b"secret"
    assert _unharmed(server, folder, tmp_path)


@with_tokens
def test_a_token_from_a_file_is_used_and_never_logged(
    server: Server, folder: str, issuer: TokenIssuer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = issuer.mint()
    (tmp_path / "token").write_text(f"{token}\n")
    (tmp_path / "local").write_bytes(b"new" * 1_000_000)
    with (
        caplog.at_level(logging.DEBUG),
        connect(server, token="", token_file=str(tmp_path / "token")) as client,
    ):
        client.upload(tmp_path / "local", f"{folder}/f")
        client.download(f"{folder}/f", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == (tmp_path / "local").read_bytes()
    assert token not in caplog.text
    assert "authz" not in caplog.text.replace("authz=<", "")


@with_certificates
def test_a_user_certificate_does_what_a_proxy_does(server: Server, folder: str, pki: Pki, tmp_path: Path) -> None:
    server.put(f"{folder}/f", b"secret")
    settings = {"proxy_file": "", "cert_file": str(pki.user_cert), "key_file": str(pki.user_key)}
    with connect(server, **settings) as client:
        client.download(f"{folder}/f", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == b"secret"


@with_certificates
def test_an_expired_proxy_is_told_as_such(server: Server, folder: str, pki: Pki, tmp_path: Path) -> None:
    server.put(f"{folder}/f", b"secret")
    with connect(server, proxy_file=str(pki.expired_proxy)) as client:
        errors = _try_all(client, folder, tmp_path)

    assert {type(error) for error in errors} == {CredentialError}
    assert all("expired" in str(error) for error in errors)
    assert _unharmed(server, folder, tmp_path)


@with_certificates
def test_without_a_proxy_nothing_is_allowed(server: Server, folder: str, tmp_path: Path) -> None:
    server.put(f"{folder}/f", b"secret")
    with connect(server, proxy_file="") as client:
        errors = _try_all(client, folder, tmp_path)

    assert {type(error) for error in errors} == {PermissionDeniedError}
    assert _unharmed(server, folder, tmp_path)

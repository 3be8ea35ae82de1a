"""What is wrong with a proxy or a certificate is told before a server sees it, once and in clear words."""

import base64
import os
import pickle
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from cryptography.x509.oid import NameOID

from ctadata_providers import CredentialError
from ctadata_providers.credentials import ClientCertificate
from ctadata_providers.credentials.x509.certificate import inspect
from tests.unit.credentials import made
from tests.unit.credentials.grid import Grid, fault_of, make_grid
from tests.unit.credentials.made import (
    certify,
    make_authority,
    make_proxy,
    make_user,
    named,
    proxy_cert_info,
    write,
)

PASSPHRASE = "correct horse battery"


@pytest.fixture
def grid() -> Grid:
    return make_grid()


# What is good


def test_a_proxy_a_proxy_of_a_proxy_and_a_certificate_are_good(grid: Grid, tmp_path: Path) -> None:
    ClientCertificate(grid.proxy_file(tmp_path), proxy=True).check()
    ClientCertificate(*grid.certificate(tmp_path)).check()
    twice = write(tmp_path / "twice", grid.second.pem, grid.second.key_pem, grid.proxy.pem, grid.user.pem)
    ClientCertificate(twice, proxy=True).check()
    with_ca = write(tmp_path / "ca", grid.proxy.pem, grid.proxy.key_pem, grid.user.pem, grid.authority.pem)

    assert inspect(with_ca, proxy=True).usable


def test_a_proxy_may_be_given_where_any_certificate_is_good(grid: Grid, tmp_path: Path) -> None:
    assert inspect(grid.proxy_file(tmp_path), proxy=False).usable


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_words_around_the_blocks_parameters_and_dos_line_ends_do_no_harm(
    form: PrivateFormat, grid: Grid, tmp_path: Path
) -> None:
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    parts = (b"subject=/CN=x\n", grid.proxy.pem, parameters, grid.proxy.sealed_key(None, form), grid.user.pem, b"bye")
    path = write(tmp_path / "odd", *(part.replace(b"\n", b"\r\n") for part in parts))

    assert inspect(path, proxy=True).usable


def test_an_inspection_tells_all_that_is_known(grid: Grid, tmp_path: Path) -> None:
    path = write(tmp_path / "twice", grid.second.pem, grid.second.key_pem, grid.proxy.pem, grid.user.pem)
    info = inspect(path, proxy=True)

    assert info.subject == "/O=TestGrid/CN=Alice/CN=123456/CN=123456"
    assert info.issuer == "/O=TestGrid/CN=Alice/CN=123456"
    assert info.identity == "/O=TestGrid/CN=Alice"
    assert (info.kind, info.strength, info.path_length) == ("proxy", "EC secp256r1", None)
    assert info.expires_at == grid.proxy.certificate.not_valid_after_utc.timestamp()
    assert info.life_left(info.expires_at - 60) == 60


@pytest.mark.parametrize(
    ("info", "kind", "length"),
    [
        (proxy_cert_info(), "proxy", None),
        (proxy_cert_info(made.LIMITED, path_length=3), "limited proxy", 3),
        (proxy_cert_info(made.INDEPENDENT), "independent proxy", None),
        (proxy_cert_info(made.UNKNOWN, policy=b"read only"), "restricted proxy", None),
    ],
)
def test_the_kinds_of_proxies_are_told_apart(
    info: bytes, kind: str, length: int | None, grid: Grid, tmp_path: Path
) -> None:
    proxy = make_proxy(grid.user, info=info)
    found = inspect(write(tmp_path / "proxy", proxy.pem, proxy.key_pem, grid.user.pem), proxy=True)

    assert (found.kind, found.path_length, found.usable) == (kind, length, True)


def test_names_are_told_as_grid_mapfiles_have_them(grid: Grid, tmp_path: Path) -> None:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "ch"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Zoë/Müller"),
            x509.NameAttribute(NameOID.EMAIL_ADDRESS, "zoe@example.org"),
        ]
    )
    user = certify(name, grid.authority)

    assert inspect(write(tmp_path / "x", user.pem, user.key_pem)).subject == (
        "/DC=ch/CN=Zoë/Müller/emailAddress=zoe@example.org"
    )


# What is not what was meant


def test_a_long_lived_certificate_is_no_proxy(grid: Grid, tmp_path: Path) -> None:
    path = write(tmp_path / "cert.pem", grid.user.pem, grid.user.key_pem)
    error = fault_of(path)

    assert "long-lived certificate where a proxy is meant" in error.message
    assert "ctadata proxy create" in str(error.remedy)
    assert "cert_file" in str(error.remedy)
    assert inspect(path, proxy=False).usable


@pytest.mark.parametrize("name", ["proxy", "limited proxy"])
def test_a_proxy_of_before_the_rfc_is_told_as_such(name: str, grid: Grid, tmp_path: Path) -> None:
    legacy = certify(named("Alice", name), grid.user, hours=12)
    path = write(tmp_path / "legacy", legacy.pem, legacy.key_pem, grid.user.pem)
    draft_id = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.3536.1.222"), proxy_cert_info())
    draft = certify(named("Alice", "12345"), grid.user, draft_id, hours=12)
    other = write(tmp_path / "draft", draft.pem, draft.key_pem, grid.user.pem)

    assert "from before RFC 3820" in fault_of(path).message
    assert "from before RFC 3820" in fault_of(other, proxy=False).message
    assert inspect(path).kind == inspect(other).kind == "legacy proxy"


def test_a_user_who_is_called_proxy_is_none(grid: Grid, tmp_path: Path) -> None:
    user = certify(named("proxy"), grid.authority)

    assert inspect(write(tmp_path / "cert.pem", user.pem, user.key_pem)).kind == "certificate"


# Files


@pytest.mark.parametrize("missing", ["cert", "key", "folder"])
def test_a_missing_file_is_told_with_its_name(missing: str, grid: Grid, tmp_path: Path) -> None:
    cert, key = grid.certificate(tmp_path)
    gone = {"cert": cert, "key": key, "folder": cert}[missing]
    gone.unlink()
    if missing == "folder":
        cert.mkdir()
    with pytest.raises(CredentialError, match=rf"cannot read {gone}") as caught:
        ClientCertificate(cert, key).check()

    assert caught.value.path == str(gone)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CredentialError, match="not a regular file"):
        ClientCertificate(tmp_path / "pipe").check()


@pytest.mark.parametrize("content", [b"", b"no PEM at all", b"-----BEGIN CERTIFICATE-----\nMII"])
def test_a_file_without_a_certificate_is_told(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="holds no certificate"):
        ClientCertificate(write(tmp_path / "x", content)).check()


@pytest.mark.parametrize("content", [b"bm90IGEgY2VydGlmaWNhdGU=", b"%%%"])
def test_a_damaged_certificate_is_told(content: bytes, grid: Grid, tmp_path: Path) -> None:
    block = b"-----BEGIN CERTIFICATE-----\n" + content + b"\n-----END CERTIFICATE-----\n"
    with pytest.raises(CredentialError, match="cannot be parsed"):
        ClientCertificate(write(tmp_path / "x", grid.proxy.pem, grid.proxy.key_pem, block)).check()


MISSHAPEN = {
    "an extension twice": (b"\x06\x03\x2a\x03\x05", b"\x06\x03\x2a\x03\x04"),
    "an unknown version": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"),
    "a broken extension": (b"\x06\x03\x55\x1d\x0f", b"\x06\x03\x55\x1d\x13"),
}


@pytest.mark.parametrize("case", MISSHAPEN)
def test_a_misshapen_certificate_is_told(case: str, grid: Grid, tmp_path: Path) -> None:
    odd = [made.Lenient(x509.ObjectIdentifier(f"1.2.3.{number}"), b"\x05\x00") for number in (4, 5)]
    user = make_user(grid.authority, made.usage(), *odd)
    old, new = MISSHAPEN[case]
    data = user.certificate.public_bytes(Encoding.DER)
    bent = base64.encodebytes(data.replace(old, new, 1))
    block = b"-----BEGIN CERTIFICATE-----\n" + bent + b"-----END CERTIFICATE-----\n"

    assert old in data
    with pytest.raises(CredentialError, match="cannot be parsed"):
        ClientCertificate(write(tmp_path / "x", block, user.key_pem)).check()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_key_that_is_open_to_others_is_refused(mode: int, grid: Grid, tmp_path: Path) -> None:
    proxy = grid.proxy_file(tmp_path)
    proxy.chmod(mode)
    cert, key = grid.certificate(tmp_path)
    key.chmod(mode)

    assert f"mode {mode:04o}" in fault_of(proxy).message
    assert f"mode {mode:04o}" in fault_of(proxy, write(tmp_path / "k", grid.proxy.key_pem)).message
    assert fault_of(cert, key, proxy=False).remedy == f"chmod 600 {key}"


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="files in memory are Linux's memfd")
def test_a_proxy_in_memory_is_open_to_nobody(grid: Grid, tmp_path: Path) -> None:
    descriptor = os.memfd_create("proxy")
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        file.write(grid.proxy_file(tmp_path).read_bytes())
        path = Path(f"/proc/self/fd/{descriptor}")

        assert path.stat().st_mode & 0o077
        assert inspect(path, proxy=True).usable


# Keys


def test_a_file_without_key_with_several_or_with_another_ones_is_told(grid: Grid, tmp_path: Path) -> None:
    proxy, user = grid.proxy, grid.user
    none = write(tmp_path / "none", proxy.pem, user.pem)
    two = write(tmp_path / "two", proxy.pem, proxy.key_pem, user.pem, user.key_pem)
    other = write(tmp_path / "other", proxy.pem, user.pem, grid.stranger.key_pem)
    cert, _ = grid.certificate(tmp_path)
    stranger = write(tmp_path / "stranger", grid.stranger.key_pem)

    assert "no private key" in fault_of(none).message
    assert "several private keys" in fault_of(two).message
    assert "does not belong" in fault_of(other).message
    assert "does not belong" in fault_of(cert, stranger, proxy=False).message


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_is_told_as_such_and_asks_for_no_passphrase(
    form: PrivateFormat, grid: Grid, tmp_path: Path
) -> None:
    cert, _ = grid.certificate(tmp_path)
    key = write(tmp_path / "sealed", grid.user.sealed_key(PASSPHRASE, form))
    error = fault_of(cert, key, proxy=False)

    assert "is encrypted" in error.message
    assert "ctadata proxy create" in str(error.remedy)


def test_a_damaged_key_is_told_without_a_piece_of_it(grid: Grid, tmp_path: Path) -> None:
    cert, _ = grid.certificate(tmp_path)
    lines = grid.user.key_pem.decode().splitlines()
    key = write(tmp_path / "damaged", "\n".join([lines[0], lines[1][4:], *lines[2:]]).encode())
    error = fault_of(cert, key, proxy=False)

    assert "cannot be parsed" in error.message
    assert lines[1][8:20] not in str(error)
    assert error.__cause__ is None


def test_a_key_that_tls_finds_too_short_is_told(grid: Grid, tmp_path: Path) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # as Globus made them for long
    proxy = make_proxy(grid.user, key=short)
    error = fault_of(write(tmp_path / "short", proxy.pem, proxy.key_pem, grid.user.pem))

    assert "TLS does not take" in error.message
    assert "too small" in error.message


# Time


def test_what_has_expired_is_told_with_its_time(grid: Grid, tmp_path: Path) -> None:
    expired = make_proxy(grid.user, hours=-1)
    proxy = write(tmp_path / "proxy", expired.pem, expired.key_pem, grid.user.pem)
    user = make_user(grid.authority, hours=-1)
    cert = write(tmp_path / "cert", user.pem, user.key_pem)

    assert str(fault_of(proxy)).endswith("UTC; make a new proxy with 'ctadata proxy create'")
    assert f"{proxy} expired at 20" in fault_of(proxy).message
    assert "renew the certificate" in str(fault_of(cert, proxy=False).remedy)


def test_a_proxy_ends_with_the_first_certificate_of_its_chain(grid: Grid, tmp_path: Path) -> None:
    user = make_user(grid.authority, hours=-1)
    proxy = make_proxy(user)
    path = write(tmp_path / "x", proxy.pem, proxy.key_pem, user.pem)

    assert "expired at" in fault_of(path).message


def test_an_authority_that_has_ended_behind_the_certificate_is_the_affair_of_the_server(tmp_path: Path) -> None:
    root, authority = make_authority(), make_authority()
    old = certify(named("CA"), root, x509.BasicConstraints(ca=True, path_length=None), key=authority.key, hours=-1)
    user = make_user(authority)
    proxy = make_proxy(user)
    cert = write(tmp_path / "cert", user.pem, user.key_pem, old.pem)
    path = write(tmp_path / "proxy", proxy.pem, proxy.key_pem, user.pem, old.pem)

    assert inspect(cert).usable
    assert inspect(path, proxy=True).usable
    assert inspect(path, proxy=True).expires_at == proxy.certificate.not_valid_after_utc.timestamp()


def test_what_is_wrong_for_ever_is_told_before_the_time(grid: Grid, tmp_path: Path) -> None:
    expired = make_proxy(grid.user, hours=-1)

    assert "no private key" in fault_of(write(tmp_path / "x", expired.pem, grid.user.pem)).message


def test_a_certificate_of_the_future_is_told_but_for_a_clock_that_is_a_little_ahead(grid: Grid, tmp_path: Path) -> None:
    proxy = make_proxy(grid.user, begins=1)
    path = write(tmp_path / "x", proxy.pem, proxy.key_pem, grid.user.pem)
    begin = proxy.certificate.not_valid_before_utc.timestamp()

    assert "is not valid before 20" in fault_of(path).message
    assert ClientCertificate(path, proxy=True).check(now=begin - 299)
    assert not inspect(path, now=begin - 301).usable


# Cheap and fresh


def test_an_unchanged_file_is_read_once_and_refused_from_its_end_on(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = ClientCertificate(grid.proxy_file(tmp_path), proxy=True)
    state = certificate.check()
    end = certificate.expires_at()
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("it is read again"))

    assert certificate.check(now=end - 1) == state
    with pytest.raises(CredentialError, match="expired"):
        certificate.check(now=end)
    assert certificate.check(now=end - 1) == state


def test_a_thousand_checks_of_an_unchanged_file_cost_nothing_to_speak_of(grid: Grid, tmp_path: Path) -> None:
    certificate = ClientCertificate(*grid.certificate(tmp_path))
    certificate.check()
    begun = time.process_time()
    for _ in range(1000):
        certificate.check()

    assert time.process_time() - begun < 0.25


def test_a_file_that_was_renewed_opened_or_spoilt_is_read_again(grid: Grid, tmp_path: Path) -> None:
    path = grid.proxy_file(tmp_path)
    certificate = ClientCertificate(path, proxy=True)
    first, end = certificate.check(), certificate.expires_at()
    longer = make_proxy(grid.user, hours=20)
    write(tmp_path / "new", longer.pem, longer.key_pem, grid.user.pem).replace(path)
    second = certificate.check()

    assert second != first
    assert certificate.expires_at() > end
    path.chmod(0o644)
    with pytest.raises(CredentialError, match="open to others"):
        certificate.check()
    path.chmod(0o600)
    assert certificate.check()
    write(path, grid.proxy.pem)
    for _ in range(2):
        with pytest.raises(CredentialError, match="no private key"):
            certificate.check()
    path.unlink()
    with pytest.raises(CredentialError, match="cannot read"):
        certificate.check()


def test_a_file_is_being_written_while_it_is_missing_or_new(grid: Grid, tmp_path: Path) -> None:
    path = grid.proxy_file(tmp_path)
    certificate = ClientCertificate(path, proxy=True)
    os.utime(path, (time.time() + 600, time.time() + 600))
    new = [certificate.is_being_written()]
    os.utime(path, (1, 1))
    new.append(certificate.is_being_written())
    path.unlink()

    assert [*new, certificate.is_being_written()] == [False, False, True]


def test_what_is_known_of_a_certificate_can_be_compared_and_pickled(grid: Grid, tmp_path: Path) -> None:
    path = grid.proxy_file(tmp_path)
    certificate = ClientCertificate(path, proxy=True)
    shown = repr(inspect(path, proxy=True)) + repr(certificate)

    assert pickle.loads(pickle.dumps(certificate)) == certificate
    assert ClientCertificate(path) != certificate
    assert "PRIVATE KEY" not in shown

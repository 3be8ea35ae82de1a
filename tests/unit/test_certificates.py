"""Proxies are made as Globus users expect, and checked before they are used or given away."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, PrivateFormat, pkcs12

from ctadata_providers import ConfigError, CredentialError
from ctadata_providers.certificates import ProxyInfo, check_proxy, create_proxy, inspect_proxy, proxy_path
from tests.faults.test_secrets import with_our_variables
from tests.unit.credentials import made
from tests.unit.credentials.made import Held, certify, make_authority, make_proxy, make_user, named, usage, write

PASSPHRASE = "correct horse battery"
HOUR, DAY = 3600.0, 86400.0
Create = Callable[..., ProxyInfo]


@pytest.fixture(scope="module")
def authority() -> Held:
    return make_authority()


@pytest.fixture(scope="module")
def user(authority: Held) -> Held:
    return make_user(authority)


@pytest.fixture
def home(tmp_path: Path, user: Held) -> Path:
    """A home whose `.globus` holds certificate and encrypted key, as grid users have it."""
    folder = tmp_path / "home" / ".globus"
    folder.mkdir(parents=True)
    write(folder / "usercert.pem", user.pem, mode=0o644)
    write(folder / "userkey.pem", user.sealed_key(PASSPHRASE), mode=0o400)
    return folder.parent


@pytest.fixture
def create(home: Path, tmp_path: Path) -> Create:
    """Make a proxy in that home: quickly, and where the test sees it."""

    def made_so(*sources: Path, **settings: Any) -> ProxyInfo:
        environ = {"HOME": str(home), "X509_USER_PROXY": str(tmp_path / "proxy.pem"), **settings.pop("environ", {})}
        given = {"key_type": "ec", "passphrase": lambda _: PASSPHRASE, "environ": environ}
        return create_proxy(*sources, **{**given, **settings})

    return made_so


# Where things are


def test_a_proxy_is_where_globus_looks_for_it() -> None:
    assert proxy_path({"X509_USER_PROXY": "/a/proxy"}) == Path("/a/proxy")
    assert proxy_path({}) == proxy_path({"X509_USER_PROXY": ""}) == Path(f"/tmp/x509up_u{os.geteuid()}")


def test_the_default_is_12_hours_of_rsa_2048_from_the_globus_folder_for_its_owner_only(
    create: Create, tmp_path: Path
) -> None:
    made_info = create(key_type="rsa")
    again = check_proxy(tmp_path / "proxy.pem", upload=True)

    assert made_info == again
    assert made_info.path == tmp_path / "proxy.pem"
    assert made_info.path.stat().st_mode & 0o777 == 0o600
    assert (made_info.kind, made_info.strength, made_info.path_length) == ("proxy", "RSA 2048", None)
    assert made_info.identity == "/O=TestGrid/CN=Alice"
    assert 12 * HOUR - 60 < made_info.life_left(time.time()) <= 12 * HOUR
    assert b"ENCRYPTED" not in made_info.path.read_bytes()
    assert list(tmp_path.glob(".*")) == []


def test_certificate_and_key_come_from_arguments_before_the_environment_before_the_home(
    create: Create, authority: Held, tmp_path: Path
) -> None:
    def files(name: str) -> tuple[Path, Path]:
        held = certify(named(name), authority, usage())
        return write(tmp_path / f"{name}.pem", held.pem), write(tmp_path / f"{name}.key", held.key_pem)

    given, named_ones = files("given"), files("named")
    environ = dict(zip(("X509_USER_CERT", "X509_USER_KEY"), map(str, named_ones), strict=True))
    both = write(tmp_path / "both.pem", given[0].read_bytes(), given[1].read_bytes())

    assert create().identity.endswith("/CN=Alice")
    assert create(environ=environ).identity.endswith("/CN=named")
    assert create(*given, environ=environ).identity.endswith("/CN=given")
    assert create(both).identity.endswith("/CN=given")
    assert create(environ={"X509_USER_CERT": str(both)}).identity.endswith("/CN=given")


@pytest.mark.parametrize("password", [PASSPHRASE, ""])
def test_a_pkcs12_file_of_a_browser_serves_too(
    password: str, create: Create, home: Path, user: Held, authority: Held
) -> None:
    sealed = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    data = pkcs12.serialize_key_and_certificates(b"x", user.key, user.certificate, [authority.certificate], sealed)
    write(home / ".globus" / "usercred.p12", data)
    write(home / ".globus" / "other.P12", data)
    (home / ".globus" / "usercert.pem").unlink()
    info = create(passphrase=lambda _: password)

    assert info.identity == "/O=TestGrid/CN=Alice"
    assert info.path.read_text().count("BEGIN CERTIFICATE") == 3
    assert create(home / ".globus" / "other.P12", passphrase=lambda _: password).usable
    with pytest.raises(CredentialError, match="is wrong, or the file is damaged") as caught:
        create(passphrase=lambda _: "mistyped")
    assert "mistyped" not in with_our_variables(caught.value)
    with pytest.raises(CredentialError, match="needs a passphrase"):
        create(passphrase=None)
    (home / ".globus" / "usercred.p12").chmod(0o640)
    with pytest.raises(CredentialError, match="open to others"):
        create(passphrase=lambda _: password)


# What is made


def test_a_proxy_never_outlives_the_certificate(create: Create, authority: Held, tmp_path: Path) -> None:
    short = make_user(authority, hours=2)
    info = create(write(tmp_path / "short", short.pem, short.key_pem), hours=12)

    assert info.expires_at == short.certificate.not_valid_after_utc.timestamp()


def test_a_proxy_is_made_of_a_proxy_as_often_as_that_allows(create: Create, user: Held, tmp_path: Path) -> None:
    first = make_proxy(user, info=made.proxy_cert_info(made.LIMITED, path_length=1))
    source = write(tmp_path / "first", first.pem, first.key_pem, user.pem)
    second = create(source, hours=48)
    with pytest.raises(CredentialError, match="allows no further"):
        create(second.path, out=tmp_path / "third")

    assert second.identity == "/O=TestGrid/CN=Alice"
    assert second.issuer == "/O=TestGrid/CN=Alice/CN=123456"
    assert (second.kind, second.path_length) == ("limited proxy", 0)
    assert second.expires_at == first.certificate.not_valid_after_utc.timestamp()


@pytest.mark.parametrize(("key_type", "head"), [("rsa", "RSA PRIVATE KEY"), ("ec", "PRIVATE KEY")])
def test_the_key_stands_behind_its_certificate_as_globus_reads_it(key_type: str, head: str, create: Create) -> None:
    lines = create(key_type=key_type).path.read_text().splitlines()

    assert [line.strip("-") for line in lines if line.startswith("-----BEGIN")] == [
        "BEGIN CERTIFICATE",
        f"BEGIN {head}",
        "BEGIN CERTIFICATE",
    ]


def test_a_limited_proxy_is_one(create: Create) -> None:
    assert create(limited=True).kind == "limited proxy"


def test_the_passphrase_is_asked_for_once_for_an_encrypted_key_and_never_for_another(
    create: Create, user: Held, tmp_path: Path
) -> None:
    asked: list[Path] = []

    def passphrase(path: Path) -> str:
        asked.append(path)
        return PASSPHRASE

    create(passphrase=passphrase)
    create(write(tmp_path / "open", user.pem, user.key_pem), passphrase=passphrase)

    assert [path.name for path in asked] == ["userkey.pem"]


def test_an_old_encrypted_key_is_good_too(create: Create, authority: Held, tmp_path: Path) -> None:
    user = make_user(authority, key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    old = write(tmp_path / "old", user.pem, user.sealed_key(PASSPHRASE, PrivateFormat.TraditionalOpenSSL))

    assert create(old).usable


# What is refused


@pytest.mark.parametrize("wrong", ["Tr0ub4dor", "", "é", "\ud800"])
def test_a_wrong_passphrase_is_told_without_it_and_harms_nothing(wrong: str, create: Create, tmp_path: Path) -> None:
    before = create().path.read_bytes()
    with pytest.raises(CredentialError, match=r"passphrase of .*userkey\.pem is wrong") as caught:
        create(passphrase=lambda _: wrong)

    assert not wrong or wrong not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not wrong or wrong not in with_our_variables(caught.value)
    assert (tmp_path / "proxy.pem").read_bytes() == before
    assert list(tmp_path.glob(".*")) == []


def test_an_encrypted_key_without_passphrase_is_told(create: Create) -> None:
    with pytest.raises(CredentialError, match="is encrypted"):
        create(passphrase=None)


def test_an_expired_certificate_is_told_before_anybody_is_asked(
    create: Create, authority: Held, tmp_path: Path
) -> None:
    old = make_user(authority, hours=-1)
    files = write(tmp_path / "c", old.pem), write(tmp_path / "k", old.sealed_key(PASSPHRASE))
    with pytest.raises(CredentialError, match="expired at"):
        create(*files, passphrase=lambda _: pytest.fail("asked"))

    assert not (tmp_path / "proxy.pem").exists()


def test_a_key_that_is_open_to_others_is_refused(create: Create, home: Path) -> None:
    (home / ".globus" / "userkey.pem").chmod(0o644)
    with pytest.raises(CredentialError, match="open to others") as caught:
        create()

    assert "chmod 600" in str(caught.value.remedy)


def test_what_cannot_sign_a_proxy_is_told(create: Create, authority: Held, user: Held, tmp_path: Path) -> None:
    no_signatures = make_user(authority, usage(signs=False))
    for held in (authority, no_signatures):
        with pytest.raises(CredentialError, match="no proxy can be made of"):
            create(write(tmp_path / "x", held.pem, held.key_pem))
    with pytest.raises(CredentialError, match="does not belong"):
        create(write(tmp_path / "y", user.pem, authority.key_pem))
    with pytest.raises(CredentialError, match="holds no certificate"):
        create(write(tmp_path / "z", user.key_pem))
    with pytest.raises(CredentialError, match=r"cannot read .*/missing"):
        create(tmp_path / "missing")


@pytest.mark.parametrize("source", ["usercert.pem", "userkey.pem"])
def test_a_proxy_never_overwrites_what_it_is_made_of(source: str, create: Create, home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home / ".globus" / source)
    before = (home / ".globus" / source).read_bytes()
    for out in (home / ".globus" / source, tmp_path / "link"):
        with pytest.raises(ConfigError, match="would overwrite"):
            create(out=out)

    assert (home / ".globus" / source).read_bytes() == before


def test_a_place_that_cannot_be_written_is_told(create: Create, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")  # as a device, which root could replace by a file
    for out in (tmp_path / "no" / "such", tmp_path / "folder", tmp_path / "pipe", tmp_path / ("x" * 300)):
        with pytest.raises(CredentialError, match="cannot write the proxy") as caught:
            create(out=out)

        assert "--out" in str(caught.value.remedy)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "home", "pipe"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_certificate_that_tls_refuses_is_told_and_the_old_proxy_stays(
    create: Create, authority: Held, tmp_path: Path
) -> None:
    before = create().path.read_bytes()
    weak = make_user(authority, key=rsa.generate_private_key(public_exponent=65537, key_size=1024))
    with pytest.raises(CredentialError, match=r"TLS does not take .*/weak: ca key too small") as caught:
        create(write(tmp_path / "weak", weak.pem, weak.key_pem))

    assert "authority" in str(caught.value.remedy)
    assert (tmp_path / "proxy.pem").read_bytes() == before
    assert list(tmp_path.glob(".*")) == []


def test_a_certificate_without_key_is_told_as_that_whoever_may_read_it(
    create: Create, user: Held, tmp_path: Path
) -> None:
    with pytest.raises(CredentialError, match="holds no private key"):
        create(write(tmp_path / "usercert.pem", user.pem, mode=0o644))


def test_a_home_without_certificate_is_told_with_what_to_name(create: Create, home: Path) -> None:
    (home / ".globus" / "usercert.pem").unlink()
    for home_folder in (home, home / ("x" * 300)):
        with pytest.raises(CredentialError, match=r"cannot find .*/usercert\.pem") as caught:
            create(environ={"HOME": str(home_folder)})

        assert "--cert-file" in str(caught.value.remedy)


def test_an_empty_text_is_no_path(create: Create, home: Path) -> None:
    files = {"cert_file": home / ".globus" / "usercert.pem", "key_file": home / ".globus" / "userkey.pem"}
    for name in (*files, "out"):
        with pytest.raises(ConfigError, match="empty"):
            create(**{**files, name: ""})
    for look in (inspect_proxy, check_proxy):
        with pytest.raises(ConfigError, match="empty"):
            look("")


@pytest.mark.parametrize(
    "settings", [{"hours": 0}, {"hours": -1}, {"hours": math.nan}, {"hours": 1e-9}, {"key_type": "dsa"}]
)
def test_a_life_or_kind_that_cannot_be_is_told(settings: dict[str, Any], create: Create) -> None:
    with pytest.raises(ConfigError, match="cannot make a proxy"):
        create(**settings)


def test_a_key_without_certificate_is_told(create: Create, home: Path) -> None:
    with pytest.raises(ConfigError, match="without its certificate"):
        create(key_file=home / ".globus" / "userkey.pem")


# Checked before it is given away


def test_a_certificate_with_its_key_never_leaves_the_machine(user: Held, tmp_path: Path) -> None:
    path = write(tmp_path / "cert", user.pem, user.key_pem)
    for upload in (False, True):
        with pytest.raises(CredentialError, match="long-lived certificate where a proxy is meant"):
            check_proxy(path, upload=upload)


def test_more_than_a_week_is_not_given_away(user: Held, tmp_path: Path) -> None:
    proxy = make_proxy(user, hours=9 * 24)
    path = write(tmp_path / "long", proxy.pem, proxy.key_pem, user.pem)
    end = proxy.certificate.not_valid_after_utc.timestamp()

    assert check_proxy(path).usable
    assert check_proxy(path, upload=True, now=end - 7 * DAY).usable
    with pytest.raises(CredentialError, match=r"lives for 9\.0 days; at most 7"):
        check_proxy(path, upload=True)


def test_a_file_that_others_can_read_is_not_given_away_whoever_owns_it(
    user: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = make_proxy(user)
    path = write(tmp_path / "x", proxy.pem, proxy.key_pem, user.pem, mode=0o640)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)

    assert check_proxy(path).usable
    with pytest.raises(CredentialError, match="open to others"):
        check_proxy(path, upload=True)


def test_an_inspection_tells_what_is_wrong_and_a_check_raises_it(user: Held, tmp_path: Path) -> None:
    proxy = make_proxy(user, hours=-1)
    path = write(tmp_path / "x", proxy.pem, proxy.key_pem, user.pem)
    info = inspect_proxy(str(path))
    with pytest.raises(CredentialError) as caught:
        check_proxy(str(path))

    assert not info.usable
    assert str(info.fault) == str(caught.value)
    assert info.identity == "/O=TestGrid/CN=Alice"

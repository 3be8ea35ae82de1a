"""A chain is in order, rightly signed, and its proxies keep the rules of RFC 3820; else that is told."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from ctadata_providers.credentials.x509.certificate import inspect
from tests.unit.credentials import made
from tests.unit.credentials.grid import Grid, fault_of, make_grid
from tests.unit.credentials.made import Held, make_proxy, make_user, named, proxy_cert_info, write


@pytest.fixture
def grid() -> Grid:
    return make_grid()


def test_a_proxy_without_the_certificate_behind_it_is_told(grid: Grid, tmp_path: Path) -> None:
    alone = write(tmp_path / "alone", grid.proxy.pem, grid.proxy.key_pem)
    between = write(tmp_path / "between", grid.second.pem, grid.second.key_pem, grid.proxy.pem)

    assert "is missing behind it" in fault_of(alone).message
    assert "is missing behind it" in fault_of(between).message


def test_certificates_out_of_order_are_told(grid: Grid, tmp_path: Path) -> None:
    turned = write(tmp_path / "turned", grid.user.pem, grid.proxy.key_pem, grid.proxy.pem)
    mixed = write(tmp_path / "mixed", grid.second.pem, grid.second.key_pem, grid.user.pem, grid.proxy.pem)

    assert "wrong order" in fault_of(turned, proxy=False).message
    assert "are not in order" in fault_of(mixed).message


def test_a_wrong_signature_is_told(grid: Grid, tmp_path: Path) -> None:
    forged = make_proxy(Held(grid.user.certificate, grid.stranger.key))
    path = write(tmp_path / "forged", forged.pem, forged.key_pem, grid.user.pem)

    assert "is not by the certificate behind it" in fault_of(path).message


def test_a_chain_with_another_ones_certificate_of_the_same_name_is_told(grid: Grid, tmp_path: Path) -> None:
    path = write(tmp_path / "x", grid.proxy.pem, grid.proxy.key_pem, grid.stranger.pem)

    assert "is not by the certificate behind it" in fault_of(path).message


@pytest.mark.parametrize(
    "info",
    [
        b"",
        b"\x30",
        b"\x30\x84\x01",
        made.der(0x31, made.der(0x30, made.der(6, made.INHERIT_ALL))),
        made.der(0x30, made.der(2, b"\x00")),
        made.der(0x30, made.der(0x30)),
        proxy_cert_info(path_length=0x80),  # -128
        proxy_cert_info() + b"\x00",
        made.der(0x30, b"\x30\x7f", made.der(6, made.INHERIT_ALL)),
        made.der(0x30, made.der(0x30, made.der(6, made.INHERIT_ALL), made.der(5))),
    ],
)
def test_a_malformed_proxy_cert_info_is_told(info: bytes, grid: Grid, tmp_path: Path) -> None:
    proxy = make_proxy(grid.user, info=info)
    path = write(tmp_path / "x", proxy.pem, proxy.key_pem, grid.user.pem)

    assert "proxyCertInfo of the proxy" in fault_of(path).message
    assert "cannot be parsed" in fault_of(path, proxy=False).message
    assert inspect(path).kind == "malformed proxy"


BROKEN: dict[str, tuple[str, Callable[[Held], Held]]] = {
    "not critical": ("not marked as critical", lambda user: make_proxy(user, critical=False)),
    "another name": ("name is not that of its issuer", lambda user: make_proxy(user, subject=named("Bob"))),
    "no name added": ("name is not that of its issuer", lambda user: make_proxy(user, subject=named("Alice"))),
    "two names": ("name is not that of its issuer", lambda user: make_proxy(user, subject=named("Alice", "1", "2"))),
    "no common name": (
        "name is not that of its issuer",
        lambda user: make_proxy(
            user,
            subject=x509.Name([*user.certificate.subject, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "1")]),
        ),
    ),
    "an authority": (
        "neither be an authority",
        lambda user: make_proxy(user, x509.BasicConstraints(ca=True, path_length=None)),
    ),
    "alternative names": (
        "nor have alternative names",
        lambda user: make_proxy(user, x509.SubjectAlternativeName([x509.DNSName("localhost")])),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_proxy_against_the_rules_is_told(case: str, grid: Grid, tmp_path: Path) -> None:
    told, make = BROKEN[case]
    proxy = make(grid.user)

    assert told in fault_of(write(tmp_path / "x", proxy.pem, proxy.key_pem, grid.user.pem)).message


def test_a_user_whose_key_is_not_for_signatures_has_no_proxies(grid: Grid, tmp_path: Path) -> None:
    user = make_user(grid.authority, made.usage(signs=False, enciphers=True))
    proxy = make_proxy(user)
    path = write(tmp_path / "x", proxy.pem, proxy.key_pem, user.pem)

    assert "does not include digital signatures" in fault_of(path).message


def test_more_delegations_than_allowed_are_told(grid: Grid, tmp_path: Path) -> None:
    for allowed, good in ((0, False), (1, True)):
        first = make_proxy(grid.user, info=proxy_cert_info(path_length=allowed))
        second = make_proxy(first)
        path = write(tmp_path / f"{allowed}", second.pem, second.key_pem, first.pem, grid.user.pem)
        info = inspect(path, proxy=True)

        assert info.usable is good
        assert info.path_length == allowed - 1
        assert good or "more proxies of proxies" in str(info.fault)

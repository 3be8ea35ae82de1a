"""What a proxy says of itself, and what we put into a new one."""

import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from ctadata_providers.credentials.x509.pem import PrivateKey, to_pem
from ctadata_providers.credentials.x509.proxies import (
    PROXY_CERT_INFO,
    kind_of,
    may_sign,
    new_key,
    path_length,
    proxies_of,
    proxy_cert_info,
    sign_proxy,
)
from tests.unit.credentials import made
from tests.unit.credentials.made import Held, certify, make_authority, make_proxy, make_user, named, usage, write


@pytest.fixture(scope="module")
def authority() -> Held:
    return make_authority()


@pytest.fixture(scope="module")
def user(authority: Held) -> Held:
    return make_user(authority)


def sign(issuer: Held, key: PrivateKey | None = None, **settings: Any) -> Held:
    """Return a proxy that our code has made, good for an hour."""
    key = key or new_key("ec")
    life = {"starts_at": time.time() - 60, "expires_at": time.time() + 3600}
    return Held(sign_proxy(key, issuer.certificate, issuer.key, **{**life, **settings}), key)


def verdict(folder: Path, authority: Held, *chain: Held, strict: bool = False) -> str:
    """Return what OpenSSL, as a server that takes proxies, says of a chain: `good`, or its error."""
    host = certify(named("host"), authority, x509.SubjectAlternativeName([x509.DNSName("localhost")]))
    ca = write(folder / "ca.pem", authority.pem)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    server.load_cert_chain(write(folder / "host.pem", host.pem, host.key_pem))
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags = ssl.VERIFY_ALLOW_PROXY_CERTS | (ssl.VERIFY_X509_STRICT if strict else 0)
    client = ssl.create_default_context(cafile=str(ca))
    client.verify_flags &= ~ssl.VERIFY_X509_STRICT
    client.load_cert_chain(write(folder / "x.pem", chain[0].pem, chain[0].key_pem, *(one.pem for one in chain[1:])))
    try:
        shake_hands(server, client)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    return "good"


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Let two meet in memory."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there, server_hostname="localhost"), server.wrap_bio(there, back, server_side=True)]
    while ends:
        for end in tuple(ends):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
                ends.remove(end)


@pytest.mark.parametrize("key_type", ["rsa", "ec"])
@pytest.mark.parametrize("strict", [False, True])
def test_openssl_takes_a_new_proxy_and_proxies_of_it(
    strict: bool, key_type: Any, authority: Held, user: Held, tmp_path: Path
) -> None:
    identifier = x509.SubjectKeyIdentifier.from_public_key(made.new_key().public_key())
    for signer in (user, make_user(authority, usage(), identifier)):
        first = sign(signer, new_key(key_type))
        second = sign(first, limited=True)

        assert verdict(tmp_path, authority, first, signer, strict=strict) == "good"
        assert verdict(tmp_path, authority, second, first, signer, strict=strict) == "good"
        assert verdict(tmp_path, authority, make_proxy(signer), signer, strict=strict) == (
            "Missing Authority Key Identifier" if strict else "good"
        )


def test_openssl_refuses_what_is_refused_here(authority: Held, user: Held, tmp_path: Path) -> None:
    last = make_proxy(user, info=made.proxy_cert_info(path_length=0))

    assert verdict(tmp_path, authority, sign(last), last, user) == "proxy path length constraint exceeded"
    assert verdict(tmp_path, authority, sign(user, expires_at=time.time() - 1), user) == "certificate has expired"
    assert verdict(tmp_path, authority, sign(user)) == "unable to get local issuer certificate"


def test_a_new_proxy_is_as_the_rfc_wants_it(user: Held) -> None:
    proxy = sign(user, new_key("rsa")).certificate
    info = proxy_cert_info(proxy)
    key_usage = proxy.extensions.get_extension_for_class(x509.KeyUsage)
    last = proxy.subject.rdns[-1]

    assert info is not None
    assert (info.kind, info.path_length, info.critical) == ("proxy", None, True)
    assert proxy.issuer == user.certificate.subject
    assert proxy.subject.rdns[:-1] == user.certificate.subject.rdns
    assert [(part.oid, part.value) for part in last] == [(NameOID.COMMON_NAME, str(proxy.serial_number))]
    assert key_usage.critical
    assert key_usage.value.digital_signature
    assert not key_usage.value.content_commitment
    assert not key_usage.value.key_cert_sign
    assert not [one for one in proxy.extensions if isinstance(one.value, x509.BasicConstraints)]


def test_a_limited_proxy_has_the_policy_of_globus(user: Held) -> None:
    extension = sign(user, limited=True).certificate.extensions.get_extension_for_oid(PROXY_CERT_INFO)

    assert extension.value.public_bytes() == made.proxy_cert_info(made.LIMITED)


def test_key_usages_of_a_proxy_are_among_those_of_its_issuer(authority: Held) -> None:
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION])
    for enciphers in (True, False):
        proxy = sign(make_user(authority, usage(enciphers=enciphers), purposes), new_key("rsa")).certificate

        assert proxy.extensions.get_extension_for_class(x509.KeyUsage).value.key_encipherment is enciphers
        assert proxy.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == purposes


def test_names_of_every_encoding_survive(authority: Held, tmp_path: Path) -> None:
    encoded = [
        x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "cern"),
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Zoë & 木", x509.name._ASN1Type.BMPString),
        x509.NameAttribute(NameOID.COMMON_NAME, "Alice", x509.name._ASN1Type.PrintableString),
        x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@example.org"),
    ]
    user = certify(x509.Name(encoded), authority, usage())
    proxy = sign(user)

    assert proxy.certificate.issuer.public_bytes() == user.certificate.subject.public_bytes()
    assert verdict(tmp_path, authority, proxy, user) == "good"


def test_users_with_keys_of_other_kinds_can_sign(authority: Held, tmp_path: Path) -> None:
    keys: list[Any] = [
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ed25519.Ed25519PrivateKey.generate(),
    ]
    for key in keys:
        user = make_user(authority, key=key)
        proxy = sign(user)

        assert verdict(tmp_path, authority, proxy, user) == "good"


def test_two_proxies_of_one_user_have_two_names(user: Held) -> None:
    first, second = sign(user).certificate, sign(user).certificate

    assert first.subject != second.subject
    assert first.serial_number != second.serial_number


def test_an_authority_and_a_key_that_is_not_for_signatures_sign_no_proxies(authority: Held, user: Held) -> None:
    assert not may_sign(authority.certificate)
    assert not may_sign(make_user(authority, usage(signs=False)).certificate)
    assert may_sign(user.certificate)
    assert may_sign(certify(named("no usage"), authority).certificate)


def test_a_file_is_in_the_order_of_grid_tools(user: Held) -> None:
    key = new_key("rsa")
    proxy = sign(user, key)
    text = to_pem([proxy.certificate, user.certificate], key)

    assert text == proxy.pem + key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()) + (
        user.pem
    )


@pytest.mark.parametrize(
    ("lengths", "left"), [([None], None), ([0], 0), ([None, 1], 0), ([5, 1], 0), ([0, 5], 0), ([None, None, 1], -1)]
)
def test_how_many_further_proxies_may_be_made(lengths: list[int | None], left: int | None, user: Held) -> None:
    chain = [make_proxy(user, info=made.proxy_cert_info(path_length=length)).certificate for length in lengths]

    assert path_length(proxies_of([*chain, user.certificate])) == left


@given(st.binary(max_size=40) | st.binary(max_size=6).map(lambda tail: made.proxy_cert_info() + tail))
def test_any_bytes_are_a_proxy_cert_info_or_a_value_error(data: bytes) -> None:
    proxy = make_proxy(USER, info=data).certificate
    try:
        kind = kind_of(proxy)
    except ValueError:
        kind = "certificate"

    assert (kind != "certificate") == (data[:1] == b"\x30" and is_by_the_grammar(data))


USER = make_user(make_authority())


def is_by_the_grammar(data: bytes) -> bool:
    """Tell whether the grammar of RFC 3820 gives these bytes; an independent reading for short elements."""
    if len(data) < 2 or data[1] != len(data) - 2:
        return False
    rest = data[2:]
    if rest[:1] == b"\x02":
        if len(rest) < 2 or len(rest) < 2 + rest[1] or (rest[1] and rest[2] & 0x80):
            return False
        rest = rest[2 + rest[1] :]
    if rest[:1] != b"\x30" or len(rest) < 2 or rest[1] != len(rest) - 2:
        return False
    rest = rest[2:]
    if rest[:1] != b"\x06" or len(rest) < 2 or len(rest) < 2 + rest[1]:
        return False
    rest = rest[2 + rest[1] :]
    return not rest or (rest[0] == 4 and len(rest) >= 2 and rest[1] == len(rest) - 2)

"""A proxy in the connection itself: used by both HTTP stacks, never on a disk."""

import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from airflow_provider_cta.hooks.cta import CtaHook

from ctadata_providers import CredentialError
from ctadata_providers.certificates import create_proxy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files in memory are Linux's memfd")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def door_for_certificates(small_door: Any, authority: trustme.CA, tmp_path: Path) -> dict[str, Any]:
    """Return the extra of a connection to a door that lets in nobody without a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    small_door.use_tls(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    port = small_door.server_address[1]
    return {"door_url": f"https://localhost:{port}", "ca_path": str(tmp_path / "ca.pem"), "retries": 0}


@pytest.fixture
def proxy_of(authority: trustme.CA, tmp_path: Path) -> Callable[[str], str]:
    """Return a function that gives the text of a proxy of a user with some name."""

    def make(name: str) -> str:
        issued = authority.issue_cert(f"{name}@example.org", organization_unit_name=name)
        certificate, key = tmp_path / f"{name}.cert.pem", tmp_path / f"{name}.key.pem"
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return create_proxy(certificate, key, out=tmp_path / f"{name}.pem", key_type="ec").path.read_text()

    return make


def test_the_proxy_of_the_connection_is_shown_to_the_door(
    small_door: Any, proxy_of: Any, door_for_certificates: Any, store_connection: Any, tmp_path: Path
) -> None:
    for name in ("alice", "robot"):
        extra = {**door_for_certificates, "proxy_pem": proxy_of(name)}
        store_connection("cta_default", extra=extra)
        small_door.clients.clear()
        with CtaHook().client() as client:
            client.download("lst/run.fits", tmp_path / "run.fits")

        assert (tmp_path / "run.fits").read_bytes() == small_door.body
        assert len(small_door.clients) >= 2
        assert set(small_door.clients) == {name}


def test_a_door_for_certificates_refuses_who_has_none(door_for_certificates: Any, store_connection: Any) -> None:
    store_connection("cta_default", extra=door_for_certificates)

    good, message = CtaHook().test_connection()

    assert not good, message


def test_the_text_of_a_proxy_is_in_memory_only_and_masked(proxy_of: Any, store_connection: Any, as_logged: Any) -> None:
    pem = proxy_of("alice")
    store_connection("cta_default", extra={"proxy_pem": pem})
    config = CtaHook().config()

    assert config.proxy_file is not None
    assert config.proxy_file.read_text() == pem
    assert str(config.proxy_file.readlink()).startswith("/memfd:")
    assert CtaHook().config().proxy_file == config.proxy_file
    assert "MII" in pem
    assert "MII" not in as_logged(pem)


def test_a_long_lived_certificate_is_no_proxy(
    authority: trustme.CA, door_for_certificates: Any, store_connection: Any
) -> None:
    issued = authority.issue_cert("alice@example.org").private_key_and_cert_chain_pem.bytes().decode()
    store_connection("cta_default", extra={**door_for_certificates, "proxy_pem": issued})
    with CtaHook().client() as client, pytest.raises(CredentialError, match="long-lived certificate"):
        client.exists("/lst/run.fits")


def test_a_broken_proxy_is_a_credential_error(door_for_certificates: Any, store_connection: Any) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"
    store_connection("cta_default", extra={**door_for_certificates, "proxy_pem": pem})
    with CtaHook().client() as client, pytest.raises(CredentialError):
        client.exists("/lst/run.fits")

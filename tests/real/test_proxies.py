"""Proxies that we make are good for OpenSSL, for curl and for XRootD, which maps the user's name."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ctadata_providers import CredentialError, PermissionDeniedError, TransientError
from ctadata_providers.certificates import check_proxy, create_proxy
from tests.real.conftest import CERTIFICATES, connect
from tests.servers.pki import Pki, make_pki
from tests.servers.server import Server

pytestmark = pytest.mark.real
KINDS: dict[str, dict[str, Any]] = {"rsa": {}, "ec": {"key_type": "ec"}, "limited": {"key_type": "ec", "limited": True}}


@pytest.fixture(params=[*KINDS, "of a proxy", "of a proxy that was made elsewhere"])
def proxy(request: pytest.FixtureRequest, pki: Pki, tmp_path: Path) -> Path:
    """A proxy of the user, made in several ways."""
    out = tmp_path / "proxy.pem"
    if request.param in KINDS:
        return create_proxy(pki.user_cert, pki.user_key, out=out, **KINDS[request.param]).path
    first = pki.proxy
    if request.param == "of a proxy":
        first = create_proxy(pki.user_cert, pki.user_key, out=tmp_path / "first.pem").path
    return create_proxy(first, out=out, key_type="ec").path


def _verify(proxy: Path, pki: Pki, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["openssl", "verify", "-allow_proxy_certs", *options, "-CAfile", str(pki.ca_file), "-untrusted"]
    return subprocess.run([*command, str(proxy), str(proxy)], capture_output=True, text=True, check=False)


def test_openssl_verifies_a_proxy_for_tls_clients(proxy: Path, pki: Pki) -> None:
    done = _verify(proxy, pki, "-purpose", "sslclient")

    assert (done.returncode, done.stdout.strip()) == (0, f"{proxy}: OK"), done.stderr


def test_openssl_refuses_the_proxy_for_another_authority(proxy: Path, tmp_path: Path) -> None:
    done = _verify(proxy, make_pki(tmp_path / "other"))

    assert done.returncode != 0
    assert check_proxy(proxy, upload=True).usable  # whom to trust is the server's decision


def test_openssl_reads_what_the_rfc_wants(pki: Pki, tmp_path: Path) -> None:
    path = create_proxy(pki.user_cert, pki.user_key, out=tmp_path / "proxy.pem").path
    command = ["openssl", "x509", "-noout", "-text", "-in", str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.strip() for line in text.splitlines()]

    assert "Proxy Certificate Information: critical" in lines
    assert "Path Length Constraint: infinite" in lines
    assert "Policy Language: Inherit all" in lines
    assert "X509v3 Key Usage: critical" in lines
    assert "Public-Key: (2048 bit)" in lines


def test_globus_and_voms_say_of_it_what_we_do(proxy: Path, pki: Pki) -> None:
    def told(*command: str) -> list[str]:
        asked = [*command, "-subject", "-type", "-timeleft"]
        environ = {**os.environ, "X509_CERT_DIR": str(pki.ca_file.parent)}  # voms looks for it, whatever is in it
        return subprocess.run(asked, env=environ, capture_output=True, text=True, check=True).stdout.splitlines()

    info = check_proxy(proxy)
    by_globus = told("grid-proxy-info", "-f", str(proxy))
    by_voms = told("voms-proxy-info", "-file", str(proxy))

    assert by_globus[0] == by_voms[0] == info.subject
    assert by_globus[1] == f"RFC 3820 compliant {'limited' if info.kind == 'limited proxy' else 'impersonation'} proxy"
    assert by_voms[1] == "RFC compliant proxy"
    for left in (by_globus[2], by_voms[2]):
        assert abs(int(left) - info.life_left(time.time())) < 60


@pytest.mark.parametrize("server", CERTIFICATES, indirect=True)
def test_xrootd_lets_the_user_in_by_a_proxy_that_we_made(
    server: Server, folder: str, proxy: Path, tmp_path: Path
) -> None:
    (tmp_path / "local").write_bytes(b"new" * 1_000_000)
    with connect(server, proxy_file=str(proxy)) as client:
        client.upload(tmp_path / "local", f"{folder}/f")
        client.download(f"{folder}/f", tmp_path / "copy")
        names = [info.name for info in client.list_dir(folder)]

    assert (tmp_path / "copy").read_bytes() == (tmp_path / "local").read_bytes()
    assert names == ["f"]


@pytest.mark.parametrize("server", CERTIFICATES, indirect=True)
def test_xrootd_lets_curl_in_by_a_proxy_that_we_made(server: Server, folder: str, proxy: Path, pki: Pki) -> None:
    server.put(f"{folder}/f", b"secret")
    command = ["curl", "-sS", "--fail", "--cacert", str(pki.ca_file), "--cert", str(proxy), f"{server.url}{folder}/f"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "secret"), done.stderr


@pytest.mark.parametrize("server", CERTIFICATES, indirect=True)
def test_xrootd_refuses_a_proxy_of_the_same_name_by_another_authority(
    server: Server, folder: str, tmp_path: Path
) -> None:
    server.put(f"{folder}/f", b"secret")
    other = make_pki(tmp_path / "other")
    forged = create_proxy(other.user_cert, other.user_key, out=tmp_path / "forged.pem", key_type="ec").path
    with (
        connect(server, proxy_file=str(forged)) as client,
        pytest.raises((CredentialError, PermissionDeniedError, TransientError)) as caught,
    ):
        client.download(f"{folder}/f", tmp_path / "copy")

    # The server's alert may be overtaken by the end of its connection.
    assert not isinstance(caught.value, TransientError) or "certificate" in (caught.value.remedy or "")
    assert not (tmp_path / "copy").exists()

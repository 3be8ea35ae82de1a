"""The certificates of the scripted servers, and one for a user."""

import functools
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1", "pool.localhost")


@dataclass(frozen=True, slots=True)
class Pki:
    """An authority with a host's and a user's certificate.

    Attributes:
        ca_pem: The authority's certificate.
        server_context: What a server presents; it asks every client for a certificate, and takes none as well.
        user_pem: Certificate and key of a user.
    """

    ca_pem: bytes
    server_context: ssl.SSLContext
    user_pem: bytes


@functools.cache
def make_pki() -> Pki:
    """Return the certificates, made once in a process."""
    authority = trustme.CA(organization_name="scripted")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    authority.issue_cert(*NAMES).configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    user = authority.issue_cert("alice@cta.example", common_name="Alice")
    return Pki(authority.cert_pem.bytes(), context, user.private_key_and_cert_chain_pem.bytes())


def ca_file(folder: Path) -> Path:
    """Write the certificate authority of the servers and return its place."""
    place = folder / "ca.pem"
    place.write_bytes(make_pki().ca_pem)
    return place

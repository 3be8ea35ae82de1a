"""A throw-away certificate authority and a host certificate for loopback names."""

import functools
import ssl
from dataclasses import dataclass

import trustme

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Pki:
    """A certificate authority with one host certificate.

    Attributes:
        ca_pem: The authority's certificate, PEM.
        server_context: What a server needs to present the host certificate.
    """

    ca_pem: bytes
    server_context: ssl.SSLContext


@functools.cache
def make_pki(*names: str) -> Pki:
    """Return the PKI for some host names, made once in a process (EC keys: a few milliseconds).

    The certificates carry key identifiers and key usage, so they pass `ssl.VERIFY_X509_STRICT`,
    which Python 3.13 switches on by default.
    """
    authority = trustme.CA(organization_name="CTA sandbox", organization_unit_name="not for production")
    certificate = authority.issue_cert(*dict.fromkeys((*LOOPBACK_NAMES, *names)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    certificate.configure_cert(context)
    return Pki(ca_pem=authority.cert_pem.bytes(), server_context=context)

"""Tokens and proxies: found, checked, and bound to the origins that may see them."""

from ctadata_providers.credentials.resolve import Credential, resolve
from ctadata_providers.credentials.tokens import Renewable, Token, TokenProvider
from ctadata_providers.credentials.x509.certificate import ClientCertificate

__all__ = ["ClientCertificate", "Credential", "Renewable", "Token", "TokenProvider", "resolve"]

"""The names that ctadata has for what goes wrong, so that `except ctadata.api.StorageException` catches it still."""

from ctadata_providers.errors import ConfigError, CredentialError, CtaError

StorageException = CtaError
"""A refused token and a missing certificate are among these: ctadata does not tell them apart."""
CertificateError = CtaError
DirectApiError = CtaError
TokenError = CredentialError
TokenExpiredError = CredentialError
ClientSecretNotFound = CredentialError
EnvironmentError = ConfigError  # noqa: A001 (ctadata's name)

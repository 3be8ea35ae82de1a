"""`APIClient` for a door, and the names that ctadata.direct has for what goes wrong there."""

from typing import ClassVar

from ctadata_providers.compat import api
from ctadata_providers.compat.errors import (
    ClientSecretNotFound,
    DirectApiError,
    EnvironmentError,  # noqa: A004 (ctadata's name)
    TokenError,
    TokenExpiredError,
)
from ctadata_providers.errors import StorageError

__all__ = [
    "APIClient",
    "ClientSecretNotFound",
    "DirectApiError",
    "EnvironmentError",
    "StorageException",
    "TokenError",
    "TokenExpiredError",
    "api_client",
]

StorageException = StorageError
"""Here a token that is refused is a `TokenError`."""


class APIClient(api.APIClient):
    """The functions of ctadata, always at a door."""

    direct: ClassVar[bool] = True
    token: str | None = None  # one that is set on the other class is a hub's, which no door must see


api_client = APIClient()

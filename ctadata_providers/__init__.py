"""Move the data of the Cherenkov Telescope Array, right and fast.

>>> from ctadata_providers import CtaClient
>>> client = CtaClient(backend="memory")
>>> client.make_dir("lst/DL3", parents=True)
>>> [info.uri for info in client.list_dir("cta://lst")]
['cta://lst/DL3/']
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctadata_providers.client import (
        CopyResult,
        CtaClient,
        Failure,
        FileInfo,
        TransferEvent,
        TransferResult,
        TreeResult,
    )
    from ctadata_providers.config import Config
    from ctadata_providers.errors import (
        AlreadyExistsError,
        ConfigError,
        CredentialError,
        CtaError,
        IntegrityError,
        IsADirError,
        NotADirError,
        NotFoundError,
        PermissionDeniedError,
        QuotaError,
        StorageError,
        TransientError,
        UnsupportedError,
    )

__version__ = "0.1.0"

__all__ = [
    "AlreadyExistsError",
    "Config",
    "ConfigError",
    "CopyResult",
    "CredentialError",
    "CtaClient",
    "CtaError",
    "Failure",
    "FileInfo",
    "IntegrityError",
    "IsADirError",
    "NotADirError",
    "NotFoundError",
    "PermissionDeniedError",
    "QuotaError",
    "StorageError",
    "TransferEvent",
    "TransferResult",
    "TransientError",
    "TreeResult",
    "UnsupportedError",
    "__version__",
]

_HOMES = {
    "Config": "config",
    "CopyResult": "client",
    "CtaClient": "client",
    "Failure": "client",
    "FileInfo": "client",
    "TransferEvent": "client",
    "TransferResult": "client",
    "TreeResult": "client",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use: `import ctadata_providers` stays light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "errors")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__

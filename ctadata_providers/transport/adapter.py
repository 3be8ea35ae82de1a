"""The connections of requests: our trust, and answers that come to an end."""

from pathlib import Path
from typing import Any

from requests.adapters import HTTPAdapter

from ctadata_providers.transport.patience import POOLS
from ctadata_providers.transport.trust import ssl_context

POOL_SIZE = 32
_CA_AND_CERTIFICATE = frozenset({"ca_certs", "ca_cert_dir", "cert_file", "key_file"})


class Adapter(HTTPAdapter):
    """Uses our TLS context alone, so that no environment variable changes whom we trust."""

    def __init__(self, ca_path: Path | None, *, cert_file: Path | None = None, key_file: Path | None = None) -> None:
        self._context = ssl_context(ca_path, cert_file=cert_file, key_file=key_file)
        super().__init__(pool_connections=POOL_SIZE, pool_maxsize=POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the connections to servers."""
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """Tell what a connection is for; whom to trust is in its context alone."""
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        # requests would add its own CA bundle to the context.
        return host, {name: value for name, value in pool.items() if name not in _CA_AND_CERTIFICATE}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the connection to the context, which always verifies."""

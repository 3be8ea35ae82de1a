"""Clients that file systems share: fsspec makes one file system for each thread, and each would connect anew."""

import hashlib
import hmac
import os
import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from ctadata_providers.client import CtaClient
from ctadata_providers.config import Config

_lock = threading.Lock()
_clients: WeakValueDictionary[str, CtaClient] = WeakValueDictionary()
_numbers: WeakKeyDictionary[CtaClient, str] = WeakKeyDictionary()
_key = os.urandom(32)


def shared_client(config: Config | None, settings: Mapping[str, Any]) -> CtaClient:
    """Return the client of some settings, the same for all of this process that ask while it is in use; no I/O."""
    name = fingerprint(config, settings)
    with _lock:
        client = _clients.get(name)
        if client is None:
            client = _clients[name] = CtaClient(config, **settings)
        return client


def fingerprint(config: Config | None, settings: Mapping[str, Any], *told: str) -> str:
    """Return what is the same for the same settings in this process, hexadecimal; it tells nothing of their secrets."""
    given = None if config is None else (id(type(config)), sorted(vars(config).items()))
    text = repr((given, sorted(settings.items()), told))
    return hmac.new(_key, text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


def number_of(client: CtaClient | None) -> str:
    """Return what tells a client from all others that there have been; none is empty."""
    if client is None:
        return ""
    with _lock:
        return _numbers.setdefault(client, os.urandom(16).hex())


def _forget() -> None:
    """Begin anew in a forked process: a lock of the parent may be held."""
    global _lock, _clients
    _lock, _clients = threading.Lock(), WeakValueDictionary()


os.register_at_fork(after_in_child=_forget)

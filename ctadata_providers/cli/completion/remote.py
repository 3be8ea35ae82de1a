"""The names in a remote folder, within a moment or not at all."""

import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ctadata_providers import uri
from ctadata_providers.config.folders import cache_folder
from ctadata_providers.errors import ConfigError, CredentialError, CtaError

if TYPE_CHECKING:
    from ctadata_providers import Config

PATIENCE = 3.0
"""Seconds after which nothing is completed."""
FRESH = 15.0
"""Seconds for which the names of a folder are known: a shell asks again with every press of the key."""
REFUSED = 30.0
"""Seconds for which a server that has refused the credential is not asked again: dCache locks out who tries often."""
FORGOTTEN = 600.0


def names_in(folder: str, settings: Mapping[str, str]) -> list[str]:
    """Return the names in a folder, those of folders with a slash behind; none at all when something is wrong.

    It asks for no input, logs in nowhere and renews no token.

    Args:
        folder: Its address or path.
        settings: What the command line says, by the names of `Config`.
    """
    try:
        address = uri.parse(folder)
        config = _config(address, settings)
    except (CtaError, OSError):
        return []
    place = _kept_in(config, address.path)
    known = _read(place)
    if known is not None:
        return known
    arrived: SimpleQueue[tuple[list[str], float]] = SimpleQueue()
    # A daemon: the end of the process does not wait for a silent server.
    threading.Thread(target=lambda: arrived.put(_ask(config, address.path)), daemon=True).start()
    try:
        names, seconds = arrived.get(timeout=PATIENCE)
    except Empty:
        names, seconds = [], FRESH  # who presses the key again shall not wait again
    _write(place, names, seconds)
    return names


def _config(address: uri.Address, settings: Mapping[str, str]) -> "Config":
    from ctadata_providers.config import config_for

    given: dict[str, Any] = dict(settings)
    config = config_for(address.name, **given)
    # One question, and no renewal: its answer could come when we are gone, and with it the next refresh token.
    return config.with_settings(refresh="never", retries=0, connect_timeout=PATIENCE, timeout=PATIENCE)


def _ask(config: "Config", path: str) -> tuple[list[str], float]:
    """Return the names, and for how many seconds to believe them."""
    from ctadata_providers import CtaClient

    try:
        with CtaClient(config) as client:
            found = ((info.name, info.is_dir) for info in client.list_dir(path))
            return sorted(
                f"{name}/" if is_dir else name for name, is_dir in found if not uri.segment_fault(name)
            ), FRESH
    except (CredentialError, ConfigError):
        return [], REFUSED
    except (CtaError, OSError):
        return [], FRESH


def _kept_in(config: "Config", path: str) -> Path:
    where = [config.backend, config.door_url, config.service_url, config.base_path, config.profile, path]
    return cache_folder() / "completion" / f"{hashlib.sha256(json.dumps(where).encode()).hexdigest()[:32]}.json"


def _read(place: Path) -> list[str] | None:
    try:
        kept = json.loads(place.read_text("utf-8"))
        return list(kept["names"]) if 0 <= kept["until"] - time.time() <= REFUSED else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(place: Path, names: list[str], seconds: float) -> None:
    """Keep the names for a while; nobody else may see what is in the folders of a collaboration."""
    text = json.dumps({"until": time.time() + seconds, "names": names})
    with suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for other in place.parent.iterdir():
            if other.stat().st_mtime < time.time() - FORGOTTEN:
                other.unlink(missing_ok=True)
        part = place.with_name(f"{place.name}.{os.getpid()}")
        part.touch(mode=0o600, exist_ok=False)
        part.write_text(text, "utf-8")
        part.replace(place)

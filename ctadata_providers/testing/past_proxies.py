"""The way to servers on this machine, past the proxy that the environment names."""

import os
from collections.abc import Iterable
from urllib.parse import urlsplit

from ctadata_providers.transport.proxies import proxy_for

_NAMES = ("no_proxy", "NO_PROXY")


def past_proxies(urls: Iterable[str]) -> dict[str, str]:
    """Return the variables with which programs ask some servers themselves; none where they do already."""
    hosts = sorted({urlsplit(url).hostname or "" for url in urls if proxy_for(url)})
    if not hosts:
        return {}
    known = [item.strip() for name in _NAMES for item in os.environ.get(name, "").split(",") if item.strip()]
    # Programs differ in which of the two they look at first.
    return dict.fromkeys(_NAMES, ",".join(dict.fromkeys([*known, *hosts])))

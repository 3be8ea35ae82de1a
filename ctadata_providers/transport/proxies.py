"""The proxy between us and a server."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from ctadata_providers.errors import ConfigError

_ACCOUNT_AND_PLACE = re.compile(r"(?:[^@]*@)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


def proxy_for(url: str) -> str:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY give for a URL, empty for none.

    It may hold a user's password. Plain http to this machine never goes to one, as in browsers: only there is a token
    or a client secret sent in clear text, because it does not leave the machine.

    Raises:
        ConfigError: When it is none that both stacks can use alike; its password is not shown, as libcurl would.
    """
    from requests.utils import get_environ_proxies

    if _is_plain_here(url):
        return ""
    found = get_environ_proxies(url)
    proxy = (found.get(url.partition(":")[0].lower()) or found.get("all") or "").strip()
    if not proxy:
        return ""
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not _is_usable(proxy):
        raise ConfigError(
            "the proxy that the environment names (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY) cannot be used",
            remedy="give http://host:port or https://host:port; what is odd in a user's name or password as %40 for @, "
            "%2F for /, %23 for #",
        )
    return proxy


def _is_plain_here(url: str) -> bool:
    """Tell whether a URL is one of this machine (RFC 6761, 6.3) over http."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "http":
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_usable(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        port = parts.port
    except ValueError:
        return False
    known = parts.scheme in ("http", "https") and port != 0 and parts.path in ("", "/")
    return known and not (parts.query or parts.fragment) and bool(_ACCOUNT_AND_PLACE.fullmatch(parts.netloc))

"""The proxy between us and a server."""


def proxy_for(url: str) -> str:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY give for a URL, empty for none.

    It may hold a user's password.
    """
    from requests.utils import get_environ_proxies

    found = get_environ_proxies(url)
    return found.get(url.partition(":")[0].lower()) or found.get("all") or ""

"""Where a redirect may lead, and whether the credential goes along."""

from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote, unquote, urljoin, urlsplit

from ctadata_providers.config import Config
from ctadata_providers.credentials import Credential
from ctadata_providers.credentials.resolve import origin
from ctadata_providers.errors import StorageError
from ctadata_providers.session.status import Response

MAX_REDIRECTS = 5
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Hop:
    """One step of an exchange.

    Attributes:
        url: Where it goes; may hold a secret in its query and is never logged.
        with_credential: Whether our credential is sent.
    """

    url: str = field(repr=False)
    with_credential: bool = False

    @cached_property
    def place(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return origin(self.url)

    @cached_property
    def shown(self) -> str:
        """The URL for messages, without its query."""
        return shown(self.url)


def shown(url: str) -> str:
    """Return a URL for messages: no user, no query, no fragment (pool and XRootD URLs carry secrets there).

    >>> shown("https://pool:2881/a?dcache-http-uuid=1234")
    'https://pool:2881/a'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def follow(current: Hop, response: Response, *, config: Config, credential: Credential, path: str) -> Hop:
    """Decide the next hop of a redirect.

    The credential stays within its origins. From https to http leads only the way to a pool, when the user allows it,
    and never with a credential (a dCache pool's single-use URL needs none).

    Raises:
        StorageError: When there is no usable Location, or it leads to plain http that is not allowed.
    """
    location = response.headers.get("location")
    if not location:
        raise StorageError(f"{current.shown} redirects {path} nowhere (no Location)", path=path)
    handed_over = False
    location = location.encode("latin-1", "replace").decode("utf-8", "replace")  # XRootD does not encode it
    try:
        if "xrootd" in response.headers.get("server", "").lower():
            location, handed_over = _from_xrootd(current, location, credential)
        url = quote(urljoin(current.url, location), safe=_ASCII)
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        origin(url)
    except ValueError:
        usable = False
    if not usable:
        raise StorageError(f"{current.shown} redirects {path} to something that is not a plain http(s) URL", path=path)
    if parts.scheme == "http" and urlsplit(current.url).scheme == "https" and not config.allow_http_pools:
        raise StorageError(
            f"{current.shown} redirects {path} from https to plain http at {parts.netloc}",
            path=path,
            remedy="if that pool may be trusted without encryption, set allow_http_pools",
        )
    token = credential.token() if parts.scheme == "http" else None
    if token is not None and token.value in unquote(url):
        raise StorageError(f"{current.shown} would have the token sent unencrypted to {parts.netloc}", path=path)
    insecure = parts.scheme == "http" and origin(url) != credential.home
    return Hop(url=url, with_credential=not insecure and (handed_over or credential.may_see(url)))


def _from_xrootd(current: Hop, location: str, credential: Credential) -> tuple[str, bool]:
    """Return what an XRootD redirector means, and whether it hands our own token over to that host.

    Its Location holds the literal path, not encoded, and behind it `?authz=Bearer%20TOKEN` (XRootD 5.5 to 5.8, seen):
    taken as a URL, `h#h` would lead to the file `h` and `p%41q` to `pAq`. The token goes into the header instead: the
    same token to the same host, but out of its access log, and a redirected MOVE fails with it in the URL.
    """
    scheme, _, rest = location.partition("://")
    host, slash, tail = rest.partition("/")
    ours = urlsplit(current.url).path
    literal = unquote(ours)
    if scheme not in ("http", "https") or not (slash + tail).startswith(literal):
        return location, False
    query = (slash + tail)[len(literal) :].removeprefix("?")
    token = credential.token()
    if (
        token is not None
        and scheme == "https"
        and unquote(query) in (f"authz=Bearer {token.value}", f"authz={token.value}")
    ):
        return f"{scheme}://{host}{ours}", True
    return f"{scheme}://{host}{ours}" + (f"?{query}" if query else ""), False

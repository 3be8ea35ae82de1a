"""Where a redirect may lead, and whether the credential goes along."""

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urljoin, urlsplit

from ctadata_providers.config import Config
from ctadata_providers.credentials import Credential, Token
from ctadata_providers.credentials.resolve import DEFAULT_PORTS, origin
from ctadata_providers.errors import StorageError, UnsupportedError
from ctadata_providers.session.request import Request
from ctadata_providers.session.status import Response

MAX_REDIRECTS = 5
SHORTEST_SECRET = 8
_PLACE = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PLAIN_URL = re.compile(r"[^@?#]+")
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of an exchange.

    Attributes:
        url: Where it goes; may hold a secret in its query and is never logged.
        with_credential: Whether our credential is sent.
        place: Scheme, host and port.
    """

    url: str = field(repr=False)
    with_credential: bool = False
    place: tuple[str, str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", origin(self.url))

    @property
    def shown(self) -> str:
        """The URL for messages, without its query."""
        return shown(self.url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What its query holds that a server may repeat and nobody is to see; a pool's credential stands there."""
        # `Bearer TOKEN` may be among them.
        values = (unquote(item.partition("=")[2]).rpartition(" ")[2] for item in urlsplit(self.url).query.split("&"))
        return tuple(value for value in values if len(value) >= SHORTEST_SECRET and "://" not in value)


def shown(url: str) -> str:
    """Return a URL for messages: no user, no query, no fragment (pool and XRootD URLs carry secrets there).

    >>> shown("https://pool:2881/a?dcache-http-uuid=1234")
    'https://pool:2881/a'
    """
    if _PLAIN_URL.fullmatch(url):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def follow(
    current: Hop,
    response: Response,
    *,
    config: Config,
    credential: Credential,
    request: Request,
    token: Token | None = None,
) -> Hop:
    """Decide the next hop of a redirect.

    The credential stays within its origins. From https to http leads only the way to a pool, when the user allows it,
    and never with a credential (a dCache pool's single-use URL needs none). Who may not see the credential cannot have
    it sent to another file of the door either: back leads only the way to what was asked for (a dCache pool whose URL
    is used up sends there).

    Args:
        current: Where the answer comes from.
        response: The answer.
        config: Says what is allowed.
        credential: Says who may see it.
        request: What was asked for.
        token: What was sent, None for nothing.

    Raises:
        StorageError: When there is no usable Location, or it leads to plain http that is not allowed, or would show the
            token to somebody else.
    """
    following = _following(current, response, config, credential, request, token or credential.ready())
    if isinstance(following, StorageError):
        raise following  # here, where no variable holds the Location: some traces show variables
    return following


def _following(
    current: Hop,
    response: Response,
    config: Config,
    credential: Credential,
    request: Request,
    token: Token | None,
) -> Hop | StorageError:
    path = request.path
    location = response.headers.get("location")
    if not location:
        return StorageError(f"{current.shown} redirects {path} nowhere (no Location, or several)", path=path)
    handed_over = False
    location = location.encode("latin-1", "replace").decode("utf-8", "replace")  # XRootD does not encode it
    if "xrootd" in response.headers.get("server", "").lower():
        location, handed_over = _from_xrootd(current, location, token)
    url = _joined(current.url, location)
    if url is None:
        return StorageError(f"{current.shown} redirects {path} to something that is not a plain http(s) URL", path=path)
    following = Hop(url)
    scheme, host, _ = following.place
    if scheme == "http" and current.place[0] == "https" and not config.allow_http_pools:
        return StorageError(
            f"{current.shown} redirects {path} from https to plain http at {host}",
            path=path,
            remedy="if that pool may be trusted without encryption, set allow_http_pools",
        )
    if (
        request.guest
        and following.place != origin(request.url)
        and not (scheme == "https" and request.guest_may_see(url))
    ):
        return UnsupportedError(
            f"{current.shown} would have the token of the other side of {path} sent to {host}",
            path=path,
            remedy="if that host may see it, add it to copy_hosts, which needs https",
        )
    may_see = handed_over or credential.may_see(url)
    insecure = scheme == "http" and following.place != credential.home
    if (insecure or not may_see) and _holds_token(url, token):
        return StorageError(
            f"{current.shown} would have the token sent to {host}{', unencrypted' if insecure else ''}",
            path=path,
            remedy="if that host may see it, add it to trusted_hosts, which needs https",
        )
    returns = current.with_credential or unquote(urlsplit(url).path) == unquote(urlsplit(request.url).path)
    return Hop(url, with_credential=may_see and returns and not insecure)


def _joined(base: str, location: str) -> str | None:
    """Return where a Location leads, None when every client would take it for something else.

    The host must be as plain as that of an honest server: where one parser ends it, at a backslash say, another goes
    on, and the credential would be bound to another host than the one that gets it.
    """
    try:
        given = urlsplit(location)
        url = quote(urljoin(base, location), safe=_ASCII).partition("#")[0]
        parts = urlsplit(url)
        usable = (
            bool(given.scheme) <= bool(given.netloc)  # `https:///x` has no host, and is no path either
            and parts.scheme in DEFAULT_PORTS
            and _PLACE.fullmatch(parts.netloc)
            and parts.port != 0
        )
    except ValueError:
        return None
    return url if usable else None


def _holds_token(url: str, token: Token | None) -> bool:
    return token is not None and (token.value in url or token.value in unquote(url))


def _from_xrootd(current: Hop, location: str, token: Token | None) -> tuple[str, bool]:
    """Return what an XRootD redirector means, and whether it hands our own token over to that host.

    Its Location holds our path, literal (5.5.3, seen) or with blanks and `#` encoded (5.8.1, 6.2.0, seen), and behind
    it `?authz=Bearer%20TOKEN`, if not stripped: taken as a URL, `h#h` would lead to the file `h` and `p%41q` to `pAq`.
    Our own path is sent instead, and the token in the header: the same token to the same host, but out of its access
    log, and a redirected MOVE fails with it in the URL.
    """
    scheme, _, rest = location.partition("://")
    host, slash, tail = rest.partition("/")
    tail = tail.removeprefix("/")  # a second slash stands in the answer to a COPY (5.5.3, seen)
    ours = urlsplit(current.url).path
    query = _behind(slash + tail, unquote(ours)) if scheme in DEFAULT_PORTS else None
    if query is None:
        return location, False
    items = query.split("&")
    tokens = (f"authz=Bearer {token.value}", f"authz={token.value}") if token and scheme == "https" else ()
    others = [item for item in items if unquote(item) not in tokens]
    return f"{scheme}://{host}{ours}" + (f"?{'&'.join(others)}" if any(others) else ""), len(others) < len(items)


def _behind(written: str, literal: str) -> str | None:
    """Return the query behind our path as XRootD writes it, any of its characters encoded, None when it is another."""
    shorter = literal.rstrip(" ")
    path = "".join(map(_either, shorter))
    # Blanks at the end of a header are lost.
    found = re.fullmatch(rf"{path}(?:{_either(' ') * (len(literal) - len(shorter))}(?:\?(.*))?| *)", written, re.DOTALL)
    return None if found is None else found[1] or ""


def _either(character: str) -> str:
    """Return a pattern for a character as it is or encoded."""
    encoded = "".join(f"%{byte:02X}" for byte in character.encode())
    return f"(?:{re.escape(character)}|{encoded}|{encoded.lower()})"

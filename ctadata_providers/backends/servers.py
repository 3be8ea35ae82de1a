"""What is known of the servers that users meet, by their `Server` header."""

from dataclasses import dataclass
from functools import cache

LONG_WAIT = 330.0
"""Seconds that dCache may take to find a pool, and an XRootD redirector to look for a name it has not seen."""


@dataclass(frozen=True, slots=True)
class Server:
    """How a kind of server differs from RFC 4918.

    Attributes:
        name: For messages.
        literal_hrefs: hrefs are not percent-encoded, nor is the Destination of a MOVE decoded (XRootD, all versions).
        cuts_query: A `?` in a name cuts it, so that another file would be met (XRootD).
        digest_on_transfer: Want-Digest on GET and PUT is answered at once (dCache; on XRootD 5 a GET with it kills
            the server).
        reads_to_sum: Asked for a checksum that it has not stored, it reads the whole file (XRootD; 5.5 may hang then).
        holds_after_range: After a range it keeps what it had opened for the file, until the connection ends or it has
            waited in vain for the next one, unless the request says `Connection: close` (dCache's movers).
        expect_from: Bytes from which an upload asks first: below, the round trip costs more than a refused body.
            dCache redirects a PUT only after `Expect: 100-continue`; an XRootD redirector closes on a longer body.
        expect_wait: Seconds to wait for the answer to `Expect`.
        copies_inside: COPY with a Destination of its own copies a file inside the server (RFC 4918). On dCache (issue
            6950) and XRootD each COPY is a third-party one, for which the server can be its own other side.
        cuts_destination: A `?` or `;` in the Destination of a MOVE cuts it, although encoded (WsgiDAV).
    """

    name: str = ""
    literal_hrefs: bool = False
    cuts_query: bool = False
    digest_on_transfer: bool = False
    reads_to_sum: bool = False
    holds_after_range: bool = False
    expect_from: int = 1024 * 1024
    expect_wait: float = 5.0
    copies_inside: bool = True
    cuts_destination: bool = False

    def can_rename_to(self, path: str) -> bool:
        """Tell whether a MOVE to this path leads to this path.

        XRootD cuts a Destination at `?` and trims blanks and bytes above 0x7f from its end (seen on 5.5.3); WsgiDAV
        decodes it before it cuts query and parameters off (seen on 4.4.0): another file would be overwritten. A
        redirecting XRootD goes on answering 404 for a name with a blank that a MOVE made after a look in vain.
        """
        if self.literal_hrefs:
            return not {"?", " "} & set(path) and 0x21 <= path.encode()[-1] <= 0x7E
        return not self.cuts_destination or not {"?", ";"} & set(path)


def is_plain(path: str) -> bool:
    """Tell whether every server that is known renames to this path rightly."""
    return not {"?", ";", " "} & set(path) and 0x21 <= path.encode()[-1] <= 0x7E


OTHER = Server()
WSGIDAV = Server(name="WsgiDAV", cuts_destination=True)
DCACHE = Server(
    name="dCache",
    copies_inside=False,
    digest_on_transfer=True,
    holds_after_range=True,
    expect_from=0,
    expect_wait=LONG_WAIT,
)
XROOTD = Server(
    name="XRootD",
    literal_hrefs=True,
    cuts_query=True,
    reads_to_sum=True,
    copies_inside=False,
    expect_from=64 * 1024,
    expect_wait=LONG_WAIT,
)


@cache
def identify(header: str | None) -> Server:
    """Return what is known of the server that sent this `Server` header.

    >>> identify("XrootD/v5.5.3").name, identify("dCache/9.2.47").name, identify("nginx").name
    ('XRootD', 'dCache', '')
    """
    text = (header or "").lower()
    known = (("xrootd", XROOTD), ("dcache", DCACHE), ("cheroot", WSGIDAV), ("wsgidav", WSGIDAV))
    return next((server for word, server in known if word in text), OTHER)

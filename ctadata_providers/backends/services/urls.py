"""How a path is written for the downloadservice.

It decodes the path of a URL once and pastes the result, as it is, into the URL of its storage. So a name is encoded
twice; of the dots of a name such as `a..b`, which the service would take for a step upwards, only an encoding of the
percent sign is left to hide them.
"""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

FETCH_CHUNK = 1024 * 1024
"""Bytes that the service collects before it sends any; its default of 10 MiB lets a slow storage look silent."""


@dataclass(frozen=True, slots=True)
class Urls:
    """The routes of a service.

    Attributes:
        base: Its address, with a slash at its end.
    """

    base: str

    def webdav(self, path: str) -> str:
        """Return the WebDAV URL of a path; that of the root ends without a slash."""
        return f"{self.base}webdav{twice_quoted(path).rstrip('/')}"

    def listing(self, path: str) -> str:
        """Return the URL of a listing by JSON; that of the root ends without a slash."""
        return f"{self.base}list{twice_quoted(path).rstrip('/')}"

    def fetch(self, path: str) -> str:
        """Return the URL that gives a whole file."""
        return f"{self.base}fetch{twice_quoted(path)}?{urlencode({'chunk_size': FETCH_CHUNK})}"

    def upload(self, relative: str) -> str:
        """Return the URL that takes a file for one's own folder, by its path in it."""
        return f"{self.base}upload/{twice_quoted(relative)}"


def twice_quoted(path: str) -> str:
    """Return a path as the service is to be given it.

    >>> twice_quoted("/lst/h#h/a..b.fits")
    '/lst/h%2523h/a%252e%252eb%252efits'
    """
    return "/".join(_name(name) for name in path.split("/"))


def _name(name: str) -> str:
    encoded = quote(quote(name, safe=""), safe="")
    return encoded.replace(".", "%252e") if ".." in name else encoded

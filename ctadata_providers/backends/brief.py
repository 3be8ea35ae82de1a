"""The short way of a WebDAV door: one request for each operation on a small file, nothing that waits."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from ctadata_providers.backends.servers import Server, is_plain
from ctadata_providers.session import Session
from ctadata_providers.session.brief import Ask, Brief, Slot
from ctadata_providers.session.futures import Future


class BriefWay:
    """The operations of `backends.base.BriefOperations`.

    Args:
        session: Where to.
        url: Returns the URL of a path.
        server: Returns what the door is.
        can_rename: Tells whether something may be renamed to a path.
    """

    def __init__(
        self,
        session: Session,
        url: Callable[[str], str],
        server: Callable[[], Server],
        can_rename: Callable[[str], bool],
    ) -> None:
        self._session = session
        self._url = url
        self._server = server
        self._can_rename = can_rename

    def can_store(self, path: str) -> bool:
        """Tell whether a file can be stored and renamed to this path."""
        worth_it = self._session.short.is_worth_it("HEAD") and self._session.short.is_worth_it("MOVE")
        return worth_it and is_plain(path) and self._can_name(self._url(path)) and self._can_rename(path)

    def _can_name(self, url: str) -> bool:
        """Tell whether it is known how a Destination has to be written: XRootD takes an encoded name for the name."""
        literal = unquote(url)
        return url == literal or (literal.isascii() and self._session.server_header is not None)

    def read(self, path: str, brief: Brief | None = None) -> Future[Any] | None:
        """Begin to read a file whole, by GET."""
        return None if "?" in path else self._session.short.begin(brief or Brief(), _GET, self._url(path), path)

    def write(self, path: str, content: bytes) -> Future[Any] | None:
        """Begin to store a file whole, by PUT."""
        return self._session.short.begin(Brief(), _PUT, self._url(path), path, body=content)

    def size(self, path: str) -> Future[int | None] | None:
        """Begin to ask for the size of a file, by HEAD."""
        return self._session.short.begin(Brief(), _HEAD, self._url(path), path)

    def rename(self, source: str, target: str) -> Future[Any] | None:
        """Begin to rename a file to a name that is free, by MOVE; XRootD does not decode the Destination."""
        url = self._url(target)
        headers = (f"Destination: {unquote(url) if self._server().literal_hrefs else url}",)
        return self._session.short.begin(Brief(), _MOVE, self._url(source), source, headers)


def _length(slot: Slot) -> int | None:
    """Return the length that a header tells."""
    length: int = slot.length()
    return None if length < 0 else length


_STORED = frozenset({200, 201, 204})
_GET = Ask("GET", "download")
# libcurl thinks that it sends a form, and would ask before it sends a large one.
_PUT = Ask("PUT", "upload", _STORED, ("Content-Type:", "Expect:"))
_HEAD = Ask("HEAD", "look up", result=_length)
_MOVE = Ask("MOVE", "rename", _STORED, ("Overwrite: F",))

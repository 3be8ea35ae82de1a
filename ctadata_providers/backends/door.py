"""What every request to a WebDAV door needs: who it is, where a path is there, and who speaks to it."""

import re
from typing import Any
from urllib.parse import quote

from ctadata_providers.backends.servers import Server, identify
from ctadata_providers.config import Config
from ctadata_providers.errors import CredentialError, StorageError, UnsupportedError
from ctadata_providers.session import Request, Session

_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*").fullmatch
"""Tells what quoting leaves as it is, at a third of its cost: each of many small files is asked for by its URL."""


class Door:
    """A WebDAV door, and the prefix of all paths there.

    Args:
        config: The settings.
        session: What speaks to the door; without it one of its own.
    """

    def __init__(self, config: Config, session: Session | None = None) -> None:
        self._config = config
        self._session = session or Session(config)
        self._top = config.door_url + quote(config.base_path.rstrip("/"))

    @property
    def server(self) -> Server:
        """What the door is, as far as its answers have told."""
        return identify(self._session.server_header)

    def url(self, path: str) -> str:
        """Return the URL of a path at the door."""
        return self._url(path)

    def clock_ahead(self) -> float | None:
        """Tell how far the server's clock is ahead of ours, None when it has not told."""
        return self._session.clock_ahead

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    def _url(self, path: str) -> str:
        """Return the URL of a path.

        Raises:
            UnsupportedError: For a name with `?` on a server that would cut it and meet another file.
        """
        if "?" in path:
            self._meet()
            if self.server.cuts_query:
                raise UnsupportedError(
                    f"{self.server.name} cuts a name at '?' and would meet another file: {path}",
                    path=path,
                    remedy="use a name without '?'",
                )
        return self._top + (path if _PLAIN(path) else quote(path))

    def _meet(self) -> None:
        """Make sure that it is known what the door is."""
        if self._session.server_header is not None:
            return
        try:
            self._session.message(self._request("OPTIONS", "/", "reach"))
        except (StorageError, CredentialError):
            if self._session.server_header is None:
                raise  # any answer will do, but there was none

    def _destination(self, path: str) -> str:
        """Return the Destination of a rename; XRootD does not decode it."""
        if not self.server.literal_hrefs:
            return self._url(path)
        literal = self._config.door_url + self._config.base_path.rstrip("/") + path
        return literal.encode().decode("latin-1")  # http.client encodes header values so

    def _request(self, method: str, path: str, act: str, **options: Any) -> Request:
        return Request(method=method, path=path, act=act, **{"url": self._url(path), **options})

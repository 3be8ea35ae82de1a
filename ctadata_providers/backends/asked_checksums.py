"""Checksums that a server is asked for, one file at a time: with care, for some break down over it."""

import threading
from collections.abc import Mapping

from ctadata_providers.backends.reading import digests
from ctadata_providers.errors import TransientError
from ctadata_providers.session import Request, Session

PATIENCE = 2.0
AT_ONCE = 2


class AskedChecksums:
    """Asks by HEAD with Want-Digest.

    XRootD 5.5 hangs over TLS when the checksum is not stored yet, and with more than a few at once; so few at a time,
    2 s, and no further question to a server that once gave no answer in time.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._time_out = False

    def ask(self, url: str, path: str, algorithm: str) -> Mapping[str, str]:
        """Return what the server tells of a file, nothing when it does not."""
        if self._time_out:
            return {}
        request = Request(
            method="HEAD",
            url=url,
            path=path,
            act="ask for the checksum of",
            headers={"Want-Digest": algorithm},
            timeout=PATIENCE,
            retried=False,
        )
        with self._slots:
            try:
                return digests(self._session.message(request))
            except TransientError:
                self._time_out = True
                return {}

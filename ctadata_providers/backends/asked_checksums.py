"""Checksums that a server is asked for, one file at a time: with care, for some break down over it."""

import os
import threading
import time
from collections.abc import Mapping

from ctadata_providers.backends.reading import digests
from ctadata_providers.errors import NotFoundError, StorageError, TransientError
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
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._pid = os.getpid()
        self._time_out = False
        self._early_time_out = False

    def place(self) -> threading.BoundedSemaphore:
        """Return what to hold while something is asked."""
        if self._pid != os.getpid():  # threads of the process that this one was forked from hold them for ever
            self._pid, self._places = os.getpid(), threading.BoundedSemaphore(AT_ONCE)
        return self._places

    def ask(self, url: str, path: str, algorithm: str) -> Mapping[str, str]:
        """Return what the server tells of a file, nothing when it does not: XRootD without checksums says 405.

        Raises:
            NotFoundError: When there is no such file.
            CredentialError: When the credential is refused.
        """
        with self.place():
            if self._time_out:
                return {}
            told, late = self._answer(url, path, algorithm)
            self._time_out = self._time_out or late
            return told or {}

    def ask_early(self, url: str, path: str, algorithm: str) -> Mapping[str, str] | None:
        """Return the same while the bytes of the file come; None without an answer, which these may keep off the line.

        Raises:
            CtaError: As `ask`.
        """
        with self.place():
            if self._time_out or self._early_time_out:
                return {} if self._time_out else None
            told, late = self._answer(url, path, algorithm)
            self._early_time_out = self._early_time_out or late
            return told

    def _answer(self, url: str, path: str, algorithm: str) -> tuple[Mapping[str, str] | None, bool]:
        """Return what the server tells, None for a transient fault, and whether it gave no answer in time."""
        request = Request(
            method="HEAD",
            url=url,
            path=path,
            act="ask for the checksum of",
            headers={"Want-Digest": algorithm},
            timeout=PATIENCE,
            retried=False,
        )
        begun = time.monotonic()
        try:
            return digests(self._session.message(request), url), False
        except TransientError:
            # Not for an answer 503, or a connection that broke: the next question may have its answer.
            return None, time.monotonic() - begun >= PATIENCE
        except NotFoundError:
            raise
        except StorageError:
            return {}, False

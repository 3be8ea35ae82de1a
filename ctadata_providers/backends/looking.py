"""Looking through a WebDAV door: one file or folder, or a listing, and what its answers mean where they do not tell."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import islice

from ctadata_providers.backends import propfind
from ctadata_providers.backends.base import FileInfo
from ctadata_providers.backends.door import Door
from ctadata_providers.backends.entries import Place, entry_name, file_info
from ctadata_providers.errors import (
    CtaError,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientError,
)
from ctadata_providers.retry import log_retry
from ctadata_providers.session import Request
from ctadata_providers.uri import split

LONGEST_NAME = 255
"""Bytes of a name beyond which no file system has any."""
REFUSES_LENGTH = frozenset({400, 403, 414, 500})
"""What servers say to a longer one: Apache 403, XRootD 500."""
DRAINED = 16
"""Pieces of an answer that are read behind the entry that was wanted; there is nothing from an honest server."""


class LookingDoor(Door):
    """The looking half of a WebDAV backend."""

    def stat(self, path: str) -> FileInfo:
        """Tell about one file or folder, by PROPFIND Depth 0."""

        def once() -> FileInfo:
            try:
                return self._look(path)
            except StorageError as error:
                raise self._below_a_file(path, error) from error

        return self._session.policy.call(once)

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        """Give the entries of a folder as they arrive, by one PROPFIND Depth 1."""
        given = False
        attempt = 0
        literal = self.server.literal_hrefs
        while True:
            try:
                with closing(self._list_once(path)) as entries:
                    for info in entries:
                        given = True
                        yield info
                return
            except StorageError as error:
                if given:
                    raise
                if not literal and self.server.literal_hrefs:
                    literal = True  # it turns out to be XRootD, which says 404 or 500 for a file with a slash
                    continue
                explained = self._explained(path, error)
                if not isinstance(explained, TransientError):
                    raise explained from error
                delay = self._session.policy.delay(attempt, explained)
                if delay is None:
                    raise
                attempt += 1
                log_retry(explained, attempt, delay)
                time.sleep(delay)

    def _list_once(self, path: str) -> Generator[FileInfo, None, None]:
        url = self._url(path)
        if not url.endswith("/") and not self.server.literal_hrefs:
            url += "/"  # Apache redirects a folder without it; XRootD answers 500 for a file with it
        request = self._propfind(path, url, depth="1", act="list")
        with self._session.stream(request) as (_, chunks):
            place = self._place()  # now the server is known; at the first question it was not
            for entry in propfind.parse(chunks, path=path):
                name = entry_name(entry.href, path, place)
                if entry.gone:
                    if name is None:
                        raise _not_there(path)
                elif name is not None:
                    yield file_info(entry, f"{path.rstrip('/')}/{name}")
                elif not entry.is_dir:
                    raise _no_folder(path)

    def _place(self) -> Place:
        return Place(self._config.door_url, self._config.base_path, literal_hrefs=self.server.literal_hrefs)

    def _explained(self, path: str, error: StorageError) -> StorageError:
        """Return a better error for a failed listing: servers answer with anything when it is a file."""
        error = self._below_a_file(path, error)
        if isinstance(error, (NotADirError, PermissionDeniedError, TransientError)) or error.status in (None, 404):
            return error
        try:
            is_file = not self.stat(path).is_dir
        except StorageError:
            return error
        return _no_folder(path) if is_file else error

    def _below_a_file(self, path: str, error: StorageError) -> StorageError:
        """Return a better error for a path below a file: XRootD answers 500 then, and Apache 400."""
        if has_long_name(path) and error.status in REFUSES_LENGTH:
            return NotFoundError(
                f"there is no {path}: a name in it is longer than {LONGEST_NAME} bytes",
                path=path,
                remedy="check the path",
            )
        folder = path
        while folder != "/" and (error.status == 400 or (error.status == 500 and self.server.literal_hrefs)):
            folder = split(folder)[0]
            try:
                if self._look(folder).is_dir:
                    return error
            except NotFoundError:
                pass
            except StorageError as above:
                if above.status != error.status:
                    return error
                continue  # that is below a file too, or all is wrong there
            return NotFoundError(f"cannot look up {path}: it is below a file", path=path, remedy="check the path")
        return error

    def _look(self, path: str, *, slash: str = "") -> FileInfo:
        """Ask about a path once; with a slash at its end if that is given."""
        request = self._propfind(path, self._url(path) + slash, depth="0", act="look up")
        with self._session.stream(request) as (_, chunks):
            entry = next(propfind.parse(chunks, path=path), None)
            for _ in islice(chunks, DRAINED):  # a connection is used again only when nothing is left on it
                pass
        if entry is not None and entry.gone:
            raise _not_there(path)
        if entry is None or not (entry.is_dir or entry.properties):
            raise StorageError(f"the door tells nothing about {path}", path=path, remedy="check base_path")
        return file_info(entry, path)

    def _is_folder(self, path: str) -> bool:
        try:
            return self.stat(path).is_dir
        except CtaError:
            return False

    def _exists(self, path: str) -> bool:
        try:
            self.stat(path)
        except NotFoundError:
            return False
        return True

    def _propfind(self, path: str, url: str, *, depth: str, act: str) -> Request:
        headers = {"Depth": depth, "Content-Type": "application/xml; charset=utf-8"}
        body = propfind.BODY_OF_ONE if depth == "0" else propfind.BODY
        return self._request("PROPFIND", path, act, url=url, headers=headers, body=body)


def has_long_name(path: str) -> bool:
    """Tell whether a name in a path is longer than any file system has."""
    return any(len(name.encode(errors="surrogateescape")) > LONGEST_NAME for name in path.split("/"))


def _not_there(path: str) -> NotFoundError:
    return NotFoundError(f"there is no {path}", path=path, remedy="check the path")


def _no_folder(path: str) -> NotADirError:
    return NotADirError(f"cannot list {path}: it is a file", path=path, remedy="list its folder, or ask stat")

"""The CTA downloadservice: a storage behind a JupyterHub, reached with a hub token."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TypeVar

from ctadata_providers.backends.base import FileInfo, ReadResult, WriteResult
from ctadata_providers.backends.services.hub import HubUser, hub_user, missing_scope
from ctadata_providers.backends.services.looking import Looks, ServiceDoor
from ctadata_providers.backends.services.reading import Reading
from ctadata_providers.backends.services.urls import Urls
from ctadata_providers.backends.services.writing import Writing
from ctadata_providers.config import Config
from ctadata_providers.credentials.homes import TOPS, fragment
from ctadata_providers.credentials.hub import new_token
from ctadata_providers.errors import (
    ConfigError,
    CredentialError,
    CtaError,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    UnsupportedError,
)
from ctadata_providers.forks import fork_safe_lock
from ctadata_providers.session import Sink, Source
from ctadata_providers.session.futures import Future
from ctadata_providers.session.services import ServiceSession
from ctadata_providers.session.tasks import Task, asked, spawn, wait

T = TypeVar("T")
REMEMBERED = 16 * 1024
"""Files of which it is kept what a listing told: those of a large folder, which spares a request for each."""
REMEMBERED_SECONDS = 600.0
"""For so long; a file that has changed meanwhile is asked about anew."""


class DownloadServiceBackend:
    """The operations that the service has; it neither removes nor renames.

    Construction does no I/O.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        base = config.service_url
        if base is None:
            raise ConfigError("there is no downloadservice to use", remedy="set service_url (CTADS_URL)")
        self._urls = urls = Urls(base)
        self._session = ServiceSession(config, base)
        self._door = ServiceDoor(config, self._session, urls)
        self._looks = Looks(self._door, self._session, urls)
        self._reading = Reading(self._session, urls, self._look)
        self._writing = Writing(self._session, urls, self.home, self._looks.stat)
        self._remembered = _Remembered()
        self._lock = fork_safe_lock()
        self._user: HubUser | None = None
        self._home: str | None = None

    def stat(self, path: str) -> FileInfo:
        """Tell about one file or folder, by PROPFIND Depth 0."""
        try:
            info = self._looks.stat(path)
        except PermissionDeniedError as error:
            raise self._explained(error) from error
        self._remembered.put(info)
        return info

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        """Give the entries of a folder as they arrive, by one PROPFIND Depth 1."""
        try:
            for info in self._looks.list_dir(path):
                self._remembered.put(info)
                yield info
        except PermissionDeniedError as error:
            raise self._explained(error) from error

    def read(
        self, path: str, sink: Sink, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> Future[ReadResult]:
        """Push a file's bytes into a sink, by GET of pieces."""
        return spawn(self._told(self._reading.read(path, sink, start, end, if_match)))

    def write(self, path: str, source: Source, *, size: int, overwrite: bool) -> Future[WriteResult]:
        """Store a source's bytes, by PUT."""
        self._remembered.take(path)
        return spawn(self._told(self._writing.write(path, source, size, overwrite), writes=path))

    def make_dir(self, path: str) -> None:
        """Make one folder, by MKCOL."""
        try:
            self._door.make_dir(path)
        except PermissionDeniedError as error:
            raise self._explained(error, writes=path) from error

    def remove(self, path: str, *, is_file: bool = False) -> None:
        """Refuse: the service does not remove.

        Raises:
            NotFoundError: When there is nothing to remove.
            UnsupportedError: Else.
        """
        self.stat(path)
        raise UnsupportedError(
            f"cannot remove {path}: the downloadservice removes nothing",
            path=path,
            remedy="remove it at the door: 'ctadata --backend webdav rm' (door_url), with a token or proxy for that",
        )

    def url(self, path: str) -> str:
        """Return the WebDAV URL of a path at the service, for requests with the hub token."""
        return self._urls.webdav(path)

    def user(self) -> HubUser:
        """Tell whose hub token it is, and what it is good for.

        Raises:
            CredentialError: When there is none, or the hub refuses it.
        """
        if self._user is None:
            self._user = hub_user(self._config)
        return self._user

    def home(self) -> str:
        """Return the user's own folder: the one that exists, else the one in which the service would make it.

        Raises:
            CredentialError: When there is no hub token, or the hub refuses it.
        """
        if self._config.home is not None:
            return self._config.home
        with self._lock:
            if self._home is None:
                self._home = self._found_home()
            return self._home

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    def _found_home(self) -> str:
        homes, possible = self._homes(), []
        for home in homes:
            try:
                if self._looks.stat(home).is_dir:
                    return home
            except NotFoundError:
                possible.append(home)
            except (CredentialError, NotADirError, PermissionDeniedError):
                continue  # a certificate opens one of them and not the other
        return next(iter(possible), homes[0])

    def _look(self, path: str, *, fresh: bool) -> FileInfo:
        self._door.check_name(path)
        known = None if fresh else self._remembered.take(path)
        return known or self._looks.stat(path)

    async def _told(self, task: Task[T], *, writes: str | None = None) -> T:
        """Run a transfer, and have the reason looked for when it is not permitted."""
        try:
            return await task
        except PermissionDeniedError as error:
            raise await wait(asked(partial(self._explained, error, writes=writes))) from error

    def _explained(self, error: PermissionDeniedError, *, writes: str | None = None) -> CtaError:
        """Return a better error: the service says 403 to many things, the reason in its own words or nowhere."""
        with suppress(CtaError):
            scope = missing_scope(self._config, self.user())
            if scope is not None:
                remedy = new_token(self._config)
                return CredentialError(f"{error.message}: the hub token lacks the scope {scope}", remedy=remedy)
        if writes is None:
            return error
        top = "/" + writes.split("/")[1]
        try:
            self._looks.stat(f"{top if top in TOPS else TOPS[0]}/users")
        except CredentialError as told:
            return told  # a missing or an ended certificate shows only where nothing is written
        except StorageError:
            pass
        return PermissionDeniedError(
            error.message, path=error.path, status=error.status, remedy=self._where_to_write(error, writes)
        )

    def _where_to_write(self, error: PermissionDeniedError, path: str) -> str | None:
        try:
            if path.startswith(tuple(f"{home}/" for home in self._homes())):
                return error.remedy  # it was the storage that refused
            return f"the service takes uploads below {self.home()} alone; elsewhere the door may (--backend webdav)"
        except CtaError:
            return error.remedy

    def _homes(self) -> list[str]:
        """Return the folders in which the service lets the user write."""
        return [f"{top}/users/{fragment(self.user().name)}" for top in TOPS]


class _Remembered:
    """What was just told of files: whoever lists a folder mostly reads them next. Each is taken once."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, FileInfo]] = OrderedDict()
        self._lock = fork_safe_lock()

    def put(self, info: FileInfo) -> None:
        if info.is_dir or info.size is None:
            return
        with self._lock:
            self._known[info.path] = time.monotonic(), info
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def take(self, path: str) -> FileInfo | None:
        with self._lock:
            told_at, info = self._known.pop(path, (0.0, None))
        return info if time.monotonic() - told_at < REMEMBERED_SECONDS else None

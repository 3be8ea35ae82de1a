"""A WebDAV door (RFC 4918): dCache, XRootD, Apache, nginx and their like."""

import time
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

from ctadata_providers.backends.asked_checksums import AskedChecksums
from ctadata_providers.backends.base import ReadResult, WriteResult
from ctadata_providers.backends.brief import BriefWay
from ctadata_providers.backends.copying import CopyingDoor
from ctadata_providers.backends.looking import LONGEST_NAME, REFUSES_LENGTH, LookingDoor, has_long_name
from ctadata_providers.backends.reading import (
    Span,
    asked_digest,
    asked_digests,
    changed,
    check_all,
    check_match,
    check_range,
    total_size,
)
from ctadata_providers.backends.servers import is_plain
from ctadata_providers.backends.spans import SpanReader
from ctadata_providers.config import Config
from ctadata_providers.credentials.resolve import origin
from ctadata_providers.errors import (
    AlreadyExistsError,
    CredentialError,
    IsADirError,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.session import Response, Session, Sink, Source
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import asked, spawn, wait
from ctadata_providers.uri import split

HEARD_AFTER = (0.02, 0.05, 0.1, 0.2, 0.3, 0.3)


class WebdavBackend(LookingDoor, CopyingDoor):
    """The six operations on a WebDAV door, rename, checksums and copies.

    Args:
        config: The settings.
        session: What speaks to the door; without it one of its own.
    """

    def __init__(self, config: Config, session: Session | None = None) -> None:
        super().__init__(config, session)
        self._checksums = AskedChecksums(self._session)
        self.brief = BriefWay(self._session, self._url, lambda: self.server, self.can_rename)
        self.spans = SpanReader(self._session, self._url, lambda: self.server)
        self._no_rename_in: set[str] = set()  # folders to which a rename was refused; the root stands for all

    def read(
        self, path: str, sink: Sink, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> Future[ReadResult]:
        """Push a file's bytes into a sink, by GET."""
        return spawn(self._read(path, sink, start, end, if_match))

    def write(self, path: str, source: Source, *, size: int, overwrite: bool) -> Future[WriteResult]:
        """Store a source's bytes, by PUT."""
        return spawn(self._write(path, source, size, overwrite))

    def make_dir(self, path: str) -> None:
        """Make one folder, by MKCOL (with a slash: nginx wants it)."""
        request = self._request("MKCOL", path, "make folder", url=self._url(path) + "/", retried=False)
        retried = False

        def once() -> Response:
            nonlocal retried
            try:
                return self._session.message(request)
            except StorageError as error:
                if has_long_name(path) and error.status in REFUSES_LENGTH | {409}:
                    raise _too_long(path, error) from error
                retried = retried or isinstance(error, TransientError)
                raise

        try:
            made = self._session.policy.call(once)
        except UnsupportedError as error:
            if error.status == 405 and retried and self._is_folder(path):
                return  # it was made, and the answer got lost
            if error.status == 405:  # RFC 4918: MKCOL on what exists
                raise AlreadyExistsError(
                    f"cannot make folder {path}: it exists", path=path, status=405, remedy="use another name"
                ) from error
            raise
        except PermissionDeniedError as error:
            if self._is_folder(path):  # Apache says 403 for what another client has made in the same moment
                raise AlreadyExistsError(
                    f"cannot make folder {path}: it exists", path=path, status=403, remedy="use another name"
                ) from error
            raise
        self._wait_for(path, made)

    def _wait_for(self, path: str, made: Response) -> None:
        """Wait a little for what another server has made: the XRootD manager that sent us there hears of it later."""
        elsewhere = origin(made.url) != origin(self._config.door_url)
        for delay in HEARD_AFTER if elsewhere else ():
            try:
                self._look(path)
            except NotFoundError:
                time.sleep(delay)
            except (StorageError, CredentialError):
                return  # whoever asks next will be told
            else:
                return

    def remove(self, path: str, *, is_file: bool = False) -> None:
        """Remove one file or empty folder, by DELETE.

        DELETE of a folder is recursive on dCache, Apache, nginx and WsgiDAV, so that what may be one is listed first.
        """
        is_dir = not is_file and self._is_dir_to_remove(path)
        url = self._url(path) + ("/" if is_dir and not self.server.literal_hrefs else "")
        retried = False

        def once() -> None:
            nonlocal retried
            try:
                self._session.message(self._request("DELETE", path, "remove", url=url, retried=False))
            except NotFoundError:
                if not retried:
                    raise
            except TransientError:
                retried = True
                raise

        self._session.policy.call(once)

    def can_rename(self, path: str) -> bool:
        """Tell whether this server, with this credential, may rename something to this path."""
        if {"/", split(path)[0]} & self._no_rename_in:
            return False
        token = self._session.credential.ready()  # not `token()`, which may wait for a refresh
        if token is not None and token.scopes is not None:
            rights = {scope.partition(":")[0] for scope in token.scopes}
            if "storage.create" in rights and "storage.modify" not in rights:
                return False
        if not is_plain(path):
            self._meet()
        return self.server.can_rename_to(path)

    def rename(self, source: str, target: str, *, overwrite: bool, is_dir: bool = False) -> None:
        """Rename, by MOVE with a full URL as Destination; a folder with slashes (nginx wants them)."""
        if not self.can_rename(target):
            raise UnsupportedError(f"this server does not rename rightly to {target}", path=target)
        slash = "/" if is_dir and not self.server.literal_hrefs else ""
        headers = {"Destination": self._destination(target) + slash, "Overwrite": "T" if overwrite else "F"}
        request = self._request("MOVE", source, "rename", url=self._url(source) + slash, headers=headers, retried=False)
        try:
            self._wait_for(target, self._session.message(request))
        except UnsupportedError:
            self._no_rename_in = {"/"}  # 405 or 501: not for any path
            raise
        except PermissionDeniedError:
            self._no_rename_in.add(split(target)[0])
            raise
        except TransientError:
            # It may have happened all the same: the source tells.
            if self._exists(source) or not self._exists(target):
                raise

    def checksum(self, path: str, algorithm: str) -> Mapping[str, str]:
        """Ask for a checksum, by HEAD with Want-Digest."""
        return self._checksums.ask(self._url(path), path, algorithm)

    def early_checksum(self, path: str, algorithm: str) -> Mapping[str, str] | None:
        """Ask as `checksum` does, but only who is known not to read the file a second time for it."""
        if self._session.server_header is None or self.server.reads_to_sum:
            return None
        return self._checksums.ask_early(self._url(path), path, algorithm)

    async def _read(self, path: str, sink: Sink, start: int, end: int | None, if_match: str | None) -> ReadResult:
        if start > 0 and end is None:  # XRootD 5.5 answers an open range with no bytes
            end = (await wait(asked(partial(self.stat, path)))).size
        ranged = start > 0 or end is not None
        headers = asked_digest(self.server)
        if ranged:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if self.server.holds_after_range:
                headers["Connection"] = "close"
        if if_match is not None and not if_match.startswith("W/"):  # a weak one never matches (RFC 9110 section 13.1.1)
            headers["If-Match"] = if_match

        span = None if end is None else Span(path, sink, end - start)
        told = getattr(sink, "answered", None)
        whole = False

        def result(response: Response, first: int) -> ReadResult:
            return ReadResult(
                size=total_size(response),
                etag=response.headers.get("etag"),
                checksums=asked_digests(response, headers, self._url(path)),
                encrypted=response.url.startswith("https://"),
                start=first,
            )

        def accept(response: Response) -> Sink:
            nonlocal whole
            if urlsplit(response.url).path.endswith("/"):
                raise IsADirError(f"cannot download {path}: it is a folder", path=path, remedy="download it as a tree")
            whole = not ranged or (told is not None and response.status == 200)
            if not whole:
                check_range(response, path, start, end)
            elif not ranged:
                check_all(response, path)
            check_match(response, path, if_match)
            if told is not None:
                told(result(response, 0 if whole else start))
            return sink if whole else span or sink

        request = self._request("GET", path, "download", headers=headers, accept=accept)
        try:
            response = await self._session.exchange(request)
        except AlreadyExistsError as error:  # 412: If-Match is not fulfilled
            raise changed(path) from error
        if span is not None and not whole:
            span.check_whole()
        return result(response, 0 if whole else start)

    async def _write(self, path: str, source: Source, size: int, overwrite: bool) -> WriteResult:
        server = self.server
        headers = asked_digest(server) | ({} if overwrite else {"If-None-Match": "*"})
        # Never without content (RFC 9110 section 10.1.1): XRootD then answers nothing at all.
        expect = size > 0 and (size >= server.expect_from or self._session.uploads_ask_first)
        request = self._request(
            "PUT",
            path,
            "upload",
            headers=headers,
            source=source,
            size=size,
            expect=expect,
            expect_wait=server.expect_wait,
        )
        response = await self._session.exchange(request)
        return WriteResult(checksums=asked_digests(response, headers, self._url(path)))

    def _is_dir_to_remove(self, path: str) -> bool:
        """Tell whether a path is a folder, and make sure that it is then empty."""
        try:
            first = next(self.list_dir(path), None)
        except NotADirError:
            return False
        if first is not None:
            raise StorageError(
                f"cannot remove {path}: the folder is not empty", path=path, remedy="remove it recursively (rm -r)"
            )
        return True


def _too_long(path: str, error: StorageError) -> StorageError:
    return StorageError(
        f"{error.message}: a name in it is too long",
        path=path,
        status=error.status,
        remedy=f"use names of at most {LONGEST_NAME} bytes",
    )

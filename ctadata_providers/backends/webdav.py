"""A WebDAV door (RFC 4918): dCache, XRootD, Apache, nginx and their like."""

import re
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import quote, urlsplit

from ctadata_providers.backends import propfind
from ctadata_providers.backends.asked_checksums import AskedChecksums
from ctadata_providers.backends.base import FileInfo, ReadResult, WriteResult
from ctadata_providers.backends.brief import BriefWay
from ctadata_providers.backends.copying import CopyingDoor
from ctadata_providers.backends.entries import Place, entry_name, file_info
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
from ctadata_providers.backends.servers import Server, identify, is_plain
from ctadata_providers.backends.spans import SpanReader
from ctadata_providers.config import Config
from ctadata_providers.credentials.resolve import origin
from ctadata_providers.errors import (
    AlreadyExistsError,
    CredentialError,
    CtaError,
    IsADirError,
    NotADirError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientError,
    UnsupportedError,
)
from ctadata_providers.retry import log_retry
from ctadata_providers.session import Request, Response, Session, Sink, Source
from ctadata_providers.session.futures import Future
from ctadata_providers.session.tasks import asked, spawn, wait
from ctadata_providers.uri import split

HEARD_AFTER = (0.02, 0.05, 0.1, 0.2, 0.3, 0.3)
_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*").fullmatch
"""Tells what quoting leaves as it is, at a third of its cost: each of many small files is asked for by its URL."""
LONGEST_NAME = 255
"""Bytes of a name beyond which no file system has any."""
_REFUSES_LENGTH = frozenset({400, 403, 414, 500})
"""What servers say to a longer one: Apache 403, XRootD 500."""
DRAINED = 16
"""Pieces of an answer that are read behind the entry that was wanted; there is nothing from an honest server."""


class WebdavBackend(CopyingDoor):
    """The six operations on a WebDAV door, rename, checksums and copies.

    Args:
        config: The settings.
        session: What speaks to the door; without it one of its own.
    """

    def __init__(self, config: Config, session: Session | None = None) -> None:
        self._config = config
        self._session = session or Session(config)
        self._top = config.door_url + quote(config.base_path.rstrip("/"))
        self._checksums = AskedChecksums(self._session)
        self.brief = BriefWay(self._session, self._url, lambda: self.server, self.can_rename)
        self.spans = SpanReader(self._session, self._url, lambda: self.server)
        self._no_rename_in: set[str] = set()  # folders to which a rename was refused; the root stands for all

    @property
    def server(self) -> Server:
        """What the door is, as far as its answers have told."""
        return identify(self._session.server_header)

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
                if _has_long_name(path) and error.status in _REFUSES_LENGTH | {409}:
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

    def url(self, path: str) -> str:
        """Return the URL of a path at the door."""
        return self._url(path)

    def clock_ahead(self) -> float | None:
        """Tell how far the server's clock is ahead of ours, None when it has not told."""
        return self._session.clock_ahead

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

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
        if _has_long_name(path) and error.status in _REFUSES_LENGTH:
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

    def _propfind(self, path: str, url: str, *, depth: str, act: str) -> Request:
        headers = {"Depth": depth, "Content-Type": "application/xml; charset=utf-8"}
        body = propfind.BODY_OF_ONE if depth == "0" else propfind.BODY
        return self._request("PROPFIND", path, act, url=url, headers=headers, body=body)


def _not_there(path: str) -> NotFoundError:
    return NotFoundError(f"there is no {path}", path=path, remedy="check the path")


def _has_long_name(path: str) -> bool:
    return any(len(name.encode(errors="surrogateescape")) > LONGEST_NAME for name in path.split("/"))


def _too_long(path: str, error: StorageError) -> StorageError:
    return StorageError(
        f"{error.message}: a name in it is too long",
        path=path,
        status=error.status,
        remedy=f"use names of at most {LONGEST_NAME} bytes",
    )


def _no_folder(path: str) -> NotADirError:
    return NotADirError(f"cannot list {path}: it is a file", path=path, remedy="list its folder, or ask stat")

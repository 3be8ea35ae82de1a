"""Reading files through the downloadservice: in pieces by WebDAV, and whole where that does not give the true bytes.

The service holds a whole answer in memory before it sends any of it, so that a large file is asked for in pieces. What
it takes for a path of its storage, `:href>/pnfs/…/`, it replaces in whatever bytes they are: the answer then has
another length than its range. And a redirect of its storage it passes on. In both cases its route `/fetch` does better.
"""

import logging
import time
from collections import deque
from functools import partial
from typing import Protocol

from ctadata_providers.backends.base import ChangedError, FileInfo, ReadResult
from ctadata_providers.backends.entries import number
from ctadata_providers.backends.reading import Span, changed, check_match, check_range, same_tag, total_size
from ctadata_providers.backends.services.fetching import Fetching, Window
from ctadata_providers.backends.services.urls import Urls
from ctadata_providers.errors import AlreadyExistsError, IntegrityError, IsADirError, TransientError
from ctadata_providers.session import Request, Response, Sink
from ctadata_providers.session.services import JSON, RedirectedError, ServiceSession
from ctadata_providers.session.tasks import asked, wait

logger = logging.getLogger(__name__)
PIECE = 64 * 1024 * 1024
"""Bytes of one answer: the service takes several times as many of memory for it."""
SMALLEST_PIECE = 1024 * 1024
"""Bytes of one answer at least, where the storage is too slow for more."""
MANY = 256


class Look(Protocol):
    """How to ask about a file."""

    def __call__(self, path: str, /, *, fresh: bool) -> FileInfo:
        """Tell about a file; what was told of it just now will do unless it has to be fresh."""


class _NotByPieces(Exception):
    """The service does not give the true bytes of a piece."""


class Reading:
    """Reads files.

    Args:
        session: What speaks to the service.
        urls: Its routes.
        look: Asks about a file; blocks.
    """

    def __init__(self, session: ServiceSession, urls: Urls, look: Look) -> None:
        self._session = session
        self._urls = urls
        self._look = look
        self._redirects = False
        self._most = PIECE  # nothing of an answer comes before all of it has come to the service
        self._odd: deque[str] = deque(maxlen=MANY)  # files of whose bytes another number came than was announced
        self._fetching = Fetching(session, urls, partial(look, fresh=True))

    async def read(self, path: str, sink: Sink, start: int, end: int | None, if_match: str | None) -> ReadResult:
        """Push the bytes of a file into a sink, as `Backend.read`."""
        info = await self._seen(path, fresh=False)
        window = _window(info, sink, start, end)
        try:
            return await self._version(info, window, if_match)
        except ChangedError:
            if window.has_begun:
                raise
        info = await self._seen(path, fresh=True)  # it has only changed since somebody was told of it
        return await self._version(info, _window(info, sink, start, end), if_match)

    async def _version(self, info: FileInfo, window: Window, if_match: str | None) -> ReadResult:
        """Push the bytes of one version of a file, that which was told of, into the sink."""
        path = info.path
        try:
            if not self._redirects and path not in self._odd:
                return await self._by_pieces(info, window, if_match)
        except RedirectedError as error:
            logger.info("%s; it is fetched whole from now on", error.message)
            self._redirects = True
        except _NotByPieces as error:
            logger.info("%s: %s; it is fetched whole", path, error)
        fresh = await self._seen(path, fresh=True)
        if if_match is not None and fresh.etag is not None and not same_tag(if_match, fresh.etag):
            raise changed(path)
        if info.size != fresh.size or (window.has_begun and (info.etag, info.modified) != (fresh.etag, fresh.modified)):
            raise changed(path)
        return await self._fetching.fetch(fresh, window)

    async def _seen(self, path: str, *, fresh: bool) -> FileInfo:
        info = await wait(asked(partial(self._look, path, fresh=fresh)))
        if info.is_dir:
            raise IsADirError(f"cannot download {path}: it is a folder", path=path, remedy="download it as a tree")
        if info.size is None:
            raise TransientError(
                f"the size of {path} is not known: it may be on its way there", path=path, remedy="try again later"
            )
        return info

    async def _by_pieces(self, info: FileInfo, window: Window, if_match: str | None) -> ReadResult:
        size = info.size or 0
        if size == 0:
            return await self._piece(info, window, 0, if_match)
        etag, result, pieces = if_match, None, 0
        while result is None or window.at < window.end:
            pieces += 1
            result = await self._piece(info, window, min(window.at + min(self._most, PIECE), window.end), etag)
            etag = result.etag or etag
        if pieces > 1 and etag is None:
            now = await self._seen(info.path, fresh=True)
            if not now.is_as(info):
                raise changed(info.path)
        return result

    async def _piece(self, info: FileInfo, window: Window, end: int, etag: str | None) -> ReadResult:
        """Fetch the bytes from where the window is; without a range when there are none."""
        path, start = info.path, window.at
        headers = {"Content-Type": JSON}
        if end > start:
            headers["Range"] = f"bytes={start}-{end - 1}"
        if etag is not None and not etag.startswith("W/"):
            headers["If-Match"] = etag
        span = Span(path, window.take, end - start)

        def accept(response: Response) -> Sink:
            length = number(response.headers.get("content-length", ""))
            if response.status != 206 and end > start:
                if (start, end) != (0, info.size):
                    raise _NotByPieces("the storage ignores ranges")
            elif end > start:
                check_range(response, path, start, end)
                if total_size(response) not in (None, info.size):
                    raise changed(path)
            if length is not None and length != end - start:
                raise _NotByPieces(f"the answer has {length} bytes for a range of {end - start}")
            check_match(response, path, etag)
            window.begin(_result(response, info, start))
            return span

        request = Request(
            method="GET", url=self._urls.webdav(path), path=path, act="download", headers=headers, accept=accept
        )
        began = time.monotonic()
        try:
            response = await self._session.exchange(request)
        except AlreadyExistsError as error:  # 412: If-Match is not fulfilled
            raise changed(path) from error
        except IntegrityError:
            self._odd.append(path)
            raise
        except TransientError as error:
            if error.status is None:
                self._learn(end - start, time.monotonic() - began, came=False)
            raise
        self._learn(end - start, time.monotonic() - began, came=True)
        try:
            span.check_whole()
        except TransientError:
            self._odd.append(path)
            raise
        return _result(response, info, start)

    def _learn(self, size: int, seconds: float, *, came: bool) -> None:
        """Ask for less at once when so much did not come in time, and for more again when it came soon."""
        timeout = self._session.config.timeout
        if not came and seconds >= timeout:
            self._most = max(size // 4, SMALLEST_PIECE)
        elif came and size >= self._most and seconds < timeout:
            self._most = min(2 * self._most, PIECE)


def _window(info: FileInfo, sink: Sink, start: int, end: int | None) -> Window:
    size = info.size or 0
    return Window(info.path, sink, start, size if end is None else min(end, size))


def _result(response: Response, info: FileInfo, start: int) -> ReadResult:
    return ReadResult(
        size=info.size,
        etag=response.headers.get("etag"),
        encrypted=response.url.startswith("https://"),
        start=start,
    )

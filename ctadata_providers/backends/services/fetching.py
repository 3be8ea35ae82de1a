"""The route `/fetch` of the downloadservice: a whole file without length, or an error page that passes for one.

It answers 200 to everything. What has another size than the file is no file; what is as small as a page and has its
size may be one all the same, and is looked at before any of it is passed on.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from ctadata_providers.backends.base import ChangedError, Enough, FileInfo, ReadResult
from ctadata_providers.backends.reading import changed
from ctadata_providers.backends.services.urls import Urls
from ctadata_providers.checksum import checksum_of, common_algorithm
from ctadata_providers.errors import CtaError, IntegrityError, TransientError
from ctadata_providers.session import Request, Response, Sink
from ctadata_providers.session.request import room_of
from ctadata_providers.session.services import JSON, RedirectedError, ServiceSession
from ctadata_providers.session.status import error_for, scrubbed
from ctadata_providers.session.tasks import asked, wait

HELD = 64 * 1024
"""First bytes of a file that are kept back until it is clear that they are no page; pages are shorter."""
SPOT = 12
"""Bytes that are compared, in three places, with what WebDAV gives, where there is no checksum.

They are fewer than those that the service replaces at once, so that they come as they are.
"""
_STATUS = re.compile(rb"\s*(?:<[^>]*>\s*)*Error: ([1-5][0-9]{2})\b")
_PAGE = re.compile(rb"(?i)\s*(?:<!doctype|<html|<\?xml|error\b|[45][0-9]{2} |\{\"message)")


class Window:
    """The bytes of a file that are wanted, and whoever takes them.

    Args:
        path: The file.
        sink: Takes them.
        start: The first.
        end: The one behind the last.
    """

    def __init__(self, path: str, sink: Sink, start: int, end: int) -> None:
        self.path = path
        self.start = self.at = start
        self.end = end
        self._sink = sink
        self._told = getattr(sink, "answered", None)
        self.room = room_of(sink)
        self._begun = False

    @property
    def has_begun(self) -> bool:
        """Whether bytes may have been passed on."""
        return self._begun

    @property
    def takes_all(self) -> bool:
        """Whether nothing has been passed on, and the sink may be given the file from its first byte on."""
        return not self._begun and self._told is not None

    def begin(self, head: ReadResult) -> None:
        """Tell the sink of the first answer."""
        if not self._begun:
            self._begun = True
            if self._told is not None:
                self._told(head)

    def begin_all(self, head: ReadResult, size: int) -> None:
        """Tell the sink that all of the file comes."""
        self.start, self.at, self.end = 0, 0, size
        self.begin(head)

    def take(self, data: bytes) -> None:
        """Pass the next bytes on."""
        self.at += len(data)
        self._sink(data)


@dataclass
class _Content:
    """The sink of an answer: holds its first bytes back, and passes on what is in the window."""

    info: FileInfo
    window: Window
    head: ReadResult
    count: int = 0
    held: bytes = b""
    is_open: bool = False

    @property
    def size(self) -> int:
        return self.info.size or 0

    @property
    def is_small(self) -> bool:
        """Whether a page could be as long."""
        return self.size <= HELD

    def room(self) -> Future[Any] | None:
        """Return what is done once the window has room."""
        return self.window.room()

    def __call__(self, data: bytes) -> None:
        self.count += len(data)
        if self.is_open:
            self._pass_on(data, self.count - len(data))
            return
        self.held += data
        if self.count > HELD:
            if self.is_small:
                raise Enough  # it is no file of this size, and longer than any page
            self.open()

    def open(self) -> None:
        """Pass on what was held back."""
        if self.window.takes_all and self.window.start > 0:
            self.window.begin_all(ReadResult(self.size, encrypted=self.head.encrypted), self.size)
        else:
            self.window.begin(self.head)
        self.is_open = True
        held, self.held = self.held, b""
        self._pass_on(held, 0)

    def _pass_on(self, data: bytes, first: int) -> None:
        window = self.window
        if self.count > self.size:
            raise IntegrityError(
                f"the service sends more of {self.info.path} than the listing says",
                path=window.path,
                remedy="it may be changing, or its storage errs: try again later",
            )
        wanted = data[max(0, window.at - first) : max(0, window.end - first)]
        if wanted:
            window.take(wanted)
        if window.at >= window.end and self.count < self.size:
            raise Enough


class Fetching:
    """Fetches files.

    Args:
        session: What speaks to the service.
        urls: Its routes.
        look: Asks about a file anew; blocks.
    """

    def __init__(self, session: ServiceSession, urls: Urls, look: Callable[[str], FileInfo]) -> None:
        self._session = session
        self._urls = urls
        self._look = look

    async def fetch(self, info: FileInfo, window: Window) -> ReadResult:
        """Push what the window still wants of a file into its sink.

        Args:
            info: The file, as it was just told.
            window: What is wanted.

        Raises:
            ChangedError: When the file changed meanwhile.
            TransientError: When less of it came, or an error page.
        """
        encrypted = self._urls.base.startswith("https://")
        content = _Content(info, window, ReadResult(info.size, encrypted=encrypted, start=window.start))
        request = Request(
            method="GET",
            url=self._urls.fetch(info.path),
            path=info.path,
            act="download",
            headers={"Content-Type": JSON},
            accept=lambda _: content,
        )
        try:
            await self._session.exchange(request)
        except Enough:
            if not content.is_open:
                await self._check_end(content)
        else:
            await self._check_end(content)
        now = await wait(asked(partial(self._look, info.path)))
        if not now.is_as(info):
            raise changed(info.path)
        return ReadResult(info.size, encrypted=encrypted, start=window.start)

    async def _check_end(self, content: _Content) -> None:
        """Make sure that what has ended is the file, and pass on what was held back."""
        if content.count != content.size:
            raise await self._no_file(content)
        if not content.is_open:
            if content.held and not await self._is_file(content):
                raise _page(content)
            content.open()

    async def _is_file(self, content: _Content) -> bool:
        """Tell whether bytes of the right number are those of the file, and not of a page."""
        info = content.info
        algorithm = common_algorithm(info.checksums)
        if algorithm is not None:
            return checksum_of(content.held, algorithm) == info.checksums[algorithm]
        size, doubtful = content.size, False
        for at in sorted({0, max(0, size // 2 - SPOT), max(0, size - SPOT)}):
            spot = await self._spot(info, at, min(size, at + SPOT))
            if spot is None:
                doubtful = True
            elif content.held[at : at + SPOT] != spot:
                return False
        return not (doubtful and _PAGE.match(content.held))

    async def _spot(self, info: FileInfo, start: int, end: int) -> bytes | None:
        """Return some bytes of a file by WebDAV, None when it does not give them."""
        pieces: list[bytes] = []

        def accept(response: Response) -> Sink:
            if response.status != 206:
                raise Enough
            return pieces.append

        request = Request(
            method="GET",
            url=self._urls.webdav(info.path),
            path=info.path,
            act="download",
            headers={"Content-Type": JSON, "Range": f"bytes={start}-{end - 1}"},
            accept=accept,
        )
        try:
            await self._session.exchange(request)
        except (RedirectedError, Enough):
            return None
        found = b"".join(pieces)
        return found if len(found) == end - start else None

    async def _no_file(self, content: _Content) -> CtaError:
        """Return why there is something else than the file."""
        info = content.info
        try:
            now = await wait(asked(partial(self._look, info.path)))
            if now.size != info.size:
                return changed(info.path)
            if info.size:
                await self._spot(info, 0, 1)  # by WebDAV the storage's own status comes along
        except CtaError as error:
            return error
        return _ended(content) if content.is_open else _page(content)


def _ended(content: _Content) -> ChangedError:
    """Return the error of what began as the file might, was passed on, and ended too early: it may be another thing."""
    info = content.info
    return ChangedError(
        f"the service ended {info.path} after {content.count} of its {info.size} bytes, as if that were all",
        path=info.path,
        remedy="nothing was kept: its storage errs, try again later",
    )


def _page(content: _Content) -> CtaError:
    """Return the error that a page means, as far as it can be read."""
    path, held = content.info.path, content.held[:HELD]
    status = _STATUS.match(held)
    if status:
        response = Response(int(status[1]), "", {}, "the service", held[:2048])
        return error_for(response, act="download", path=path, secret="")
    said = re.sub(r"<[^>]*>", " ", held[:400].decode("utf-8", "replace")) if _PAGE.match(held) else ""
    words = scrubbed(" ".join(said.split()))
    return TransientError(
        f"the service sent {content.count} bytes as the {content.size} of {path}" + (f" ({words})" if words else ""),
        path=path,
        remedy="its storage failed or broke off: try again later",
    )

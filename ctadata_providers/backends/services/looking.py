"""Looking into the storage through the downloadservice: by WebDAV, and where that is not to be had by its listing."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import chain
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ctadata_providers.backends.base import FileInfo
from ctadata_providers.backends.entries import Place
from ctadata_providers.backends.services import listing
from ctadata_providers.backends.services.urls import Urls
from ctadata_providers.backends.webdav import WebdavBackend
from ctadata_providers.config import Config
from ctadata_providers.errors import CtaError, NotADirError, NotFoundError, StorageError, UnsupportedError
from ctadata_providers.session import Request
from ctadata_providers.session.services import JSON, RedirectedError, ServiceSession

T = TypeVar("T")
_NO_ROUTE = frozenset({405, 501})


class ServiceDoor(WebdavBackend):
    """The WebDAV route of a service, taken for a door; only for looking and for folders.

    Args:
        config: The settings.
        session: What speaks to the service.
        urls: Its routes.
    """

    def __init__(self, config: Config, session: ServiceSession, urls: Urls) -> None:
        parts = urlsplit(urls.base)
        door = {"door_url": f"{parts.scheme}://{parts.netloc}", "base_path": f"{parts.path}webdav"}
        super().__init__(config.with_settings(backend="webdav", **door), session)
        self._urls = urls

    def _url(self, path: str) -> str:
        self.check_name(path)
        return self._urls.webdav(path)

    def _look(self, path: str, *, slash: str = "") -> FileInfo:
        try:
            return super()._look(path, slash=slash)
        except RedirectedError:
            if slash:
                raise
            return super()._look(path, slash="/")  # as Apache wants a folder to be asked for

    def check_name(self, path: str) -> None:
        """Refuse a name that the storage would take for another.

        Raises:
            UnsupportedError: When there is a `?` in it, and the storage is known to cut names there.
        """
        if "?" in path and self.server.cuts_query:
            raise UnsupportedError(
                f"the storage behind the service cuts a name at '?' and would meet another file: {path}",
                path=path,
                remedy="use a name without '?'",
            )

    def _place(self) -> Place:
        # The `Server` header may be that of the service, and the storage one that does not encode.
        literal = self.server.literal_hrefs if self.server.name else None
        return Place(self._config.door_url, self._config.base_path, literal_hrefs=literal)

    def _request(self, method: str, path: str, act: str, **options: Any) -> Request:
        if options.get("body") is None:
            options = {**options, "headers": {**options.get("headers", {}), "Content-Type": JSON}}
        return super()._request(method, path, act, **options)


class Looks:
    """Tells about files and folders.

    Args:
        door: The WebDAV route.
        session: What speaks to the service.
        urls: Its routes.
    """

    def __init__(self, door: ServiceDoor, session: ServiceSession, urls: Urls) -> None:
        self._door = door
        self._session = session
        self._urls = urls
        self._has_webdav: bool | None = None
        """Whether the service has the WebDAV route, None before it has shown it."""

    def stat(self, path: str) -> FileInfo:
        """Tell about one file or folder."""
        if path == "/" or self._has_webdav is False:
            return self._stat_listed(path)
        try:
            info = self._door.stat(path)
        except (NotFoundError, UnsupportedError) as error:
            return self._instead(path, error, lambda: self._stat_listed(path))
        self._has_webdav = True
        self._door.check_name(path)  # now it is known what the storage is
        return info

    def list_dir(self, path: str) -> Iterator[FileInfo]:
        """Give the entries of a folder as they arrive."""
        if path == "/" or self._has_webdav is False:
            yield from self._listed(path)
            return
        entries = self._door.list_dir(path)
        try:
            first = next(entries, None)
        except (NotFoundError, UnsupportedError) as error:
            yield from self._instead(path, error, lambda: self._listed_now(path))
            return
        self._has_webdav = True
        self._door.check_name(path)
        if first is not None:
            yield first
            yield from entries

    def _instead(self, path: str, error: StorageError, by_listing: Callable[[], T]) -> T:
        """Ask the other route after an answer of the WebDAV one that may mean that there is no such route."""
        lacks_route = error.status in _NO_ROUTE or (error.status == 404 and self._has_webdav is None)
        if not lacks_route:
            raise error
        told = by_listing()
        # Only a route that does not exist says 404 to what is there; the path may have come to be meanwhile.
        self._has_webdav = False if error.status in _NO_ROUTE else self._has_route(path)
        return told

    def _has_route(self, path: str) -> bool | None:
        try:
            self._door.stat(path)
        except NotFoundError:
            return False
        except CtaError:
            return None
        return True

    def _listed_now(self, path: str) -> Iterator[FileInfo]:
        """Give the entries as `_listed`, after the first has come."""
        entries = self._listed(path)
        first = next(entries, None)

        def all_of_them() -> Iterator[FileInfo]:
            if first is not None:
                yield first
                yield from entries

        return all_of_them()

    def _stat_listed(self, path: str) -> FileInfo:
        def once() -> FileInfo:
            with closing(self._entries(path)) as entries:
                own = next(entries, None)
                if own is None:
                    raise StorageError(f"the service tells nothing about {path}", path=path, remedy="check the path")
                info = listing.info_of(own, path)
                # A folder of XRootD passes for a file, but for what is in it.
                return info if info.is_dir or next(entries, None) is None else FileInfo(path, True)

        return self._session.policy.call(once)

    def _listed(self, path: str) -> Iterator[FileInfo]:
        given = False

        def begin() -> tuple[Generator[dict[str, Any], None, None], dict[str, Any] | None]:
            entries = self._entries(path)
            return entries, next(entries, None)

        entries, own = self._session.policy.call(begin)
        with closing(entries):
            for entry in chain([own] if own else [], entries):
                name = listing.name_of(entry, path, self._urls.base)
                if name is not None:
                    given = True
                    yield self._seen(listing.info_of(entry, f"{path.rstrip('/')}/{name}"))
        if own is not None and not given and not listing.info_of(own, path).is_dir:
            raise NotADirError(f"cannot list {path}: it is a file", path=path, remedy="list its folder, or ask stat")

    def _seen(self, info: FileInfo) -> FileInfo:
        """Return what an entry really is: a folder of XRootD passes for a file of 4096 bytes."""
        if info.is_dir or info.size != listing.XROOTD_FOLDER or self._has_webdav is False:
            return info
        try:
            return self._door.stat(info.path)
        except (NotFoundError, UnsupportedError):
            return info
        except CtaError:
            return FileInfo(info.path, True, modified=info.modified)  # whoever looks into it will be told why not

    def _entries(self, path: str) -> Generator[dict[str, Any], None, None]:
        request = Request(
            method="GET", url=self._urls.listing(path), path=path, act="list", headers={"Content-Type": JSON}
        )
        with self._session.stream(request) as (_, chunks):
            yield from listing.entries(chunks, path=path)

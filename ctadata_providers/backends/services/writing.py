"""Writing files through the downloadservice: by WebDAV, and by its route `/upload` where that is not to be had."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from ctadata_providers.backends.base import FileInfo, WriteResult
from ctadata_providers.backends.services.urls import Urls
from ctadata_providers.errors import AlreadyExistsError, IntegrityError, NotFoundError, StorageError, UnsupportedError
from ctadata_providers.session import Request, Source
from ctadata_providers.session.services import ServiceSession
from ctadata_providers.session.tasks import asked, wait

_NO_ROUTE = frozenset({405, 501})
_LONGEST_ANSWER = 64 * 1024
_DOOR = "use the door itself (--backend webdav, door_url)"


class Writing:
    """Writes files; never with `Expect`, which the service hands to its storage, whose answer it does not understand.

    Args:
        session: What speaks to the service.
        urls: Its routes.
        home: Returns the user's own folder; blocks.
        look: Asks about a file; blocks.
    """

    def __init__(
        self, session: ServiceSession, urls: Urls, home: Callable[[], str], look: Callable[[str], FileInfo]
    ) -> None:
        self._session = session
        self._urls = urls
        self._home = home
        self._look = look

    async def write(self, path: str, source: Source, size: int, overwrite: bool) -> WriteResult:
        """Store the bytes of a source, as `Backend.write`; what is stored then, only a look tells."""
        headers = {} if overwrite else {"If-None-Match": "*"}
        request = Request(
            method="PUT",
            url=self._urls.webdav(path),
            path=path,
            act="upload",
            headers=headers,
            source=source,
            size=size,
        )
        try:
            await self._session.exchange(request)
        except UnsupportedError as error:
            if error.status not in _NO_ROUTE and not 300 <= (error.status or 0) < 400:
                raise
            source.rewind()
            await self._upload(path, source, size, error, overwrite=overwrite)
        except StorageError as error:
            if error.status != 400:
                raise
            raise UnsupportedError(
                error.message,
                path=path,
                status=400,
                remedy=f"the storage refuses uploads as the service sends them (XRootD does): {_DOOR}",
            ) from error
        return WriteResult()

    async def _upload(
        self, path: str, source: Source, size: int, refused: UnsupportedError, *, overwrite: bool
    ) -> None:
        """Store it by the other route, which knows the user's own folder alone, and no condition."""
        home = await wait(asked(self._home))
        if not path.startswith(home + "/"):
            raise refused
        if not overwrite and await wait(asked(partial(self._exists, path))):
            raise AlreadyExistsError(
                f"cannot upload {path}: it exists", path=path, remedy="remove it first, or allow overwriting"
            )
        said = bytearray()
        request = Request(
            method="POST",
            url=self._urls.upload(path.removeprefix(home + "/")),
            path=path,
            act="upload",
            headers={"Content-Type": "application/octet-stream"},
            source=source,
            size=size,
            accept=lambda _: lambda data: said.extend(data[: _LONGEST_ANSWER - len(said)]),
        )
        answer = await self._session.exchange(request)
        told = _told(bytes(said))
        if not told and answer.status != 204:  # what is replaced is answered without content
            raise IntegrityError(
                f"the service does not say that it has stored {path}: it answered {answer.status} with something else",
                path=path,
                remedy="check that service_url is the downloadservice",
            )
        stored = told.get("path")
        if isinstance(stored, str) and path not in (_absolute(stored), _absolute(unquote(stored))):
            raise IntegrityError(
                f"the service has stored {path} as {_absolute(stored)}", path=path, remedy=f"remove that; {_DOOR}"
            )
        if told.get("total_written", size) != size:
            raise IntegrityError(
                f"the service has taken {told['total_written']} bytes of the {size} of {path}",
                path=path,
                remedy="the bytes changed on the way: try again",
            )

    def _exists(self, path: str) -> bool:
        try:
            self._look(path)
        except NotFoundError:
            return False
        return True


def _told(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _absolute(path: str) -> str:
    return "/" + path.strip("/")

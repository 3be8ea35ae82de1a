"""The client; imported only where webdav4 is installed."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Self
from urllib.parse import quote, unquote, urlsplit
from xml.etree.ElementTree import ParseError

from httpx import InvalidURL
from webdav4.client import Client, IsACollectionError, ResourceAlreadyExists, ResourceNotFound
from webdav4.http import Client as HttpClient
from webdav4.urls import join_url_path, strip_trailing_slash

from ctadata_providers import uri
from ctadata_providers.client import CtaClient
from ctadata_providers.errors import (
    AlreadyExistsError,
    ConfigError,
    CtaError,
    IsADirError,
    NotFoundError,
    UnsupportedError,
)
from ctadata_providers.session import Session
from ctadata_providers.session.exchange import FIRST_BYTE_FACTOR
from ctadata_providers.session.services import ServiceSession
from ctadata_providers.webdav4_client.transport import SessionTransport, no_listing

if TYPE_CHECKING:
    from types import TracebackType

    from httpx import URL
    from webdav4.multistatus import MultiStatusResponse

    from ctadata_providers.config import Config

__all__ = ["Webdav4Client"]

Callback = Callable[[int], Any]
_PREFIX = "ctadata-webdav4-"
_MISSHAPEN = (ParseError, AssertionError, KeyError, ValueError, InvalidURL)
"""What webdav4 raises over an answer that it does not understand."""
_PIECE = 1024 * 1024


class Webdav4Client(Client):  # type: ignore[misc]  # webdav4 ships no types
    """A `webdav4.client.Client` with our credential, trust, proxies and time-outs.

    Listings and what else is a short message go through our session: a token is renewed before it ends and once when
    it is refused, stays with its server, and is in no URL. Files as a whole (`upload_file`, `download_file` and their
    like) are transferred as `CtaClient` does: whole or absent, verified, tried again; missing folders are made.

    What differs from webdav4: names with `#`, `%` and `?` mean what they say; `exists`, `isdir` and the properties ask
    about one entry only. What webdav4 has no error for is raised as one of ours.

    Limits of webdav4 that remain: a listing is held in memory whole (`CtaClient.list_dir` gives it as it arrives);
    `remove` takes a folder with all that it holds on most servers (`CtaClient.remove` does not), but none that stands
    at the top of the storage. The downloadservice neither removes, renames nor copies, and writes in one's own folder
    only.

    Args:
        config: The settings; without it they are those of profile and environment.
        **settings: Settings by name, over those.
    """

    def __init__(self, config: "Config | None" = None, **settings: Any) -> None:
        self._cta = CtaClient(config, **settings)
        chosen = self._cta.config
        if chosen.backend == "memory":
            raise ConfigError("a storage in memory has no WebDAV interface", remedy="give door_url or service_url")
        service = chosen.service_url if chosen.backend == "downloadservice" else None
        base_url = f"{service}webdav" if service else chosen.door_url + quote(chosen.base_path)
        self._transport = SessionTransport(
            ServiceSession(chosen, service) if service else Session(chosen),
            base=unquote(urlsplit(base_url).path),
            first_byte=chosen.timeout * (1 if service else FIRST_BYTE_FACTOR),
            is_service=service is not None,
        )
        # What is tried again, and when, is decided below.
        super().__init__(
            base_url, http_client=HttpClient(transport=self._transport, base_url=base_url, trust_env=False), retry=False
        )

    def close(self) -> None:
        """Close idle connections."""
        self.http.close()
        self._cta.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.close()

    def join_url(self, path: str, add_trailing_slash: bool = False) -> "URL":
        """Return the URL of a path.

        Raises:
            ConfigError: For a segment `.` or `..`, or a control character.
        """
        joined = quote(join_url_path(self.base_url.path, self._path(path)))
        base: URL = self.base_url
        return base.copy_with(path=joined.rstrip("/") + "/" if add_trailing_slash else joined)

    def propfind(
        self,
        path: str,
        data: str | None = None,
        headers: Any = None,
        follow_redirects: bool = False,
    ) -> "MultiStatusResponse":
        """Return properties of a path alone, unless a header `Depth` says otherwise.

        Raises:
            ResourceNotFound: When there is nothing.
            StorageError: When the answer is no listing.
            CtaError: For all else.
        """
        try:
            found = super().propfind(path, data, {"Depth": "0", **(headers or {})}, follow_redirects)
        except CtaError:
            raise
        except _MISSHAPEN as error:
            raise no_listing(path) from error
        entries = list(found.responses.values())
        if self._transport.server.literal_hrefs:
            for entry in entries:
                entry.path = entry.href
                entry.path_norm = strip_trailing_slash(entry.href)
        base = self.base_url.path.rstrip("/")
        found.responses = _Entries({entry.path_norm: entry for entry in entries if _is_in(base, entry.path_norm)})
        if not found.responses:
            raise no_listing(path)
        return found

    def move(self, from_path: str, to_path: str, overwrite: bool = False) -> None:
        """Rename a file or folder; what is at the target may be replaced if it is a file.

        Raises:
            IsADirError: When the target is a folder, which the server would replace with all that it holds.
            ResourceAlreadyExists: When it exists and may not be replaced.
            UnsupportedError: On the downloadservice, and where the server cannot rename to that name.
        """
        self._require_no_folder(to_path, overwrite)
        super().move(from_path, to_path, overwrite)

    def copy(self, from_path: str, to_path: str, depth: int | str = "infinity", overwrite: bool = False) -> None:
        """Copy a file or folder within the server, where that has a COPY of its own; else as `move`."""
        self._require_no_folder(to_path, overwrite)
        super().copy(from_path, to_path, depth, overwrite)

    def remove(self, path: str) -> None:
        """Remove a file or folder, on most servers with all that it holds; but for the top of the storage.

        Raises:
            ResourceNotFound: When there is nothing.
            StorageError: For the root, and a folder in it that is not empty.
            UnsupportedError: On the downloadservice.
        """
        ours = self._path(path)
        if self._transport.is_service or ours.count("/") > 1:
            super().remove(path)
            return
        try:
            self._cta.remove(ours)
        except NotFoundError as error:
            raise ResourceNotFound(path) from error

    @contextmanager
    def open(
        self, path: str, mode: str = "r", encoding: str | None = None, chunk_size: int | None = None
    ) -> Iterator[IO[Any]]:
        """Give a file to read from: as it arrives, from the downloadservice when all of it has arrived.

        That sends whole files wrong under some circumstances, which `CtaClient.download` knows.

        Raises:
            IsACollectionError: When it is a folder.
            ResourceNotFound: When there is no such file.
            CtaError: For all else.
        """
        if not self._transport.is_service:
            with ExitStack() as stack:
                try:
                    file = stack.enter_context(super().open(path, mode, encoding, chunk_size))
                except NotFoundError as error:
                    raise ResourceNotFound(path) from error
                yield file
            return
        if mode not in ("r", "rt", "rb"):
            raise ConfigError(f"{path} cannot be opened as {mode!r}", remedy="open it as 'r' or 'rb'")
        with _folder() as folder:
            self.download_file(path, folder / "file")
            with (folder / "file").open(mode, encoding=encoding) as local:
                yield local

    def download_file(
        self,
        from_path: str,
        to_path: "PathLike[Any] | str",
        chunk_size: int | None = None,
        callback: Callback | None = None,
    ) -> None:
        """Download a file; the local one is whole, or as it was before.

        Args:
            from_path: The remote file.
            to_path: The local file.
            chunk_size: Has no meaning here.
            callback: Called with the bytes that have just passed, in another thread; negative when a retry begins.

        Raises:
            ResourceNotFound: When there is no such file.
            CtaError: For all else, as `CtaClient.download`.
        """
        try:
            self._cta.download(self._path(from_path), _local(to_path), progress=callback)
        except NotFoundError as error:
            raise ResourceNotFound(from_path) from error
        except IsADirError as error:
            if error.path == str(to_path):
                raise
            raise IsACollectionError(from_path, error.message) from error

    def download_fileobj(
        self, from_path: str, file_obj: BinaryIO, callback: Callback | None = None, chunk_size: int | None = None
    ) -> None:
        """Write a file into a file object, when all of it has arrived and is verified.

        Args:
            from_path: The remote file.
            file_obj: Takes the bytes.
            callback: As for `download_file`.
            chunk_size: Has no meaning here.

        Raises:
            ResourceNotFound: When there is no such file.
            CtaError: For all else, as `CtaClient.download`.
        """
        with _folder() as folder:
            self.download_file(from_path, folder / "file", callback=callback)
            with (folder / "file").open("rb") as file:
                shutil.copyfileobj(file, file_obj, _PIECE)

    def upload_file(
        self,
        from_path: "PathLike[Any] | str",
        to_path: str,
        overwrite: bool = False,
        chunk_size: int | None = None,
        callback: Callback | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Upload a file; the remote one is whole, or as it was before, where the server can rename.

        Args:
            from_path: The local file.
            to_path: The remote file; missing folders are made.
            overwrite: Whether an existing file may be replaced.
            chunk_size: Has no meaning here.
            callback: Called with the bytes that have just passed, in another thread; negative when a retry begins.
            headers: Cannot be given here.

        Raises:
            ResourceAlreadyExists: When the target exists and may not be replaced.
            CtaError: For all else, as `CtaClient.upload`.
        """
        if headers:
            raise UnsupportedError(
                "cannot send headers of one's own with an upload", path=to_path, remedy="leave out headers"
            )
        try:
            self._cta.upload(_local(from_path), self._path(to_path), overwrite=overwrite, progress=callback)
        except AlreadyExistsError as error:
            raise ResourceAlreadyExists(to_path) from error

    def upload_fileobj(
        self,
        file_obj: BinaryIO,
        to_path: str,
        overwrite: bool = False,
        callback: Callback | None = None,
        chunk_size: int | None = None,
        size: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Upload what a file object holds, from where it stands to its end.

        Args:
            file_obj: Gives the bytes; they are put on the local disk first, so that they can be sent again.
            to_path: The remote file; missing folders are made.
            overwrite: Whether an existing file may be replaced.
            callback: As for `upload_file`.
            chunk_size: Has no meaning here.
            size: Has no meaning here.
            headers: Cannot be given here.

        Raises:
            ResourceAlreadyExists: When the target exists and may not be replaced.
            CtaError: For all else, as `CtaClient.upload`.
        """
        with tempfile.NamedTemporaryFile(prefix=_PREFIX) as spool:
            shutil.copyfileobj(file_obj, spool, _PIECE)
            spool.flush()
            self.upload_file(spool.name, to_path, overwrite, callback=callback, headers=headers)

    def uploadFile(self, from_path: "PathLike[Any] | str", to_path: str, overwrite: bool = False) -> None:  # noqa: N802
        """Upload a file, as `upload_file`, by the name that the documentation of ctadata has.

        On the downloadservice a target is in one's own folder, unless it begins with `/`, `lst/` or `cta/`.
        """
        relative = not to_path.startswith(("/", "lst/", "cta/"))
        if relative and self._cta.config.backend == "downloadservice":
            to_path = f"{self._cta.home()}/{to_path}"
        self.upload_file(from_path, to_path, overwrite)

    def downloadFile(self, from_path: str, to_path: "PathLike[Any] | str") -> None:  # noqa: N802
        """Download a file, as `download_file`: the counterpart of `uploadFile`."""
        self.download_file(from_path, to_path)

    def _require_no_folder(self, path: str, overwrite: bool) -> None:
        if not overwrite or self._transport.is_service:
            return
        with suppress(ResourceNotFound):
            if self.isdir(path):
                raise IsADirError(
                    f"{path} is a folder, and is not overwritten", path=path, remedy="give the new name, in that folder"
                )

    def _path(self, path: str) -> str:
        """Return our path for one of webdav4, to which empty names and slashes at the ends mean nothing.

        Raises:
            ConfigError: For a segment `.` or `..`, or a control character.
        """
        return uri.parse_path("/" + re.sub("/{2,}", "/", path).strip("/"))


class _Entries(dict[str, "MultiStatusResponse"]):
    """The entries of a listing by path; that of one that it does not tell of is asked for in vain."""

    def __missing__(self, path: str) -> "MultiStatusResponse":
        raise no_listing(path)


def _is_in(base: str, path: str) -> bool:
    """Tell whether an entry belongs to us: webdav4 would cut any path at the length of the base."""
    return (path == base or path.startswith(f"{base}/")) and ".." not in path.split("/")


@contextmanager
def _folder() -> Iterator[Path]:
    """Give a folder that nobody else may enter, and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        yield Path(folder)


def _local(path: "PathLike[Any] | str") -> Path:
    text = path if isinstance(path, str) else path.__fspath__()
    return Path(text.decode() if isinstance(text, bytes) else text)

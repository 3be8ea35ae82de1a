"""One remote storage as a workflow uses it: a client, and what is known of its folders."""

import logging
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ctadata_providers import (
    Config,
    CtaClient,
    CtaError,
    FileInfo,
    NotFoundError,
    PermissionDeniedError,
    UnsupportedError,
    uri,
)
from snakemake_storage_plugin_cta.listing import Listing

logger = logging.getLogger(__name__)

TOUCH_LIMIT = 1 << 20
"""Largest file, in bytes, that is rewritten to give it a new time."""

DIRECTORY_TIMESTAMP = ".snakemake_timestamp"
"""The file in which Snakemake keeps the time of a local copy of a folder."""


class Storage:
    """Moves files and folders, and remembers what that changed.

    All methods raise `CtaError`; its text names the path and what to do.

    Args:
        config: Where the storage is and who asks.
    """

    def __init__(self, config: Config) -> None:
        self._client = CtaClient(config)
        self.listing = Listing(self._client)

    def retrieve(self, path: str, local: Path) -> None:
        """Bring a file or folder; the local target is whole or as it was before."""
        info = self.listing.find(path)
        if info is None or not info.is_dir:
            self._client.download(path, local, info=info)
            return
        part = local.with_name(_part_name(local.name))
        try:
            self._client.download_tree(path, part)
            if local.exists():
                shutil.rmtree(local)
            part.rename(local)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def store(self, local: Path, path: str) -> None:
        """Send a file or folder instead of what was there; missing parents are made.

        A folder gets its name when all is in it, where the server can rename folders.
        """
        if local.is_dir():
            # Snakemake's own note about the local copy; it writes it again after storing.
            (local / DIRECTORY_TIMESTAMP).unlink(missing_ok=True)
            self._store_folder(local, path)
        else:
            self._client.upload(local, path)
        self.listing.refresh(path)

    def _store_folder(self, local: Path, path: str) -> None:
        parent, name = uri.split(path)
        part = uri.join(parent, _part_name(name))
        if not self._removes:  # what cannot be renamed, nor removed, is better not made
            self._client.upload_tree(local, path)
            self.listing.refresh(path)
            return
        named = False
        try:
            self._client.upload_tree(local, part)
            if self._client.exists(path):
                self._client.remove(path, recursive=True)
            self._client.move(part, path)
            named = True
        except (PermissionDeniedError, UnsupportedError):
            self._client.upload_tree(local, path)  # this server does not rename a folder there
        finally:
            if not named:
                with suppress(CtaError):  # there may be nothing, or no server any more
                    self._client.remove(part, recursive=True)

    @property
    def _removes(self) -> bool:
        """Whether there is a way to remove and rename."""
        return self._client.config.backend != "downloadservice"

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all in it; what is already gone is no error.

        The downloadservice removes nothing: there it is told that it stays, for a job may well replace it.
        """
        info = self.listing.find(path)
        if info is not None:
            try:
                self._client.remove(path, recursive=info.is_dir)
            except NotFoundError:
                pass  # somebody else was faster: it is gone, as wanted
            except UnsupportedError as error:
                if self._removes:
                    raise
                logger.warning("%s stays as it is until it is stored anew: %s", info.uri, error)
                return
            self.listing.forget(path)

    def touch(self, path: str) -> None:
        """Give a file or folder the present time; an absent one becomes an empty file.

        WebDAV cannot set a time, so the file is sent again, and in a folder a file comes and goes.

        Raises:
            UnsupportedError: For a file above `TOUCH_LIMIT`.
        """
        info = self.listing.find(path)
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "content"
            copy.touch()
            if info is not None and info.is_dir:
                # The ending of the core's own parts: should it be left behind, no listing shows it.
                passing = uri.join(path, f".touch.{uuid.uuid4().hex}.ctapart")
                self._client.upload(copy, passing)
                self._client.remove(passing)
            else:
                if info is not None and info.size != 0:
                    self._download_small(info, copy)
                self._client.upload(copy, path)
        self.listing.refresh(path)

    def walk(self, folder: str, start: str = "") -> Iterator[FileInfo]:
        """Yield all below a folder, parents first, where the names in the folder itself begin with `start`."""
        for name, info in self.listing.entries(folder).items():
            if name.startswith(start):
                yield info
                if info.is_dir:
                    yield from self.walk(info.path)

    def _download_small(self, info: FileInfo, local: Path) -> None:
        if info.size is None or info.size > TOUCH_LIMIT:
            raise UnsupportedError(
                f"cannot touch {info.uri}: it would be downloaded and uploaded again, which is done up to 1 MiB only",
                path=info.path,
                remedy="leave it out of --touch, or store it anew",
            )
        self._client.download(info.path, local, info=info)


def _part_name(name: str) -> str:
    """Return a hidden name for a folder that is being filled: half full, it would look complete after a kill."""
    start = name.encode()[:200].decode(errors="ignore")  # a name has 255 bytes at most
    return f".{start}.{uuid.uuid4().hex}.ctapart"

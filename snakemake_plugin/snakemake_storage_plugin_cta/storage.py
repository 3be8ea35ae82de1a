"""One remote storage as a workflow uses it: a client, and what is known of its folders."""

import logging
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from ctadata_providers import (
    AlreadyExistsError,
    Config,
    CtaClient,
    CtaError,
    FileInfo,
    IntegrityError,
    IsADirError,
    NotFoundError,
    PermissionDeniedError,
    TransferResult,
    UnsupportedError,
    uri,
)
from snakemake_storage_plugin_cta.asking import Progress, Stoppable, Threads
from snakemake_storage_plugin_cta.listing import Listing
from snakemake_storage_plugin_cta.notes import Notes
from snakemake_storage_plugin_cta.removal import remove_folder
from snakemake_storage_plugin_cta.times import Times
from snakemake_storage_plugin_cta.waiting import ended

logger = logging.getLogger(__name__)

TOUCH_LIMIT = 1 << 20
"""Largest file, in bytes, that is rewritten to give it a new time."""

DIRECTORY_TIMESTAMP = ".snakemake_timestamp"
"""The file in which Snakemake keeps the time of a local copy of a folder."""

T = TypeVar("T")


class Storage:
    """Moves files and folders, and remembers what that changed.

    All methods raise `CtaError`; its text names the path and what to do. Those that wait come twice, once for an event
    loop, which they do not block: when they are cancelled there, what runs is stopped and leaves nothing partial.

    Args:
        config: Where the storage is and who asks.
        local_prefix: Folder of the local copies.
    """

    def __init__(self, config: Config, local_prefix: Path) -> None:
        self._client = CtaClient(config)
        self._threads = Threads(config.max_parallel)
        self._notes = Notes(local_prefix)
        # Threads of its own: what runs in the others may have to wait for an answer.
        self.listing = Listing(self._client, threads=Threads(config.max_parallel))
        self.times = Times(self._client.clock_ahead)
        self.stored: set[str] = set()
        """Paths that this process has stored."""
        self._renames = True
        """Whether a folder can be renamed, as far as is known."""
        self._replaced: set[str] = set()
        """Paths that were to be removed and stay until they are stored anew."""
        self.has_answered = False
        """Whether something was asked for and told."""

    @property
    def instance(self) -> str:
        """What tells this storage from others."""
        return self._client.config.instance

    def url(self, path: str) -> str:
        """Return the URL of a path at the door."""
        return self._client.url(path)

    async def run(self, function: Callable[[], T]) -> T:
        """Call what blocks in a thread."""
        return await ended(self._threads.run(function))

    def find(self, path: str) -> FileInfo | None:
        """Return what is known of a file or folder, None if it does not exist, or counts as removed."""
        return self._as_answered(path, self.listing.find(path))

    async def found(self, path: str) -> FileInfo | None:
        """Do the same as `find` in an event loop, which is not blocked."""
        return self._as_answered(path, await self.listing.found(path))

    async def around(self, path: str) -> tuple[FileInfo | None, Mapping[str, FileInfo] | None]:
        """Return what is known of a path, and all that stands in its folder, if that has just been listed."""
        answer = await self.listing.around(path)
        self.has_answered = True
        return answer

    def _as_answered(self, path: str, info: FileInfo | None) -> FileInfo | None:
        self.has_answered = True
        return None if path in self._replaced else info

    def retrieve(self, path: str, local: Path) -> None:
        """Bring a file or folder; the local target is whole or as it was before."""
        info = self.find(path) or self._client.stat(path)
        if info.is_dir:
            self._retrieve_folder(info, local)
        else:
            _make_way(local, is_dir=False)
            self._client.download(path, local, info=info)
            self.times.give(local, info.mtime)

    def bring_folder(self, path: str, local: Path, *, anew: bool) -> bool:
        """Bring a folder of which there is no copy; tell whether that was done.

        Args:
            path: The folder; nothing is done for one that does not exist, and for a file.
            local: Where its copy belongs.
            anew: Whether a copy that is older than the folder is replaced, unless it is what this process has stored.
        """
        has_copy = local.exists()
        if has_copy and (not anew or path in self.stored):
            return False
        info = self.find(path)
        if info is None or not info.is_dir or (has_copy and _copied(local) >= self.times.here(info.mtime)):
            return False
        self._retrieve_folder(info, local)
        return True

    async def retrieved(self, path: str, local: Path) -> None:
        """Bring a file or folder; of all that are on their way `max_parallel` run at once."""
        info = await self.found(path)
        if info is None:
            # What a listing did not show may have come meanwhile.
            info = await self.run(lambda: self._client.stat(path))
        try:
            await self._brought(info, local)
        except IntegrityError:
            # What a listing told may be some seconds old, and the file another one since.
            now = await self.run(lambda: self.listing.refresh(path))
            if now is None or now == info:
                raise
            await self._brought(now, local)

    async def _brought(self, info: FileInfo, local: Path) -> None:
        if info.is_dir:
            await ended(self._stoppable(lambda progress: self._retrieve_folder(info, local, progress)))
            return
        _make_way(local, is_dir=False)
        await ended(self._client.begin_download(info, local))
        self.times.give(local, info.mtime)

    def _retrieve_folder(self, info: FileInfo, local: Path, progress: Progress | None = None) -> None:
        part = local.with_name(_part_name(local.name))
        try:
            self._client.download_tree(info.path, part, progress=progress)
            _make_way(local, is_dir=True)
            if local.exists():
                remove_folder(local)
            part.rename(local)
            self.times.give(local, info.mtime)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def store(self, local: Path, path: str) -> None:
        """Send a file or folder instead of what was there; missing parents are made.

        A folder gets its name when all is in it, where the server can rename folders. A file that is stored already, by
        whatever process of this job, is not sent again.
        """
        if local.is_dir():
            self._store_folder(local, path)
        elif not self._is_stored(local, path):
            self._make_parent(path)
            self._note(local, path, self._client.upload(local, path))

    async def put(self, local: Path, path: str) -> None:
        """Do as `store`; of all that are on their way `max_parallel` run at once."""
        if local.is_dir():
            await ended(self._stoppable(lambda progress: self._store_folder(local, path, progress)))
        elif not self._notes.exists(local) or not await self.run(lambda: self._is_stored(local, path)):
            if self.listing.was_missing(uri.split(path)[0]):
                await self.run(lambda: self._make_parent(path))
            self._note(local, path, await ended(self._client.begin_upload(local, path)))

    def _make_parent(self, path: str) -> None:
        """Make the folder of a file to be stored if it was missing when it was listed.

        A server that the file itself would make it for tells of that: a redirecting XRootD does not.
        """
        parent, _ = uri.split(path)
        if self.listing.was_missing(parent):
            with suppress(CtaError):  # the upload will tell
                self._client.make_dir(parent, parents=True)

    def _note(self, local: Path, path: str, result: TransferResult) -> None:
        """Take note of a file that was just stored."""
        self.stored.add(path)
        self._replaced.discard(path)
        if result.stored is None:
            self.listing.refresh(path)
            return
        self.listing.remember(result.stored)
        self._notes.write(local, result.checksums, result.stored)

    def _is_stored(self, local: Path, path: str) -> bool:
        """Tell whether a process of this job has stored this very file, and nothing else stands there since."""
        then = self._notes.stored(local, path)
        if then is None or path in self._replaced:
            return False
        now = self.listing.refresh(path)
        same = now is not None and (now.size, now.mtime) == (then.size, then.mtime)
        common = then.checksums.keys() & now.checksums.keys() if now is not None else frozenset()
        if not same or now is None or any(then.checksums[name] != now.checksums[name] for name in common):
            return False
        self.stored.add(path)
        return True

    def _store_folder(self, local: Path, path: str, progress: Progress | None = None) -> None:
        # Snakemake's own note about the local copy; it writes it again after storing.
        (local / DIRECTORY_TIMESTAMP).unlink(missing_ok=True)
        parent, name = uri.split(path)
        part = uri.join(parent, _part_name(name))
        if not self._removes or not self._renames:  # what cannot be renamed, nor removed, is better not made
            self._fill(local, path, progress)
            return
        named = False
        try:
            self._client.upload_tree(local, part, progress=progress)
            try:
                self._client.move(part, path)  # which looks at what is there
            except (AlreadyExistsError, IsADirError):
                self._client.remove(path, recursive=True)
                self._client.move(part, path)
            named = True
            self._renew(path)
        except (PermissionDeniedError, UnsupportedError):
            self._renames = False  # this server does not rename a folder there
            self._fill(local, path, progress)
        finally:
            if not named:
                self._discard(part)

    def _fill(self, local: Path, path: str, progress: Progress | None) -> None:
        """Send a folder under its own name, and remove what an older one has left there.

        Raises:
            UnsupportedError: When that cannot be removed.
        """
        try:
            there = [info.path for info in self._client.walk(path) if not info.is_dir]
        except NotFoundError:
            there = []
        old = [name for name in there if not (local / name[len(path) + 1 :]).exists()]
        if old and not self._removes:  # before anything is sent
            raise _stays(path, old[0])
        self._client.upload_tree(local, path, progress=progress)
        for name in old:
            try:
                self._client.remove(name)
            except NotFoundError:
                pass  # somebody else was faster
            except (PermissionDeniedError, UnsupportedError) as error:
                raise _stays(path, name) from error
        self._renew(path)

    def _discard(self, part: str) -> None:
        """Remove the hidden part of a folder."""
        try:
            self._client.remove(part, recursive=True)
        except NotFoundError:
            pass  # nothing was sent
        except CtaError as error:
            logger.warning("%s remains, hidden, until it is removed (ctadata clean): %s", part, error)

    def _renew(self, path: str) -> None:
        """Take note of a folder that was just stored."""
        self.stored.add(path)
        self._replaced.discard(path)
        self.listing.forget(path)
        self.listing.refresh(path)

    @property
    def _removes(self) -> bool:
        """Whether there is a way to remove and rename."""
        return self._client.config.backend != "downloadservice"

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all in it; what is already gone is no error.

        The downloadservice removes nothing: there it is told that it stays, for a job may well replace it.
        """
        info = self.find(path)
        if info is not None:
            try:
                self._client.remove(path, recursive=info.is_dir)
            except NotFoundError:
                pass  # somebody else was faster: it is gone, as wanted
            except UnsupportedError as error:
                if self._removes:
                    raise
                logger.warning("%s stays as it is until it is stored anew: %s", info.uri, error)
                self._replaced.add(path)
                return
            self.listing.forget(path)

    def touch(self, path: str) -> None:
        """Give a file or folder the present time; an absent one becomes an empty file.

        WebDAV cannot set a time, so the file is sent again, and in a folder a file comes and goes.

        Raises:
            UnsupportedError: For a file above `TOUCH_LIMIT`, and for a folder where nothing can be removed.
        """
        info = self.listing.find(path)
        if info is not None and info.is_dir and not self._removes:
            raise UnsupportedError(
                f"cannot touch the folder {path}: a file would stay in it, the downloadservice removes nothing",
                path=path,
                remedy="use the door itself (--backend webdav, door_url), or run without --touch",
            )
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
        self.stored.add(path)
        self.listing.refresh(path)

    def walk(self, folder: str, start: str = "") -> Iterator[FileInfo]:
        """Yield all below a folder, parents first, where the names in the folder itself begin with `start`."""
        for name, info in self.listing.entries(folder).items():
            if name.startswith(start):
                yield info
                if info.is_dir:
                    yield from self.walk(info.path)

    def clean_up(self, local: Path) -> None:
        """Remove what was noted of a local copy."""
        self._notes.forget(local)

    def _download_small(self, info: FileInfo, local: Path) -> None:
        if info.size is None or info.size > TOUCH_LIMIT:
            raise UnsupportedError(
                f"cannot touch {info.uri}: it would be downloaded and uploaded again, which is done up to 1 MiB only",
                path=info.path,
                remedy="leave it out of --touch, or store it anew",
            )
        self._client.download(info.path, local, info=info)

    def _stoppable(self, function: Callable[[Progress], None]) -> Stoppable:
        """Call in a thread what tells its progress, and can be stopped by that."""
        return Stoppable(self._threads, function)


def _make_way(local: Path, *, is_dir: bool) -> None:
    """Remove an old copy that is a folder where a file is to come, or a file in place of a folder."""
    if is_dir and local.is_file():
        local.unlink()
    elif not is_dir and local.is_dir():
        remove_folder(local)


def _copied(local: Path) -> float:
    """Return when a local copy of a folder was made: Snakemake notes it in a file, for files in it come and go."""
    try:
        return (local / DIRECTORY_TIMESTAMP).stat().st_mtime
    except OSError:
        return local.stat().st_mtime


def _part_name(name: str) -> str:
    """Return a hidden name for a folder that is being filled: half full, it would look complete after a kill."""
    start = name.encode()[:200].decode(errors="ignore")  # a name has 255 bytes at most
    return f".{start}.{uuid.uuid4().hex}.ctapart"


def _stays(folder: str, name: str) -> UnsupportedError:
    """Return the error for a folder that would hold a file of an older one."""
    return UnsupportedError(
        f"cannot replace the folder {folder}: {name} is in the old one only, and cannot be removed",
        path=folder,
        remedy="remove it at the door (ctadata --backend webdav rm), or store into another folder",
    )

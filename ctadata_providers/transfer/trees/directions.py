"""The two directions of a sync: what is its source, what its target, and what can be done there."""

import math
import os
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import AlreadyExistsError, NotADirError, NotFoundError, StorageError
from ctadata_providers.session.tasks import Task
from ctadata_providers.transfer.compare import Compare, checksums_of, same_by_listing
from ctadata_providers.transfer.context import Context, Progress, TransferResult
from ctadata_providers.transfer.download import download
from ctadata_providers.transfer.folders import make_dirs, stat_or_none
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.trees.pairs import Pair, Side
from ctadata_providers.transfer.trees.places import LocalRoot, made_folder
from ctadata_providers.transfer.trees.walking import LocalEntry
from ctadata_providers.transfer.upload import upload
from ctadata_providers.uri import segment_fault, split


@dataclass(frozen=True)
class Direction(ABC):
    """From one tree to another.

    Attributes:
        context: What the transfers of a client share.
        root: The local tree.
        path: The remote tree.
        progress: Told of the bytes that pass.
    """

    context: Context
    root: Path
    path: str
    progress: Progress | None = None

    @property
    @abstractmethod
    def source(self) -> Side:
        """The side that is copied."""

    @property
    @abstractmethod
    def is_root(self) -> bool:
        """Whether the target is the root of all."""

    @abstractmethod
    def target_name(self, relative: str) -> str:
        """Return what a place of the target is called in messages."""

    @abstractmethod
    def check_name(self, relative: str) -> None:
        """Make sure that something may be written under a name of the target.

        Raises:
            StorageError: When it may not.
        """

    @abstractmethod
    def make(self, relative: str) -> None:
        """Make a folder of the target, whose parent exists unless it is the top."""

    @abstractmethod
    def copy(self, pair: Pair, *, unless_same: bool) -> Task[TransferResult | bool]:
        """Return what copies a file, and gives False when it need not."""

    @abstractmethod
    def remove(self, relative: str, *, is_dir: bool) -> None:
        """Remove a file or an empty folder of the target; one that is gone is right."""

    def source_of(self, pair: Pair) -> LocalEntry | FileInfo | None:
        """Return what is copied."""
        return pair.local if self.source == "local" else pair.remote

    def target_of(self, pair: Pair) -> LocalEntry | FileInfo | None:
        """Return what is there of it."""
        return pair.remote if self.source == "local" else pair.local

    def names_in_source(self, relative: str) -> set[str]:
        """Return the names in a folder of the source, parts too.

        Raises:
            CtaError: When it cannot be listed, also when it is gone.
        """
        if self.source == "remote":
            return {info.name for info in self.context.backend.list_dir(self.remote_path(relative))}
        place = self.root / relative
        try:
            return set(os.listdir(place))  # noqa: PTH208 (names are wanted)
        except OSError as error:
            raise explained(error, place, "list") from error

    def names_in_target(self, relative: str) -> dict[str, bool]:
        """Return the names in a folder of the target, parts too, and whether they are folders.

        No local link is followed; what is gone has none.
        """
        return self._names_there(relative) if self.source == "local" else self._names_here(relative)

    def remote_path(self, relative: str) -> str:
        """Return the remote path of a name in the trees."""
        return f"{self.path.rstrip('/')}/{relative}" if relative else self.path

    def same_by_listing(self, pair: Pair, compare: Compare) -> bool | None:
        """Tell whether the copy is right as far as listings say, None when bytes must be looked at."""
        assert pair.local is not None and pair.remote is not None  # noqa: S101, PT018 (both are there to be compared)
        ahead = self.context.clock_ahead
        return same_by_listing(pair.local, pair.remote, compare, uploaded=self.source == "local", clock_ahead=ahead)

    async def differs(self, pair: Pair) -> bool:
        """Tell whether the bytes of two files differ."""
        assert pair.remote is not None  # noqa: S101 (as above)
        return not (await checksums_of(self.context, self.root / pair.relative, pair.remote)).same

    def _names_here(self, relative: str) -> dict[str, bool]:
        place = self.root / relative
        if os.path.realpath(place) != os.path.join(os.path.realpath(self.root), relative).rstrip("/"):  # noqa: PTH118
            return {}  # through a link: what is there belongs to another place
        try:
            with os.scandir(place) as entries:
                return {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise explained(error, place, "list") from error

    def _names_there(self, relative: str) -> dict[str, bool]:
        try:
            return {info.name: info.is_dir for info in self.context.backend.list_dir(self.remote_path(relative))}
        except NotFoundError:
            return {}


@dataclass(frozen=True)
class Down(Direction):
    """From the storage to this machine. A copy gets the time of its source, so that clocks need not agree."""

    _places: LocalRoot = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", LocalRoot(self.root, self.path, holds=lambda _: True))

    @property
    def source(self) -> Side:
        """The remote side."""
        return "remote"

    @property
    def is_root(self) -> bool:
        """Whether the target is the root of this machine's file system."""
        return os.path.realpath(self.root) == os.path.realpath("/")

    def target_name(self, relative: str) -> str:
        """Return the local place."""
        return str(self.root / relative)

    def check_name(self, relative: str) -> None:
        """Make sure that nothing is written outside the target, or through a link to another place in it."""
        if relative:
            self._places.place_of(self.remote_path(relative))

    def make(self, relative: str) -> None:
        """Make a local folder, the top with its parents."""
        made_folder(self.root / relative)

    def copy(self, pair: Pair, *, unless_same: bool) -> Task[TransferResult | bool]:
        """Return the download of a file."""
        info = pair.remote
        assert info is not None  # noqa: S101 (it is the source)
        return self._download(pair, info, unless_same)

    async def _download(self, pair: Pair, info: FileInfo, unless_same: bool) -> TransferResult | bool:
        if unless_same and not await self.differs(pair):
            return False
        place = self._places.place_of(info.path)
        result = await download(self.context, info, place, progress=self.progress)
        if info.mtime is not None:
            _set_time(place, info.mtime)
        return result

    def remove(self, relative: str, *, is_dir: bool) -> None:
        """Remove a local file, link or empty folder."""
        place = self.root / relative
        try:
            with suppress(FileNotFoundError):
                place.rmdir() if is_dir else place.unlink()
        except OSError as error:
            raise explained(error, place, "remove") from error


@dataclass(frozen=True)
class Up(Direction):
    """From this machine to the storage."""

    @property
    def source(self) -> Side:
        """The local side."""
        return "local"

    @property
    def is_root(self) -> bool:
        """Whether the target is the root of the storage: what is right below it is never removed."""
        return self.path == "/"

    def target_name(self, relative: str) -> str:
        """Return the remote path."""
        return self.remote_path(relative)

    def check_name(self, relative: str) -> None:
        """Make sure that the name can be that of a remote file, and that the top is not below one."""
        if not relative:
            return self._check_above()
        fault = segment_fault(split(f"/{relative}")[1])
        if fault:
            place = self.root / relative
            raise StorageError(f"cannot upload {str(place)!r}: {fault}", path=place, remedy="rename it, or exclude it")
        return None

    def _check_above(self) -> None:
        folder = self.path
        while folder != "/":
            info = stat_or_none(self.context.backend, folder)
            if info is not None and not info.is_dir:
                raise NotADirError(f"{folder} is a file, so no folder can be made there", path=folder)
            if info is not None:
                return
            folder = split(folder)[0]

    def make(self, relative: str) -> None:
        """Make a remote folder, the top with its parents."""
        if not relative:
            return make_dirs(self.context.backend, self.path)
        with suppress(AlreadyExistsError):  # another process was faster
            self.context.backend.make_dir(self.remote_path(relative))
        return None

    def copy(self, pair: Pair, *, unless_same: bool) -> Task[TransferResult | bool]:
        """Return the upload of a file."""
        return self._upload(pair, unless_same)

    async def _upload(self, pair: Pair, unless_same: bool) -> TransferResult | bool:
        if unless_same and not await self.differs(pair):
            return False
        place = self.root / pair.relative
        return await upload(self.context, place, self.remote_path(pair.relative), progress=self.progress)

    def remove(self, relative: str, *, is_dir: bool) -> None:
        """Remove a remote file or empty folder."""
        with suppress(NotFoundError):
            self.context.backend.remove(self.remote_path(relative), is_file=not is_dir)


def _set_time(place: Path, mtime: float) -> None:
    """Give a copy the time of its source; on a file system that rounds times down (FAT, to 2 s), the next that it has.

    Where times cannot be set, the copy is newer than its source, too.
    """
    now = time.time()
    with suppress(OSError):
        os.utime(place, (now, mtime))
        if place.stat().st_mtime < math.floor(mtime):
            os.utime(place, (now, mtime + 2))

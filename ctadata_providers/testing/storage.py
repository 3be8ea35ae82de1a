"""The namespace of the fake data centre: real files below a folder, seen whole or as an upload under way."""

# Paths are text here: a Path for each entry would double the time of a listing.
# ruff: noqa: PTH102, PTH104, PTH105, PTH108, PTH112, PTH114, PTH116

import contextlib
import itertools
import os
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ctadata_providers import uri
from ctadata_providers.checksum import new_hasher
from ctadata_providers.errors import (
    AlreadyExistsError,
    IsADirError,
    NotADirError,
    NotFoundError,
    QuotaError,
    StorageError,
)
from ctadata_providers.testing.entries import NOTHING_KNOWN, Entry, Notes
from ctadata_providers.testing.scratch import ScratchFolder
from ctadata_providers.testing.upload import NO_WISHES, Upload, Wishes

# Uploads are collected beside the served files and moved into place: a rename needs one file system.
_INCOMING_PREFIX = ".fakecta-"
_BLOCK = 1 << 20
_SECOND = 1_000_000_000
_CLEARINGS, _CLEARING_PAUSE = 200, 0.01
# What was not uploaded here is read for its checksum at once only up to this size.
QUICK_SIZE = 64 << 20


class Storage:
    """The files of a fake data centre. Thread-safe.

    Args:
        root: The folder to serve; None for a temporary one that goes at `close`.
        quota: Bytes that uploads may fill, None for no limit.
        clock: Gives the time by which an upload that never comes is given up.
        wall_clock: Gives the time of day that files get.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        quota: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.quota = quota
        self._wall_clock = wall_clock
        self._clock = clock
        self._temporary = ScratchFolder("fakecta-") if root is None else None
        self.root = (self._temporary.path if self._temporary else root or Path()).resolve()
        if not self.root.is_dir():
            raise NotADirError(
                f"cannot serve {self.root}: there is no such folder", path=self.root, remedy="make it, or name another"
            )
        self._base = "" if self.root == Path("/") else str(self.root)
        self._incoming: ScratchFolder | None = None
        self._serial = itertools.count()
        self._lock = threading.RLock()
        self._last_mtime = 0
        # By `Entry.key`.
        self._notes: dict[tuple[int, int], Notes] = {}

    def close(self) -> None:
        """Remove what is temporary."""
        for folder in (self._incoming, self._temporary):
            if folder:
                folder.close()

    def renew_lock(self) -> None:
        """Forget who holds the lock: in a fork, it may be a thread that is not there."""
        self._lock = threading.RLock()

    def clear(self) -> None:
        """Remove every file and folder."""
        for _ in range(_CLEARINGS):  # a request that nobody waits for any more may still make something
            for entry in list(self.children("/")):
                with contextlib.suppress(OSError):
                    self.remove(entry.path)
            if next(iter(self.children("/")), None) is None:
                break
            time.sleep(_CLEARING_PAUSE)
        else:
            raise StorageError("the served folder does not become empty", remedy="wait for the requests that still run")
        self._notes.clear()
        self._last_mtime = 0  # the clock may have been ahead

    # Looking

    def file(self, path: str) -> Entry:
        """Return the file at a path.

        Raises:
            NotFoundError: When there is none.
            IsADirError: When it is a folder.
        """
        if (entry := self.stat(path)) is None:
            raise NotFoundError("no such file", path=path)
        if entry.is_dir:
            raise IsADirError("a folder, not a file", path=path)
        return entry

    def stat(self, path: str) -> Entry | None:
        """Return a file or folder, None if there is none."""
        if path.startswith("/" + _INCOMING_PREFIX):
            return None
        try:
            with self._lock:  # an upload that ends between two looks would seem to be an empty file
                return self._entry(path, os.stat(self._local(path)))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def children(self, path: str) -> Iterator[Entry]:
        """Yield the entries of a folder in an order that is fixed but means nothing; none of one closed or gone."""
        prefix = "/" if path == "/" else f"{path}/"
        try:
            with os.scandir(self._local(path)) as found:
                names = sorted(found, key=lambda item: zlib.crc32(os.fsencode(item.name)))
        except (PermissionError, FileNotFoundError, NotADirectoryError):
            return
        for item in names:
            # A file that went away meanwhile and a dangling link are not there.
            if not (path == "/" and item.name.startswith(_INCOMING_PREFIX)):
                with contextlib.suppress(OSError):
                    with self._lock:
                        entry = self._entry(prefix + item.name, item.stat())
                    yield entry

    def walk(self, path: str = "/") -> Iterator[Entry]:
        """Yield everything below a folder."""
        for entry in self.children(path):
            yield entry
            if entry.is_dir:
                yield from self.walk(entry.path)

    def missing_parents(self, path: str) -> list[str]:
        """Return the folders above a path that do not exist, the topmost first.

        Raises:
            NotADirError: When a file stands where a folder is needed.
        """
        missing = []
        parent = uri.split(path)[0]
        while (entry := self.stat(parent)) is None:
            missing.append(parent)
            parent = uri.split(parent)[0]
        if not entry.is_dir:
            raise NotADirError("a file stands where a folder is needed", path=parent)
        return missing[::-1]

    def free(self) -> int | None:
        """Return the bytes left of the quota, None without one."""
        if self.quota is None:
            return None
        return self.quota - sum(entry.size or 0 for entry in self.walk())

    # Reading

    def open(self, entry: Entry) -> int:
        """Return a file descriptor for reading one version of a file.

        Raises:
            NotFoundError: When the file was removed or replaced since.
        """
        try:
            descriptor = os.open(self._local(entry.path), os.O_RDONLY)
        except FileNotFoundError as error:
            raise NotFoundError("no such file", path=entry.path) from error
        status = os.fstat(descriptor)
        if (status.st_ino, status.st_mtime_ns) != entry.key:
            os.close(descriptor)
            raise NotFoundError("the file was replaced", path=entry.path)
        return descriptor

    def has_checksums(self, entry: Entry) -> bool:
        """Tell whether `checksums` answers at once."""
        return entry.size is None or bool(self.notes(entry).checksums)

    def quick_checksums(self, entry: Entry) -> Mapping[str, str]:
        """Return what `checksums` does, but none for a large file that would have to be read first, or one gone."""
        if (entry.size or 0) > QUICK_SIZE and not self.has_checksums(entry):
            return {}
        try:
            return self.checksums(entry)
        except (NotFoundError, PermissionError):
            return {}

    def checksums(self, entry: Entry) -> Mapping[str, str]:
        """Return the stored checksums (hexadecimal) of a file; adler32 is read from files not uploaded here."""
        if entry.size is None:
            return {}
        known = self.notes(entry).checksums
        if not known:
            hasher = new_hasher("adler32")
            descriptor = self.open(entry)
            with os.fdopen(descriptor, "rb") as file:
                while block := file.read(_BLOCK):
                    hasher.update(block)
            self.notes_to_change(entry).checksums = known = {"adler32": hasher.hexdigest()}
        return known

    def notes(self, entry: Entry) -> Notes:
        """Return what is known beside the bytes, not to be changed."""
        return self._notes.get(entry.key, NOTHING_KNOWN)

    def notes_to_change(self, entry: Entry) -> Notes:
        """Return what is known beside the bytes, to be changed."""
        return self._notes.setdefault(entry.key, Notes())

    @property
    def noted(self) -> int:
        """Of how many files and folders something is known."""
        return len(self._notes)

    # Changing

    def make_dirs(self, path: str) -> None:
        """Make a folder with those above it; what exists is fine.

        Raises:
            NotADirError: When a file stands where a folder is needed.
        """
        with self._lock:
            for folder in self.missing_parents(f"{path}/x"):
                # One that was made meanwhile over HTTP is fine too.
                with contextlib.suppress(FileExistsError):
                    self.make_dir(folder)

    def make_dir(self, path: str) -> None:
        """Make one folder whose parent exists."""
        os.mkdir(self._local(path))

    def move(self, source: str, target: str) -> None:
        """Rename a file or folder; the target must not exist."""
        if self.stat(target) is not None:
            raise AlreadyExistsError("the target exists", path=target)
        os.rename(self._local(source), self._local(target))

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with everything in it."""
        local = self._local(path)
        if os.path.isdir(local) and not os.path.islink(local):
            gone = [*self.walk(path), *filter(None, [self.stat(path)])]
            shutil.rmtree(local)
        else:
            gone = list(filter(None, [self.stat(path)]))
            os.unlink(local)
        for entry in gone:
            self.forget(entry)

    def create(self, path: str, *, patience: float) -> Entry:
        """Make the empty entry of an upload that is to come, with missing parents; an old file goes first.

        For `patience` seconds the entry counts as being uploaded; without a commit it then stays, empty.
        """
        with self._lock:
            self.make_dirs(uri.split(path)[0])
            # It comes into its place with all that is known of it: nobody may take it for an empty file.
            made = self._incoming_file()
            os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            self._stamp(made)
            status = os.stat(made)  # some file systems keep whole seconds only
            entry = Entry(path, is_dir=False, size=None, mtime_ns=status.st_mtime_ns, inode=status.st_ino)
            with contextlib.suppress(FileNotFoundError):
                self.remove(path)
            self.notes_to_change(entry).deadline = self._clock() + patience
            os.rename(made, self._local(path))
            return entry

    def upload(self, entry: Entry, wishes: Wishes = NO_WISHES) -> Upload:
        """Begin to receive the bytes of an entry; adler32 and the checksums that are wished for will be stored."""
        received = self._incoming_file()
        self.notes_to_change(entry).deadline = float("inf")
        return Upload(self, entry, received, wishes)

    def put(self, path: str, data: bytes) -> None:
        """Store a whole file at once, with missing parents: whoever looks sees it, or what was there before.

        Raises:
            IsADirError: When the path is a folder.
            QuotaError: When it does not fit.
        """
        received = self._incoming_file()
        hasher = new_hasher("adler32")
        hasher.update(data)
        try:
            Path(received).write_bytes(data)
            with self._lock:
                old = self.stat(path)
                if old and old.is_dir:
                    raise IsADirError("a folder stands where the file is meant", path=path)
                free = self.free()
                if free is not None and len(data) > free + ((old and old.size) or 0):
                    raise QuotaError("no space left", path=path)
                self.make_dirs(uri.split(path)[0])
                self._place(received, path, {"adler32": hasher.hexdigest()}, NO_WISHES)
                if old:
                    self.forget(old)
        finally:
            Path(received).unlink(missing_ok=True)

    def commit(self, entry: Entry, received: str, checksums: dict[str, str], wishes: Wishes) -> Entry:
        """Move received bytes to the place of their entry and return the file.

        Raises:
            NotFoundError: When the entry was removed or replaced during the upload.
        """
        with self._lock:
            placeholder = self.stat(entry.path)
            # Not the inode alone: that of an entry that went is given to the next one.
            if placeholder is None or placeholder.key != entry.key:
                raise NotFoundError("the file was removed during the upload", path=entry.path)
            return self._place(received, entry.path, checksums, wishes)

    def _place(self, received: str, path: str, checksums: dict[str, str], wishes: Wishes) -> Entry:
        """Let received bytes appear at a path, with all that is known of them."""
        self._stamp(received, wishes.mtime)
        stored = self._entry(path, os.stat(received))
        self._notes[stored.key] = Notes(checksums=checksums, xattrs=dict(wishes.xattrs), uploaded=time.monotonic())
        os.replace(received, self._local(path))
        return stored

    def _incoming_file(self) -> str:
        """Return the path of a new file in which something is made before it is seen."""
        with self._lock:
            self._incoming = self._incoming or ScratchFolder(_INCOMING_PREFIX, self.root)
        return f"{self._incoming.path}/{next(self._serial)}"

    def discard(self, entry: Entry) -> None:
        """Remove the empty entry of an upload that failed, unless something else stands there now."""
        self.forget(entry)
        found = self.stat(entry.path)
        if found and found.key == entry.key:
            self.remove(entry.path)

    def forget(self, entry: Entry) -> None:
        """End an upload: from now on its entry is an ordinary file."""
        self._notes.pop(entry.key, None)

    def _entry(self, path: str, status: os.stat_result) -> Entry:
        is_dir = (status.st_mode & 0o170000) == 0o040000
        size = None if is_dir or self._is_uploading((status.st_ino, status.st_mtime_ns)) else status.st_size
        return Entry(path, is_dir, size, status.st_mtime_ns, status.st_ino)

    def _is_uploading(self, key: tuple[int, int]) -> bool:
        notes = self._notes.get(key)
        return notes is not None and notes.deadline is not None and self._clock() < notes.deadline

    def _stamp(self, local: str, mtime: int | None = None) -> None:
        """Give a file a time of change that no other one has: file systems' own clocks tick too slowly for that.

        Args:
            local: The file.
            mtime: The whole second, since the epoch, None for now.
        """
        with self._lock:
            self._last_mtime = stamp = max(int(self._wall_clock() * _SECOND), self._last_mtime + 1)
        if mtime is not None:
            stamp = mtime * _SECOND + stamp % _SECOND
        os.utime(local, ns=(stamp, stamp))

    def _local(self, path: str) -> str:
        return self._base + path

"""What is known of remote folders, for some seconds."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ctadata_providers import CtaClient, FileInfo, NotADirError, NotFoundError, PermissionDeniedError, uri


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen of a name: its record or, when there was none, None; and when."""

    info: FileInfo | None
    at: float


@dataclass(slots=True)
class _Folder:
    """What was seen of a folder: names not in `seen` were absent when it was listed."""

    listed_at: float = float("-inf")
    seen: dict[str, _Seen] = field(default_factory=dict)
    may_list: bool = True


class Listing:
    """Answers what a path is from listings of its folder.

    Snakemake asks for existence, time and size of the same files in every scheduling round, in whatever order: here one
    request answers for a whole folder. Safe to use from several threads; no lock is held while a request runs.

    Args:
        client: Who is asked.
        present: Seconds for which a file that was there is taken to be there still.
        absent: Seconds for which a file that was not there is taken to be missing still; short, because Snakemake
            waits for files that other jobs write.
        clock: Gives seconds, never backwards.
    """

    def __init__(
        self,
        client: CtaClient,
        *,
        present: float = 10.0,
        absent: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._present = present
        self._absent = absent
        self._clock = clock
        self._lock = threading.Lock()
        self._folders: dict[str, _Folder] = {}

    def find(self, path: str) -> FileInfo | None:
        """Return what is known of a file or folder, None if it does not exist.

        Raises:
            CtaError: When the server had to be asked and did not answer; a missing parent is no error.
        """
        parent, name = uri.split(path)
        with self._lock:
            folder = self._folders.setdefault(parent, _Folder())
            seen = folder.seen.get(name) or _Seen(None, folder.listed_at)
        if self._clock() - seen.at < (self._absent if seen.info is None else self._present):
            return seen.info
        if folder.may_list:
            try:
                entries = self._list(parent)
            except PermissionDeniedError:
                folder.may_list = False
            else:
                if entries is None or entries:
                    return entries.get(name) if entries else None
        # A token may allow to read what it does not allow to list; dCache shows such a folder as empty.
        info = self.refresh(path)
        if info is not None:
            folder.may_list = False
        return info

    def entries(self, folder: str) -> Mapping[str, FileInfo]:
        """Return what stands in a folder by name, nothing if there is no such folder.

        Raises:
            PermissionDeniedError: When the folder may not be listed.
            CtaError: When the server had to be asked and did not answer.
        """
        with self._lock:
            known = self._folders.get(folder, _Folder())
            if self._clock() - known.listed_at < self._absent and known.may_list:
                return _present(known)
        if not known.may_list:
            raise PermissionDeniedError(f"{folder} may not be listed", path=folder)
        return self._list(folder) or {}

    def refresh(self, path: str) -> FileInfo | None:
        """Ask the server for one file or folder, which may just have been stored, and remember the answer.

        What was known of anything below it is forgotten.

        Raises:
            CtaError: When the server did not answer.
        """
        try:
            info = self._client.stat(path)
        except (NotFoundError, NotADirError):
            info = None
        self._remember(path, info)
        return info

    def forget(self, path: str) -> None:
        """Remember that a file, or a folder with all in it, was removed."""
        self._remember(path, None)

    def _remember(self, path: str, info: FileInfo | None) -> None:
        seen = _Seen(info, self._clock())
        with self._lock:
            for folder in [folder for folder in self._folders if folder == path or folder.startswith(f"{path}/")]:
                del self._folders[folder]
            parent, name = uri.split(path)
            self._folders.setdefault(parent, _Folder()).seen[name] = seen
            while info is not None and parent != "/":
                # What exists has existing parents: nothing may go on saying that they are missing.
                parent, name = uri.split(parent)
                known = self._folders.get(parent)
                if known is not None and (name not in known.seen or known.seen[name].info is None):
                    known.seen.pop(name, None)
                    known.listed_at = float("-inf")

    def _list(self, path: str) -> Mapping[str, FileInfo] | None:
        """Ask for the entries of a folder and remember them; None if there is no such folder."""
        at = self._clock()
        exists = True
        try:
            seen = {info.name: _Seen(info, at) for info in self._client.list_dir(path)}
        except (NotFoundError, NotADirError):
            seen, exists = {}, False
        with self._lock:
            folder = self._folders.setdefault(path, _Folder())
            # What this process stored or removed while the listing was under way is newer than the listing.
            seen |= {name: own for name, own in folder.seen.items() if own.at >= at}
            folder.seen, folder.listed_at = seen, at
            return _present(folder) if exists else None


def _present(folder: _Folder) -> Mapping[str, FileInfo]:
    return {name: seen.info for name, seen in folder.seen.items() if seen.info is not None}

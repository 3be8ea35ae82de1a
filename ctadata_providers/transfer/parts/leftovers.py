"""What transfers that were cut off have left beside a target: found without listing a folder for each file, adopted."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ctadata_providers.forks import NewAfterFork
from ctadata_providers.transfer.parts import owners, sidecar
from ctadata_providers.transfer.parts.owners import PartName
from ctadata_providers.transfer.parts.sidecar import Origin, Told

REMEMBERED_SECONDS = 20.0
REMEMBERED_FOLDERS = 64
QUIET_SECONDS = 600.0
"""A part of another machine that has not changed for so long is nobody's."""


class Leftovers(NewAfterFork):
    """Remembers for a short time which parts lie in a folder, so that one listing serves all files of a tree."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        super().__init__()

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._folders: OrderedDict[str, tuple[float, dict[str, set[str]]]] = OrderedDict()

    def beside(self, folder: str, stem: str) -> Sequence[PartName]:
        """Return the parts, or their sidecars, that were there with a stem, ours in use too."""
        known = self._folders.get(folder)
        if known is None or known[0] < self._clock():
            known = self._listed(folder)
        found = known[1].get(stem)
        return [PartName(stem, digits) for digits in found] if found else ()

    def forget(self, folder: str) -> None:
        """Look again the next time: something has been left there."""
        with self._lock:
            self._folders.pop(folder, None)

    def _listed(self, folder: str) -> tuple[float, dict[str, set[str]]]:
        found: dict[str, set[str]] = {}
        with suppress(OSError), os.scandir(folder) as entries:  # a folder that cannot be read is told by who writes
            for entry in entries:
                name = entry.name
                known = owners.parsed(name) if name.endswith(".ctapart") else None
                if known is not None:
                    found.setdefault(known.stem, set()).add(known.digits)
        listing = self._clock() + REMEMBERED_SECONDS, found
        with self._lock:
            self._folders[folder] = listing
            while len(self._folders) > REMEMBERED_FOLDERS:
                self._folders.popitem(last=False)
        return listing


@dataclass(frozen=True, slots=True)
class Adopted:
    """A part that has become ours.

    Attributes:
        name: Its name, a new one of ours.
        fd: The open file.
        told: What its sidecar tells.
        ranges: What is there, in order.
    """

    name: PartName
    fd: int
    told: Told
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: PartName
    told: Told
    ranges: tuple[tuple[int, int], ...]
    length: int

    @property
    def size(self) -> int:
        return sum(stop - start for start, stop in self.ranges)


def adopt(folder: Path, names: Sequence[PartName], origin: Origin) -> Adopted | None:
    """Take over the part with the most bytes of those that nobody writes any more; remove the others of them.

    Two processes may try at the same time: a rename decides who wins.

    Args:
        folder: Where they are.
        names: Those beside the target.
        origin: The file that is wanted, as it is now.
    """
    candidates: list[_Candidate] = []
    for name in names:
        standing = _standing(folder, name)
        if standing == "in use":
            continue
        candidate = _candidate(folder, name, origin, trusted=standing == "given up")
        if candidate is None:
            remove(folder, name)
        else:
            candidates.append(candidate)
    adopted = None
    for candidate in sorted(candidates, key=lambda found: found.size, reverse=True):
        if adopted is None:
            adopted = _taken(folder, candidate)
        else:
            remove(folder, candidate.name)
    return adopted


def sweep(folder: Path, names: Sequence[PartName]) -> None:
    """Remove those that nobody writes any more."""
    for name in names:
        if _standing(folder, name) != "in use":
            remove(folder, name)


def was_kept(local: Path) -> bool:
    """Tell whether a download to a file was cut off and has left what the next one goes on with."""
    place = Path(os.path.realpath(local))
    with suppress(OSError), os.scandir(place.parent) as entries:
        found = (owners.parsed(entry.name) for entry in entries if entry.name.endswith(".json.ctapart"))
        return any(part is not None and part.stem.rpartition(".")[0] == f".{place.name}" for part in found)
    return False


def _standing(folder: Path, name: PartName) -> owners.Standing:
    """Return whether a part is in use; of another machine's it is unknown when it has not changed for long."""
    standing = name.standing
    if standing != "unknown":
        return standing
    if name.has_ended:
        return "unknown"  # its bytes count as far as they are safe
    try:
        changed = max(_changed(folder / name.part), _changed(folder / name.sidecar))
        if changed == float("-inf"):
            return "given up"
        return "unknown" if _clock_of(folder, name.stem) - changed >= QUIET_SECONDS else "in use"
    except OSError:
        return "in use"


def _changed(place: Path) -> float:
    try:
        return place.lstat().st_mtime
    except FileNotFoundError:
        return float("-inf")


def _clock_of(folder: Path, stem: str) -> float:
    """Return the time of a file system, which need not be ours: that of a file made now."""
    place = folder / owners.new_name(stem).part
    fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        return os.fstat(fd).st_mtime
    finally:
        os.close(fd)
        place.unlink()


def _candidate(folder: Path, name: PartName, origin: Origin, *, trusted: bool) -> _Candidate | None:
    """Return a part that can be gone on with.

    Where the owner's machine may have lost what was not yet on its disk, the bytes count only when they were made safe,
    or a checksum will tell.
    """
    told = sidecar.read(folder / name.sidecar)
    if told is None or not told.origin.is_of(origin):
        return None
    if not (trusted or told.synced or origin.checksums):
        return None
    try:
        found = (folder / name.part).lstat()
    except OSError:
        return None
    ranges = tuple(told.written(min(found.st_size, origin.size or 0)))
    return _Candidate(name, told, ranges, found.st_size) if sidecar.is_own(found) and ranges else None


def _taken(folder: Path, candidate: _Candidate) -> Adopted | None:
    """Make a part ours, None when another process was faster.

    The new sidecar is there before the part has its new name, the old one until after: what is killed in between leaves
    a part that can still be gone on with.
    """
    name = owners.new_name(candidate.name.stem)
    name.claim()
    in_one = candidate.ranges == ((0, candidate.length),)
    told = replace(candidate.told, synced=False, rows=None if in_one else candidate.ranges)
    fd = -1
    try:
        sidecar.Sidecar(folder / name.sidecar, told).close()
        (folder / candidate.name.part).rename(folder / name.part)
        fd = os.open(folder / name.part, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        name.give_up()
        remove(folder, name)
        return None
    with suppress(OSError):
        (folder / candidate.name.sidecar).unlink()
    return Adopted(name, fd, told, candidate.ranges)


def remove(folder: Path, name: PartName) -> None:
    """Remove a part, then its sidecar: another process may have adopted it meanwhile, then nothing is there."""
    for place in (folder / name.part, folder / name.sidecar):
        with suppress(OSError):
            place.unlink()

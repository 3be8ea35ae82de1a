"""Remote temporary names, remembered until they are gone: what a killed upload left is removed by the next one.

One small file for each that is under way, in `$XDG_STATE_HOME/ctadata-providers/uploads/`. It holds no secret.
"""

import atexit
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ctadata_providers.config import folders
from ctadata_providers.forks import NewAfterFork
from ctadata_providers.transfer.names import is_part
from ctadata_providers.transfer.parts import owners

logger = logging.getLogger(__name__)
NOTE_BYTES = 1024
"""Length to which a note is filled up, so that a shorter one leaves nothing of a longer one."""
FOREIGN_SECONDS = 24 * 3600.0
"""After so long an upload of another machine, or of this one before its boot, is taken to have ended."""
INDEX_SECONDS = 2.0
READ_FOR = 10
"""For so many times of what it took to read the notes nobody reads them again."""
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def state_folder() -> Path:
    """Return where the names are remembered."""
    return folders.state_folder() / "uploads"


@dataclass(frozen=True, slots=True)
class Remembered:
    """A temporary name on a server.

    Attributes:
        path: The remote path of the temporary name.
        note: The file that remembers it, None when it could not be written.
        turn: Which use of that file this is, 0 for one of an upload that has ended.
    """

    path: str
    note: Path | None
    turn: int = 0

    def end(self) -> None:
        """Say that its upload has ended: if the name is still remembered, the next one may remove it."""
        if self.note is not None:
            _slots.leave(self.note, self.turn)

    def forget(self) -> None:
        """Forget the name: it is gone."""
        if self.note is not None:
            _slots.forget(self.note, self.turn)


class _Turn(NamedTuple):
    """What a note is used for by one upload."""

    number: int
    fd: int
    size: int


class _Slots(NewAfterFork):
    """The notes of this process: one that has served is written over by the next upload while others are under way.

    So a tree of small files costs one write a file, and not the making and removing of a note; thread-safe.
    """

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._turns = 0
        self._busy: dict[Path, _Turn] = {}
        self._free: dict[Path, int] = {}

    def __contains__(self, note: Path) -> bool:
        with self._lock:  # else it could be between the two
            return self._knows(note)

    def take(self, text: bytes) -> tuple[Path, int]:
        """Return a note that says something, and the turn in which it is ours."""
        with self._lock:
            note, fd = self._free.popitem() if self._free else self._made()
            self._turns += 1
            self._busy[note] = turn = _Turn(self._turns, fd, len(text))
        try:
            # One write, as long as the note is: who reads it meanwhile sees the old text or the new one.
            os.pwrite(fd, text, 0)
        except OSError:
            self._drop(note, turn.number)
            raise
        return note, turn.number

    def leave(self, note: Path, number: int) -> None:
        """Leave a note to who comes later, unless it serves another turn by now."""
        with self._lock:
            turn = self._ended(note, number)
        if turn is not None:
            os.close(turn.fd)
            _index.forget()  # what a note says changes without its folder
            self._clear()

    def forget(self, note: Path, number: int) -> None:
        """Free a note, or remove one that nobody here writes."""
        with self._lock:
            turn = self._ended(note, number)
            reusable = turn is not None and _freed(turn)
            if turn is not None and reusable:
                self._free[note] = turn.fd
            gone = not reusable and not self._knows(note)
        if turn is not None and not reusable:
            os.close(turn.fd)
        if gone:
            with suppress(OSError):
                note.unlink()
        self._clear()

    def _drop(self, note: Path, number: int) -> None:
        """Remove a note that could not be written."""
        with self._lock:
            turn = self._ended(note, number)
        with suppress(OSError):
            note.unlink()
        if turn is not None:
            os.close(turn.fd)

    def _knows(self, note: Path) -> bool:
        return note in self._busy or note in self._free

    def _ended(self, note: Path, number: int) -> "_Turn | None":
        """Return a turn that ends now, None when it has ended before."""
        turn = self._busy.get(note)
        return self._busy.pop(note) if turn is not None and turn.number == number else None

    def _clear(self) -> None:
        """Remove the free notes when nothing is under way."""
        if not self._busy:
            self.clear()

    def clear(self) -> None:
        """Remove the free notes."""
        with self._lock:
            free, self._free = self._free, {}
        for note, fd in free.items():
            os.close(fd)
            with suppress(OSError):
                note.unlink()

    def _made(self) -> tuple[Path, int]:
        folder = state_folder()
        name = f"{owners.this_owner()}.{os.urandom(8).hex()}.json"
        try:
            folders.check_own(folder.parent, folder)
            return folder / name, os.open(folder / name, _CREATE, 0o600)
        except FileNotFoundError:
            folders.make_own(folder.parent, folder)
            return folder / name, os.open(folder / name, _CREATE, 0o600)


def _filled(**record: object) -> bytes:
    return json.dumps(record).encode().ljust(NOTE_BYTES)


@cache
def _free_note(owner: str) -> bytes:
    return _filled(owner=owner)


def _freed(turn: _Turn) -> bool:
    """Have a note say nothing; tell whether it then serves another upload."""
    try:
        return turn.size == os.pwrite(turn.fd, _free_note(owners.this_owner()), 0) == NOTE_BYTES
    except OSError:
        return False


_slots = _Slots()
atexit.register(_slots.clear)


def remember(door: str, target: str, temporary: str) -> Remembered:
    """Remember that a temporary name is about to be made for a target; a read-only home only costs the memory."""
    note = _filled(door=door, target=target, path=temporary, owner=owners.this_owner())
    try:
        return Remembered(temporary, *_slots.take(note))
    except OSError as error:
        logger.debug("cannot remember the temporary name %s: %s", temporary, error)
        return Remembered(temporary, None)


def abandoned(door: str, target: str) -> list[Remembered]:
    """Return the temporary names of a target whose upload has certainly ended."""
    notes = _index.notes(door, target)
    return [Remembered(note.path, note.file) for note in notes if note.file not in _slots and note.has_ended]


@dataclass(frozen=True, slots=True)
class _Read:
    """When, and from where, the notes were read, and what they say by door and target."""

    home: tuple[str | None, ...]
    folder: Path
    changed: int
    begun: float
    ended: float
    found: dict[tuple[str, str], list["_Note"]]

    def holds(self) -> bool:
        """Tell whether it need not be read again.

        Other processes change the folder all the time, and each upload asks; to read takes a tenth of the time at most.
        """
        age, took = time.monotonic() - self.ended, self.ended - self.begun
        if self.home != _home() or age > max(INDEX_SECONDS, READ_FOR * took):
            return False
        return age < READ_FOR * took or self.changed == _changed(self.folder)


def _read_all() -> _Read:
    home, folder, begun = _home(), state_folder(), time.monotonic()
    changed = _changed(folder)
    found: dict[tuple[str, str], list[_Note]] = {}
    try:
        for note in _notes():
            found.setdefault((note.door, note.target), []).append(note)
    except OSError as error:  # a home that cannot be read only costs what it would tell
        logger.debug("cannot look for temporary names in %s: %s", folder, error)
    return _Read(home, folder, changed, begun, time.monotonic(), found)


def _home() -> tuple[str | None, ...]:
    return os.environ.get("XDG_STATE_HOME"), os.environ.get("HOME")


def _changed(folder: Path) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116 (for each of many uploads)
    except OSError:
        return 0


class _Index(NewAfterFork):
    """The notes of all processes by what they are about, read again when some have come or gone; thread-safe."""

    def _begin_anew(self) -> None:
        self._read: _Read | None = None
        self._changes = 0
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Read the notes again the next time, also those that another thread is just reading."""
        with self._lock:
            self._changes += 1
            self._read = None

    def notes(self, door: str, target: str) -> Sequence["_Note"]:
        """Return the notes about a target at a door."""
        read = self._read
        if read is None or not read.holds():
            changes, read = self._changes, _read_all()
            with self._lock:
                self._read = read if changes == self._changes else None
        return read.found.get((door, target), ())


_index = _Index()


def noted(door: str) -> list[Remembered]:
    """Return all temporary names at a door.

    Raises:
        OSError: When the notes cannot be looked for.
    """
    return [Remembered(note.path, note.file) for note in _notes() if note.door == door]


def under_way() -> list[str]:
    """Return the temporary names, at whatever door, that a process of this host may still be uploading.

    Raises:
        OSError: When the notes cannot be looked for.
    """
    return [note.path for note in _notes() if note.has_ended is False]


@dataclass(frozen=True, slots=True)
class _Note:
    """What a note says."""

    file: Path
    door: str
    target: str
    path: str
    owner: str

    @property
    def has_ended(self) -> bool | None:
        """Whether the process that wrote it is no longer uploading; None of one on another machine, for a day."""
        return _has_ended(self.owner, self.file)


def _notes() -> Iterator[_Note]:
    for file in _files():
        try:
            fields = json.loads(file.read_text(encoding="utf-8"))
            owner = str(fields["owner"])
            if not owners.is_owner(owner):
                continue
            if "path" not in fields and _has_ended(owner, file):
                file.unlink()  # it was free when its process was killed
            elif any(map(is_part, fields["path"].split("/"))):
                yield _Note(file, str(fields["door"]), str(fields["target"]), str(fields["path"]), owner)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            _remove_torn(file)


def _files() -> list[Path]:
    folder = state_folder()
    try:
        folders.check_own(folder.parent, folder)  # another user's notes would have us remove what they name
        names = os.listdir(folder)  # noqa: PTH208 (pathlib passes over errors, or not, by its version)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(names) if name.endswith(".json")]


def _remove_torn(file: Path) -> None:
    """Remove a note whose process was killed before it had written it; another may be written or removed just now."""
    owner = file.name.partition(".")[0]
    if owners.is_owner(owner) and _has_ended(owner, file):
        with suppress(OSError):
            file.unlink()


def _has_ended(owner: str, note: Path) -> bool | None:
    """Tell whether the process that wrote a note is no longer uploading; None of one on another machine, for a day."""
    if owner == owners.this_owner():
        return note not in _slots
    ended = owners.has_ended(owner)
    if ended is None:
        with suppress(OSError):  # who wrote it has just forgotten it
            ended = time.time() - note.stat().st_mtime > FOREIGN_SECONDS or None
    return ended

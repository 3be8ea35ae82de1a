"""Remote temporary names, remembered until they are gone: what a killed upload left is removed by the next one.

One small file for each, in `$XDG_STATE_HOME/ctadata-providers/uploads/`. It holds no secret.
"""

import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ctadata_providers.config import folders
from ctadata_providers.transfer.names import address_hash, is_part

logger = logging.getLogger(__name__)
_under_way: set[Path] = set()


def state_folder() -> Path:
    """Return where the names are remembered."""
    return folders.state_folder() / "uploads"


@dataclass(frozen=True, slots=True)
class Remembered:
    """A temporary name on a server.

    Attributes:
        path: The remote path of the temporary name.
        note: The file that remembers it, None when it could not be written.
    """

    path: str
    note: Path | None

    def end(self) -> None:
        """Say that its upload has ended: if the name is still remembered, the next one may remove it."""
        if self.note is not None:
            _under_way.discard(self.note)

    def forget(self) -> None:
        """Forget the name: it is gone."""
        if self.note is not None:
            _under_way.discard(self.note)
            with suppress(OSError):
                self.note.unlink()


def remember(door: str, target: str, temporary: str) -> Remembered:
    """Remember that a temporary name is about to be made for a target; a read-only home only costs the memory."""
    note = state_folder() / f"{address_hash(door + target)}.{address_hash(temporary)}.json"
    text = json.dumps(
        {"door": door, "target": target, "path": temporary, "host": socket.gethostname(), "pid": os.getpid()}
    )
    _under_way.add(note)  # before it can be seen: another thread must not take it for abandoned
    try:
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        note.write_text(text, encoding="utf-8")
    except OSError as error:
        logger.debug("cannot remember the temporary name %s: %s", temporary, error)
        _under_way.discard(note)
        return Remembered(temporary, None)
    return Remembered(temporary, note)


def abandoned(door: str, target: str) -> list[Remembered]:
    """Return the temporary names of a target whose upload has certainly ended."""
    notes = _notes(f"{address_hash(door + target)}.*.json", door)
    return [Remembered(note.path, note.file) for note in notes if note.target == target and note.has_ended]


def noted(door: str) -> list[Remembered]:
    """Return all temporary names at a door."""
    return [Remembered(note.path, note.file) for note in _notes("*.json", door)]


def under_way() -> list[str]:
    """Return the temporary names, at whatever door, that a process of this host may still be uploading."""
    return [note.path for note in _notes("*.json") if note.is_ours and not note.has_ended]


@dataclass(frozen=True, slots=True)
class _Note:
    """What a note says."""

    file: Path
    target: str
    path: str
    is_ours: bool
    has_ended: bool


def _notes(pattern: str, door: str | None = None) -> Iterator[_Note]:
    for file in sorted(state_folder().glob(pattern)):
        try:
            fields = json.loads(file.read_text(encoding="utf-8"))
            if door in (None, fields["door"]) and any(map(is_part, fields["path"].split("/"))):
                ours = fields["host"] == socket.gethostname()
                ended = ours and not _uploads(int(fields["pid"]), file)
                yield _Note(file, str(fields["target"]), str(fields["path"]), is_ours=ours, has_ended=ended)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            continue  # being written or removed by another process, or no note


def _uploads(pid: int, note: Path) -> bool:
    """Tell whether the process that wrote a note may still be uploading."""
    if pid == os.getpid():
        return note in _under_way
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

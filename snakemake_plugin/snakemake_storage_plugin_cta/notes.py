"""Notes of what was stored from which local copy: Slurm's jobs store each output twice, from two processes.

A note lies below the local prefix, which both processes share. It says what the local copy was like when it was stored,
and what the server then told.
"""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctadata_providers import FileInfo

FOLDER = ".stored"
_SLACK = 0.01
"""Seconds by which a time may differ that went through a float and a file system."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """A local copy: what changes when its content does."""

    inode: int
    size: int
    mtime: float

    @classmethod
    def of(cls, local: Path) -> "_Copy":
        found = local.stat()
        return cls(found.st_ino, found.st_size, found.st_mtime)

    def is_same(self, other: "_Copy", stored: FileInfo) -> bool:
        """Tell whether another one has the same bytes; Snakemake gives a copy the time of what was stored."""
        times = (self.mtime, stored.mtime or 0.0)
        return (self.inode, self.size) == (other.inode, other.size) and any(
            abs(other.mtime - time) < _SLACK for time in times
        )


class Notes:
    """The notes below a local prefix.

    Args:
        prefix: The folder of the local copies.
    """

    def __init__(self, prefix: Path) -> None:
        self._folder = prefix / FOLDER

    def write(self, local: Path, stored: FileInfo) -> None:
        """Note that a local file is stored; without a note it is stored again, so what fails is no error."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._path(local)
            part = path.with_suffix(f".{os.getpid()}")
            told = {**asdict(stored), "checksums": dict(stored.checksums)}
            part.write_text(json.dumps({"local": asdict(_Copy.of(local)), "stored": told}), encoding="utf-8")
            part.replace(path)

    def stored(self, local: Path, path: str) -> FileInfo | None:
        """Return what the server told when this very content was stored at a path, None if that is not known."""
        try:
            note: dict[str, Any] = json.loads(self._path(local).read_text(encoding="utf-8"))
            stored, copy = FileInfo(**note["stored"]), _Copy(**note["local"])
            same = stored.path == path and copy.is_same(_Copy.of(local), stored)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return stored if same else None

    def forget(self, local: Path) -> None:
        """Remove the note of a local file."""
        with suppress(OSError):
            self._path(local).unlink()
        with suppress(OSError):  # others have notes there
            self._folder.rmdir()

    def _path(self, local: Path) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(local)).hexdigest()[:32]}.json"

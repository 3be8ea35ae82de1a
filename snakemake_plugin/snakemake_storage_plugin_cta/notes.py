"""Notes of what was stored from which local copy: Slurm's jobs store each output twice, from two processes.

A note lies below the local prefix, which both processes share. It says which bytes were stored, by their
checksum, and what the server then told.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ctadata_providers import CtaError, FileInfo
from ctadata_providers.checksum import new_hasher

FOLDER = ".stored"
_BLOCK = 1 << 20


class Notes:
    """The notes below a local prefix.

    Args:
        prefix: The folder of the local copies.
    """

    def __init__(self, prefix: Path) -> None:
        self._folder = prefix / FOLDER

    def write(self, local: Path, sent: Mapping[str, str], stored: FileInfo) -> None:
        """Note that a local file is stored, with checksums of what was sent; without a note it is stored again."""
        if not sent:
            return
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._path(local)
            part = path.with_suffix(f".{os.getpid()}")
            told = {**asdict(stored), "checksums": dict(stored.checksums)}
            part.write_text(json.dumps({"sent": dict(sent), "stored": told}), encoding="utf-8")
            part.replace(path)

    def exists(self, local: Path) -> bool:
        """Tell whether there is a note of a local file."""
        return self._path(local).exists()

    def stored(self, local: Path, path: str) -> FileInfo | None:
        """Return what the server told when these very bytes were stored at a path, None if that is not known.

        The time of the local file says nothing: Snakemake touches outputs after their jobs.
        """
        try:
            note: dict[str, Any] = json.loads(self._path(local).read_text(encoding="utf-8"))
            stored, (algorithm, sent) = FileInfo(**note["stored"]), next(iter(note["sent"].items()))
            same = stored.path == path and local.stat().st_size == stored.size and _computed(local, algorithm) == sent
        except (OSError, ValueError, TypeError, KeyError, StopIteration, CtaError):
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


def _computed(local: Path, algorithm: str) -> str:
    hasher = new_hasher(algorithm)
    with local.open("rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return hasher.hexdigest()

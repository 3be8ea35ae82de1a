"""Temporary folders that only the process that made them removes."""

import os
import shutil
import tempfile
import weakref
from pathlib import Path


class ScratchFolder:
    """A temporary folder, which goes at `close`, or at the end of the process. A fork of that leaves it alone.

    Args:
        prefix: The begin of its name.
        parent: Where it is made; None for the usual place.
    """

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self._finalizer = weakref.finalize(self, _remove, str(self.path), os.getpid())

    def close(self) -> None:
        """Remove it with everything in it; a second call does nothing."""
        self._finalizer()


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)

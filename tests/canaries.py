"""Look for secrets in all that a program leaves behind, and in the command lines of all processes while it runs."""

import base64
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Self

_JWT = re.compile(rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}")
_TELLING = 24
"""So many characters at the end of a secret tell it; it may have been cut at the front, or wrapped."""
_PAUSE = 0.1


class Canaries:
    """Secrets, in every spelling in which they might be written, and whatever looks like a signed token.

    Args:
        secrets: What must not be found.
    """

    def __init__(self, *secrets: str) -> None:
        if any(len(secret) < 12 for secret in secrets):
            raise ValueError("a secret that is so short is found everywhere")
        ends = [secret.encode()[-_TELLING:] for secret in secrets]
        self._spellings = {spelling for end in ends for spelling in (end, end.hex().encode(), *_base64(end))}

    def in_bytes(self, data: bytes) -> bool:
        """Tell whether a secret is in some bytes."""
        return _JWT.search(data) is not None or any(spelling in data for spelling in self._spellings)

    def in_text(self, *texts: str) -> bool:
        """Tell whether a secret is in one of some texts."""
        return any(self.in_bytes(text.encode(errors="surrogateescape")) for text in texts)

    def below(self, *folders: Path) -> list[Path]:
        """Return the files with a secret, in name or content, below some folders; links are not followed."""
        return [path for folder in folders for path in sorted(folder.rglob("*")) if self._in_file(path)]

    def _in_file(self, path: Path) -> bool:
        if self.in_text(str(path)):
            return True
        return path.is_file() and not path.is_symlink() and self.in_bytes(path.read_bytes())


def _base64(data: bytes) -> Iterable[bytes]:
    """Return what some bytes look like inside a longer text in base64, as behind `Basic`, for each place of theirs."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data)
        # The characters at both ends also tell of the neighbours.
        yield whole[4 if before else 0 : len(whole) // 4 * 4 - 4]


class CommandLines:
    """Notes the command lines of processes in a `with` block.

    Args:
        mark: A text in the environment of the processes that are meant, and of no others of this machine.

    Attributes:
        seen: All of them, arguments separated by NUL.
    """

    def __init__(self, mark: str) -> None:
        self.seen: set[bytes] = set()
        self._mark = mark.encode()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="command lines", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()

    def with_word(self, *words: str) -> list[bytes]:
        """Return those in which all of some words stand."""
        return [line for line in self.seen if all(word.encode() in line for word in words)]

    def _watch(self) -> None:
        while not self._end.wait(_PAUSE):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if self._mark in (process / "environ").read_bytes():
                        self.seen.add((process / "cmdline").read_bytes())
                except OSError:  # it has ended meanwhile, or is somebody else's
                    continue

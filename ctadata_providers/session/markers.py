"""What the processes of a user tell each other about a credential at a server, in small files without a secret.

They lie in `$XDG_STATE_HOME/ctadata-providers/admission/`: an empty lock file for each server, and for each credential
there a file of one letter, whose name is a hash and whose time is that of the answer. Where nothing can be written, or
the folder is another user's, the processes go each their own way.
"""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from ctadata_providers.config.folders import check_own, make_own, state_folder

Word = Literal["good", "refused", "refused again"]
"""What a server's answer was; `again` says that the credential had replaced a refused one."""

FORGOTTEN_AFTER = 120.0
"""Seconds after which a word, which holds for 20, is removed: who gets a token a second keeps a hundred files."""
POLL_SECONDS = 0.02
_LETTERS: dict[Word, bytes] = {"good": b"g", "refused": b"r", "refused again": b"a"}
_WORDS: dict[bytes, Word] = {letter: word for word, letter in _LETTERS.items()}


def admission_folder() -> Path:
    """Return where the files lie."""
    return state_folder() / "admission"


class Marker:
    """What is known of one credential at one server; an error of the file system is the same as knowing nothing.

    Args:
        folder: Where the files lie.
        server: Hash of the server.
        credential: Hash of server and credential.
    """

    def __init__(self, folder: Path, server: str, credential: str) -> None:
        self._folder = folder
        self._folders = folder.parent, folder
        self._file = folder / credential
        self._lock_file = folder / f"{server}.lock"
        self._lock: int | None = None

    def read(self) -> tuple[Word, float] | None:
        """Return the last word and the epoch seconds when it was said, None when there is none."""
        try:
            check_own(*self._folders)
            descriptor = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            letter, said_at = os.pread(descriptor, 1, 0), os.fstat(descriptor).st_mtime
        except OSError:
            return None
        finally:
            os.close(descriptor)
        word = _WORDS.get(letter)
        return None if word is None else (word, said_at)

    def write(self, word: Word) -> float | None:
        """Say a word to the others; return the epoch seconds that they will see, None when nothing can be written."""
        try:
            if self._file.exists():
                check_own(*self._folders)
            else:
                make_own(*self._folders)
                self._forget_old()
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            os.pwrite(descriptor, _LETTERS[word], 0)  # one byte over another: never torn
            return os.fstat(descriptor).st_mtime
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def lock(self) -> bool:
        """Take the lock of the server if it is free; tell whether another process has it.

        The lock is the kernel's (flock), which ends with the process; `filelock` would be the same, but it takes 57 ms
        to import, in each process that says a single thing to a door.
        """
        try:
            if self._lock is None:
                make_own(*self._folders)
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                self._lock = os.open(self._lock_file, flags, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            self.unlock()
        return True

    def unlock(self) -> None:
        """Give the lock back, or no longer wait for it."""
        descriptor, self._lock = self._lock, None
        if descriptor is not None:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # a forked child may hold the same descriptor
            os.close(descriptor)

    def _forget_old(self) -> None:
        """Remove what was said long ago; locks stay, for who waits for one that is gone would not see the next."""
        before = time.time() - FORGOTTEN_AFTER
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                if not entry.name.endswith(".lock") and entry.stat(follow_symlinks=False).st_mtime < before:
                    with suppress(OSError):
                        Path(entry.path).unlink()

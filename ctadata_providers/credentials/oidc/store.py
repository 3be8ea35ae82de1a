"""Where a login is kept: one small file for all processes of a user, and a lock beside it.

The file is replaced as a whole and readable by its owner alone; whoever is killed leaves the old or the new one. The
lock file is never unlinked: a waiting process would else lock a file that has no name any more.
"""

import errno
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_type_hints
from urllib.parse import urlsplit

from ctadata_providers.config import Config
from ctadata_providers.config.folders import ForeignFolderError, make_own, state_folder
from ctadata_providers.credentials.discreet import discreet
from ctadata_providers.credentials.safe_files import ForeignFileError, read_private
from ctadata_providers.errors import CredentialError

if TYPE_CHECKING:
    from filelock import BaseFileLock

LONGEST_FILE = 512 * 1024
RESERVED = 64 * 1024
"""Bytes set aside on the disk before the provider is asked: a new refresh token that cannot be written is lost."""
ORPHANED = 3600.0
"""Age in seconds at which a new file that nobody has finished is removed."""
LOCK_POLL = 0.02
_NO_FLOCK = frozenset({errno.ENOSYS, errno.ENOTSUP})
VERSION = 1


def account_of(config: Config) -> str:
    """Return the name of the session of some settings: the door's host, and a hash of what it is for.

    The same for every profile with this issuer, client and door (a connection of Airflow is one): who has logged in for
    one of them has done so for all. Settings without issuer and client have a name as well.
    """
    what = "\n".join((config.issuer or "", config.client_id or "", origin_of(config.door_url)))
    host = re.sub(r"[^A-Za-z0-9.-]", "_", urlsplit(config.door_url).hostname or "")[:60].strip(".")
    return f"{host}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def origin_of(url: str) -> str:
    """Return scheme, host and port of a door, which may leave the usual port out."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or {'https': 443, 'http': 80}.get(parts.scheme, 0)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A login as it is kept; its secrets are in no representation and no pickle.

    Attributes:
        issuer: Who gave it, as in `Config`.
        client_id: To whom.
        door_url: The door that its tokens are for.
        access_token: What goes to the door.
        refresh_token: What goes to the issuer for the next one; None when it gave none.
        client_secret: That of the client, if it was typed in at the login.
        obtained_at: When the access token was asked for, epoch seconds by our clock.
        expires_at: When it ends by our clock; None when nobody told.
        scope: The scope that was given, None when the issuer did not tell.
        refused: Whether the issuer has refused the refresh token for good.
        failure: Why the last refresh failed, None when it did not.
        failures: How often in a row.
        retry_at: When the issuer may be asked again, epoch seconds.
    """

    issuer: str
    client_id: str
    door_url: str
    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)
    obtained_at: float
    expires_at: float | None = None
    scope: str | None = None
    refused: bool = False
    failure: str | None = None
    failures: int = 0
    retry_at: float = 0.0

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a session is not pickled: the other process reads its own")

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Make a session of the content of a file.

        Raises:
            ValueError: When it is not one that was kept here.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or data.pop("version", None) != VERSION:
            raise ValueError("not a session of this version")
        kinds = get_type_hints(cls)
        known = {spec.name: data[spec.name] for spec in fields(cls) if spec.name in data}
        wrong = [name for name, value in known.items() if not _fits(value, kinds[name])]
        missing = {"issuer", "client_id", "door_url", "access_token", "obtained_at"} - known.keys()
        if wrong or missing:
            raise ValueError(f"unusable: {', '.join(sorted([*wrong, *missing]))}")
        return cls(**known)

    def to_json(self) -> bytes:
        """Return the content of its file."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=1).encode()


def _fits(value: object, kind: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if kind is not int else value
    return isinstance(value, kind)


class Store:
    """The file of one account, and its lock.

    Args:
        account: Its name, which is that of the file.
        folder: Where it is; default `state_folder()`.
    """

    def __init__(self, account: str, folder: Path | None = None) -> None:
        self.account = account
        self.folder = folder or state_folder()
        self.path = self.folder / f"{account}.json"
        self.soft_lock = self.path.with_suffix(".softlock")

    def exists(self) -> bool:
        """Tell whether there is a session, usable or not."""
        return os.path.lexists(self.path)

    def read(self) -> StoredSession | None:
        """Return what is kept, None when there is no session.

        Raises:
            CredentialError: When the file cannot be read, is open to others, or is not one that was kept here.
        """
        try:
            return StoredSession.from_json(read_private(self.path, limit=LONGEST_FILE))
        except FileNotFoundError:
            return None
        except ForeignFileError as error:
            raise CredentialError(
                error.message,
                path=self.path,
                remedy="give it back to its owner, or set XDG_STATE_HOME to a folder of your own",
            ) from None
        except (ValueError, OverflowError, RecursionError):
            # The error's own text would show a piece of the file.
            raise CredentialError(
                f"the session in {self.path} cannot be understood",
                path=self.path,
                remedy="remove that file and log in again: ctadata login",
            ) from None
        except OSError as error:
            raise CredentialError(
                f"cannot read the session in {self.path}: {error.strerror}",
                path=self.path,
                remedy="check the permissions of file and folder",
            ) from error

    @contextmanager
    def lock(self, *, patience: float, given_up: Callable[[], bool] | None = None) -> Iterator[bool]:
        """Hold the lock of this account over all processes; give whether it is held.

        Args:
            patience: Seconds to wait for it; 0 tries once.
            given_up: Asked while waiting; true ends the wait.

        Raises:
            CredentialError: When the folder cannot be used.
        """
        self._make_folder()
        lock = self._acquired(patience, given_up)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    def _acquired(self, patience: float, given_up: Callable[[], bool] | None) -> "BaseFileLock | None":
        """Return a held lock, None when somebody else holds it; one from before a fork could not be used.

        Where the file system has no flock (Lustre mounted `noflock`) a lock that lives by its existence stands in.
        """
        from filelock import FileLock, StrictSoftFileLock, Timeout

        native = FileLock(self.path.with_suffix(".lock"), mode=0o600, fallback_to_soft=False, preserve_lock_file=True)
        try:
            for lock in (native, StrictSoftFileLock(self.soft_lock, mode=0o600)):
                try:
                    lock.acquire(patience, LOCK_POLL, blocking=patience > 0, cancel_check=given_up)
                except OSError as error:
                    if lock is not native or error.errno not in _NO_FLOCK:
                        raise
                else:
                    return lock
        except Timeout:
            return None
        except OSError as error:
            raise self._unusable(error) from error
        return None

    @contextmanager
    def reserve(self) -> Iterator[Callable[[StoredSession], None]]:
        """Make a new file beside the old, with room on the disk, and give what puts a session in its place.

        To be called with the lock held. Without a session the old file stays.

        Raises:
            CredentialError: When the file cannot be made or replaced: nothing was changed then.
        """
        self._make_folder()
        try:
            self._remove_orphans(older_than=ORPHANED)
            number, name = tempfile.mkstemp(prefix=f".{self.account}.", suffix=".new", dir=self.folder)
        except OSError as error:
            raise self._unusable(error) from error
        new = Path(name)
        try:
            try:
                os.posix_fallocate(number, 0, RESERVED)
            except OSError as error:
                raise self._unusable(error) from error
            yield lambda session: self._replace(number, new, session)
        finally:
            os.close(number)
            with suppress(FileNotFoundError):
                new.unlink()

    def save(self, session: StoredSession) -> None:
        """Keep a session in place of the old one; to be called with the lock held.

        Raises:
            CredentialError: When the folder cannot be written to: the old one stays.
        """
        with self.reserve() as replace:
            replace(session)

    def remove(self) -> bool:
        """Forget the session and what killed processes left of it; tell whether there was one.

        To be called with the lock held.

        Raises:
            CredentialError: When the folder cannot be written to.
        """
        try:
            self._remove_orphans(older_than=-inf)
            self.path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._unusable(error) from error
        return True

    @discreet
    def _replace(self, number: int, new: Path, session: StoredSession) -> None:
        content = session.to_json()
        try:
            written = os.pwrite(number, content, 0)
            if written != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(new))
            os.ftruncate(number, len(content))
            os.fsync(number)
            new.replace(self.path)
            _sync_folder(self.folder)
        except OSError as error:
            raise self._unusable(error) from error

    def _make_folder(self) -> None:
        try:
            make_own(self.folder)
        except ForeignFolderError as error:
            raise CredentialError(
                f"the folder {self.folder} belongs to somebody else: no session is kept there",
                path=self.folder,
                remedy="set XDG_STATE_HOME to a folder of your own",
            ) from error
        except OSError as error:
            raise self._unusable(error) from error

    def _remove_orphans(self, older_than: float) -> None:
        for path in self.folder.glob(f".{self.account}.*.new"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > older_than:
                    path.unlink()

    def _unusable(self, error: OSError) -> CredentialError:
        return CredentialError(
            f"cannot keep the session in {self.folder}: {error.strerror or error}",
            path=self.folder,
            remedy="make room and check its permissions, or set XDG_STATE_HOME to a folder that can be written to",
        )


def _sync_folder(folder: Path) -> None:
    """Make sure that a renamed file is found under its new name after a power cut, where the file system can."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            os.fsync(number)
    finally:
        os.close(number)

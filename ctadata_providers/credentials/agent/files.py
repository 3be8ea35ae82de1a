"""What an agent has on disk: a lock held as long as it lives, what it tells of itself, its log.

All in `$XDG_STATE_HOME/ctadata-providers`. A home may be shared by several machines, so names tell the machine.
"""

import errno
import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ctadata_providers.config import Config
from ctadata_providers.config.folders import check_own, make_own, state_folder
from ctadata_providers.credentials.oidc.sessions import account_of
from ctadata_providers.credentials.safe_files import write_private
from ctadata_providers.errors import ConfigError
from ctadata_providers.processes import start_of

_PATIENCE, _POLL_SECONDS = 2.0, 0.02
_NUMBER_BYTES = 32


@dataclass(frozen=True, slots=True)
class AgentFiles:
    """The files of an agent on this machine.

    Attributes:
        account: Whose tokens it keeps fresh.
    """

    account: str

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return the files of the agent for these settings: one for each account, wherever its tokens come from."""
        if config.issuer and config.client_id:
            return cls(account_of(config))
        door = hashlib.sha256(config.door_url.encode()).hexdigest()[:12]
        return cls("".join(c if c.isalnum() else "_" for c in config.profile) + f"-{door}")

    @property
    def lock(self) -> Path:
        """The file that is locked as long as the agent lives; it holds the number and the start of its process."""
        return state_folder() / f"{_prefix(self.account)}{_suffix()}.lock"

    @property
    def state(self) -> Path:
        """The file in which it tells how it does."""
        return self.lock.with_suffix(".json")

    @property
    def log(self) -> Path:
        """The log."""
        return state_folder() / f"{_prefix(self.account)}.log"

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Tell how the agent does.

        Raises:
            OSError: When it cannot be written.
        """
        write_private(self.state, json.dumps(state).encode())

    def read_state(self) -> dict[str, Any]:
        """Return what the agent has told last; empty when it has told nothing."""
        try:
            told = json.loads(self.state.read_bytes())
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}


def agents_here() -> Iterator[AgentFiles]:
    """Find all agents that there are or were on this machine; none where the folder of their files cannot be read."""
    ending = f"{_suffix()}.lock"
    try:
        check_own(state_folder())
        names = os.listdir(state_folder())  # noqa: PTH208 (pathlib passes over errors, or not, by its version)
    except OSError:
        names = []
    for name in sorted(names):
        if name.startswith(_prefix("")) and name.endswith(ending):
            yield AgentFiles(name.removeprefix(_prefix("")).removesuffix(ending))


def _prefix(account: str) -> str:
    return f"agent-{account}"


def _suffix() -> str:
    return f"@{socket.gethostname()}"


class Lock:
    """A lock that this process holds until it ends.

    Attributes:
        path: Its file.
    """

    def __init__(self, path: Path, number: int) -> None:
        self.path = path
        self._number = number

    def is_ours(self) -> bool:
        """Tell whether the file is still the one that we have locked: without it others see no agent.

        A home that cannot be looked at, because a ticket has ended or its server is away, comes back.
        """
        try:
            return os.fstat(self._number).st_ino == self.path.stat().st_ino
        except FileNotFoundError:
            return False
        except OSError as error:
            return error.errno != errno.ESTALE


@contextmanager
def held(
    path: Path, *, clock: Callable[[], float] = time.monotonic, wait: Callable[[float], None] = time.sleep
) -> Iterator[Lock]:
    """Hold the lock of an agent, with the number of our process inside.

    Raises:
        ConfigError: When another process holds it, or the file system has no locks.
        OSError: When the file cannot be made, or its folder is another user's.
    """
    make_own(path.parent)
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        deadline = clock() + _PATIENCE
        while not _locked(number, path):
            if clock() > deadline:
                raise ConfigError("an agent of this account runs already", remedy="see 'ctadata agent status'")
            wait(_POLL_SECONDS)  # whoever asks for the status holds it for a moment
        _write_number(number, path)
        yield Lock(path, number)
        os.ftruncate(number, 0)
    finally:
        os.close(number)


def _write_number(number: int, path: Path) -> None:
    try:
        os.ftruncate(number, 0)
        os.pwrite(number, f"{os.getpid()} {start_of(os.getpid()) or ''}".encode(), 0)
    except OSError as error:  # a full disk is told with the name of what lies on it
        raise OSError(error.errno, error.strerror, str(path)) from error


def _locked(number: int, path: Path) -> bool:
    """Take the lock if nobody holds it."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # ENOLCK, ENOSYS, EOPNOTSUPP: Lustre without flock, NFS without lockd
        raise ConfigError(
            f"the file system of {path.parent} has no locks ({error.strerror})",
            path=path,
            remedy="set XDG_STATE_HOME to a folder on a local disk",
        ) from error
    return True


def lock_holder(path: Path) -> int | None:
    """Return the process that holds the lock of an agent, None when nobody does."""
    try:
        check_own(path.parent)
        number = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        for _ in range(round(_PATIENCE / _POLL_SECONDS)):
            try:
                fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                with suppress(ValueError, IndexError):
                    return int(os.pread(number, _NUMBER_BYTES, 0).split()[0])
                time.sleep(_POLL_SECONDS)  # between its lock and its number, or about to end
            else:
                return None
    except OSError:
        pass  # where there are no locks, nobody holds one
    finally:
        os.close(number)
    return None


def is_seen_here(path: Path, pid: int) -> bool:
    """Tell whether the process of that number here is the one that holds the lock of an agent.

    That of another container with this home is not: its number may be another's here. Where no start is told, as
    elsewhere than on Linux, the number counts.
    """
    try:
        told, _, start = path.read_bytes()[:_NUMBER_BYTES].decode("ascii").partition(" ")
    except (OSError, ValueError):
        return False
    return told == str(pid) and start in ("", start_of(pid))

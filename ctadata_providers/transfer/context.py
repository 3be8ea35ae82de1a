"""What a transfer works with, and what it tells afterwards."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ctadata_providers.backends import Backend, BriefBackend, BriefOperations, ClockBackend, FileInfo, open_backend
from ctadata_providers.config import ChecksumMode, Config
from ctadata_providers.errors import CtaError, TransientError
from ctadata_providers.forks import NewAfterFork
from ctadata_providers.retry import RetryPolicy, log_retry
from ctadata_providers.session.loop import curl_loop
from ctadata_providers.session.tasks import wait
from ctadata_providers.transfer.background import Background
from ctadata_providers.transfer.parts.leftovers import Leftovers
from ctadata_providers.transfer.turns import Turns

Progress = Callable[[int], Any]
"""Called with the bytes that have just passed; negative when a retry starts again."""

OnError = Literal["stop", "continue"]
"""What an error of one file means for the others of a tree."""

_SHORTEST = 1e-6
CLEANING_TIMEOUT = 10.0
"""Seconds that cleaning up after a failure may wait for an answer."""

RENEWED_FROM = 1024 * 1024
"""Bytes that an attempt must bring for the count of attempts to begin anew; so it ends, whatever a server does."""
VERIFY_FROM = 1024 * 1024
"""Bytes from which `auto` spends a request of its own on a checksum."""


class Places(NewAfterFork):
    """Counts connections, so that one file takes several only while others leave them free."""

    def _begin_anew(self) -> None:
        self.used = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Say that there is one more."""
        with self._lock:
            self.used += 1

    def leave(self) -> None:
        """Say that there is one less."""
        with self._lock:
            self.used -= 1


@dataclass(frozen=True, slots=True)
class Context:
    """What all transfers of a client share.

    Attributes:
        backend: Where the remote files are.
        policy: When to try again.
        checksum: How much the verification may cost.
        door: What tells this storage from another, for the names of parts.
        cleaner: The same place, asked once and briefly, to clean up after a failure: the server may be gone.
        max_parallel: Transfers at once.
        allow_http_pools: Whether bytes may come unencrypted, so that a checksum may be required.
        brief: The short way for small files, None without one.
        on_event: Told what happens to each transfer.
        on_retry: Told why a transfer is tried again, and after how many seconds.
        streams: Connections for one large file, None for as many as help.
        places: Counts the connections that carry downloads.
        leftovers: What was cut off before.
        turns: Who of those that are begun one by one runs now.
        background: What of those that were stopped goes on.
    """

    backend: Backend
    policy: RetryPolicy
    checksum: ChecksumMode
    door: str
    cleaner: Backend
    max_parallel: int
    allow_http_pools: bool = False
    brief: BriefOperations | None = None
    on_event: Callable[[Any], object] | None = None
    on_retry: Callable[[CtaError, float], object] | None = None
    streams: int | None = None
    places: Places = field(default_factory=Places, compare=False)
    leftovers: Leftovers = field(default_factory=Leftovers, compare=False)
    turns: Turns = field(default_factory=Turns, compare=False)
    background: Background = field(default_factory=Background, compare=False)

    @classmethod
    def of(cls, backend: Backend, config: Config) -> "Context":
        """Return the context of a backend under some settings."""
        hasty = config.with_settings(retries=0, timeout=min(config.timeout, CLEANING_TIMEOUT))
        return cls(
            backend=backend,
            cleaner=backend if config.backend == "memory" else open_backend(hasty),
            policy=RetryPolicy(retries=config.retries),
            checksum=config.checksum,
            door=_door(config),
            max_parallel=config.max_parallel,
            allow_http_pools=config.allow_http_pools,
            on_event=config.on_event,
            brief=backend.brief if isinstance(backend, BriefBackend) else None,
            # Where the user sets the rate, more connections bring no more.
            streams=1 if config.streams is None and config.limit_rate is not None else config.streams,
        )

    @property
    def clock_ahead(self) -> float:
        """Seconds that the server's clock is ahead of ours; zero where that is not known."""
        backend = self.backend
        return (backend.clock_ahead() or 0.0) if isinstance(backend, ClockBackend) else 0.0


def _door(config: Config) -> str:
    """Return what tells the storage of some settings from another."""
    if config.backend == "downloadservice":
        return config.service_url or ""
    return config.door_url + config.base_path if config.backend == "webdav" else config.backend


class Attempts:
    """Counts the retries of one transfer and waits between them."""

    def __init__(self, context: Context) -> None:
        self._policy = context.policy
        self._on_retry = context.on_retry
        self._in_a_row = 0
        self.retries = 0
        self.started = time.monotonic()

    async def again(self, error: TransientError) -> None:
        """Wait before the next attempt.

        Raises:
            TransientError: The given one, when there are no more.
        """
        delay = self._policy.delay(self._in_a_row, error)
        if delay is None:
            raise error
        self._in_a_row += 1
        self.retries += 1
        log_retry(error, self.retries, delay)
        if self._on_retry is not None:
            self._on_retry(error, delay)
        await wait(curl_loop().sleep(delay))

    def renew(self) -> None:
        """Say that the last attempt has brought the transfer on: the count of those in a row begins anew."""
        self._in_a_row = 0

    @property
    def seconds(self) -> float:
        """Seconds since the transfer began."""
        return time.monotonic() - self.started


@dataclass(slots=True)  # a frozen one takes four times as long to make, and many are made
class TransferResult:
    """A file that has been transferred and verified.

    Attributes:
        path: Remote path.
        local: Local file.
        size: Bytes.
        checksums: Computed on the bytes that passed, hexadecimal by algorithm.
        seconds: Wall time.
        retries: Attempts after the first.
        streams: Most connections that carried it at once.
        resumed: Bytes that were there from a run before.
        stored: What the server told of an uploaded file when it was verified; None where that was told more briefly.
    """

    path: str
    local: Path
    size: int
    checksums: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    retries: int = 0
    streams: int = 1
    resumed: int = 0
    stored: FileInfo | None = None

    @property
    def rate(self) -> float:
        """Bytes a second, those that were there from a run before not counted."""
        return (self.size - self.resumed) / max(self.seconds, _SHORTEST)


Way = Literal["server", "pull", "push", "client"]
"""How a copy was made: inside the server, fetched by the target's, sent by the source's, or through this machine."""


@dataclass(frozen=True, slots=True)
class CopyResult:
    """A file that has been copied from one remote place to another, and verified.

    Attributes:
        path: Remote path of the copy.
        source: Remote path of what was copied.
        size: Bytes.
        way: How it was made.
        checksums: What both sides tell, hexadecimal by algorithm; where it went through this machine, computed here.
        seconds: Wall time.
        retries: Attempts after the first.
        resumed: Bytes that were there from a run before, of a copy through this machine.
    """

    path: str
    source: str
    size: int
    way: Way
    checksums: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    retries: int = 0
    resumed: int = 0

    @property
    def rate(self) -> float:
        """Bytes a second, those that were there from a run before not counted."""
        return (self.size - self.resumed) / max(self.seconds, _SHORTEST)


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be done in a tree.

    Attributes:
        path: Remote path of the file, or of the folder that could not be listed or made.
        error: Why, without the frames that it came through.
    """

    path: str
    error: CtaError

    @classmethod
    def of(cls, path: str, error: CtaError) -> Self:
        """Return the failure of an error, freed of what it would keep alive."""
        error.__traceback__ = error.__cause__ = error.__context__ = None
        return cls(path, error)


@dataclass(frozen=True, slots=True)
class TreeResult:
    """A tree that has been transferred and verified, but for its failures.

    Attributes:
        files: Number of files.
        size: Bytes of all files.
        seconds: Wall time.
        retries: Attempts after the first, over all files.
        failures: What could not be done, by path; only where errors do not stop the rest.
        resumed: Bytes that were there from a run before, over all files.
    """

    files: int
    size: int
    seconds: float
    retries: int
    failures: tuple[Failure, ...] = ()
    resumed: int = 0

    @property
    def rate(self) -> float:
        """Bytes a second, those that were there from a run before not counted."""
        return (self.size - self.resumed) / max(self.seconds, _SHORTEST)

"""Is a copy that of its source?"""

import math
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from ctadata_providers.backends import ChecksumBackend, FileInfo
from ctadata_providers.checksum import common_algorithm, new_hasher
from ctadata_providers.errors import ConfigError
from ctadata_providers.session.tasks import asked, wait
from ctadata_providers.transfer.context import Context
from ctadata_providers.transfer.download import refuse_unreadable
from ctadata_providers.transfer.local import explained
from ctadata_providers.transfer.parts.hashing import stoppable
from ctadata_providers.transfer.trees.walking import LocalEntry
from ctadata_providers.transfer.verify import DEFAULT_ALGORITHM, read_checksum

Compare = Literal["auto", "checksum", "mtime", "size"]
"""How a copy is compared with its source; see `CtaClient.sync`."""

CHUNK = 1024 * 1024
CLOCK_TOLERANCE = 2.0
"""Seconds by which a server's clock, told to the second, may seem to be off when it is not."""


def checked_compare(compare: str, *allowed: str) -> None:
    """Refuse a way of comparing that does not exist.

    Raises:
        ConfigError: Naming those that do.
    """
    allowed = allowed or get_args(Compare)
    if compare not in allowed:
        raise ConfigError(f"compare cannot be {compare!r}", remedy=f"set it to one of {', '.join(allowed)}")


def same_by_listing(
    entry: LocalEntry, info: FileInfo, compare: Compare, *, uploaded: bool, clock_ahead: float = 0.0
) -> bool | None:
    """Tell from two listings whether a copy is that of its source, None when bytes must be looked at.

    Args:
        entry: The local file.
        info: The remote file.
        compare: How; `auto` is by checksum where the listing tells one, else by time.
        uploaded: Whether the remote file is the copy.
        clock_ahead: Seconds by which the server's clock is ahead of ours.
    """
    if entry.size is None or entry.size != info.size:
        return False
    if entry.size == 0 or compare == "size":
        return True
    if compare == "mtime" or (compare == "auto" and not common_algorithm(info.checksums)):
        return _is_current(entry.mtime, info.mtime, uploaded=uploaded, clock_ahead=clock_ahead)
    return None


def _is_current(here: float | None, there: float | None, *, uploaded: bool, clock_ahead: float) -> bool:
    """Tell whether a copy is not older than its source, to the second, as servers tell times."""
    if here is None or there is None:
        return False
    if uploaded:
        # The source has its time from our clock, the copy from the server's.
        skew = clock_ahead - CLOCK_TOLERANCE if abs(clock_ahead) > CLOCK_TOLERANCE else 0.0
        return there >= math.floor(here + skew)
    return here >= math.floor(there)


@dataclass(frozen=True, slots=True)
class Checksums:
    """The checksums of a local and a remote file.

    Attributes:
        algorithm: Of both.
        here: Hexadecimal, of the local file.
        there: Hexadecimal, of the remote file.
    """

    algorithm: str
    here: str
    there: str

    @property
    def same(self) -> bool:
        """Whether they agree."""
        return self.here == self.there


async def checksums_of(context: Context, local: Path, info: FileInfo) -> Checksums:
    """Return the checksums of two files; the remote one from the listing, else from the server, else by reading it.

    Raises:
        CtaError: When either cannot be read.
    """
    backend = context.backend
    known = info.checksums
    if not common_algorithm(known) and isinstance(backend, ChecksumBackend):
        known = await wait(asked(partial(backend.checksum, info.path, DEFAULT_ALGORITHM)))
    offered = common_algorithm(known)
    if not offered:
        refuse_unreadable(info, act="read")
    algorithm = offered or DEFAULT_ALGORITHM
    here = await wait(stoppable(partial(_digest, local, algorithm)))
    there = known[offered] if offered else await read_checksum(context, info.path, algorithm)
    return Checksums(algorithm, here, there)


def _digest(local: Path, algorithm: str, stopped: Callable[[], bool]) -> str:
    """Read a local file, until that is stopped."""
    hasher = new_hasher(algorithm)
    try:
        with local.open("rb", buffering=0) as file:
            while data := file.read(CHUNK):
                if stopped():
                    raise CancelledError
                hasher.update(data)
    except OSError as error:
        raise explained(error, local, "read") from error
    return hasher.hexdigest()

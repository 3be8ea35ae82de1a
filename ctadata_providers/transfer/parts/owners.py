"""Whose part is it? The name tells, so that a rename hands it over in one step.

`.<name>.<hash of the remote address>.<32 digits>.ctapart`: the digits stand for the machine (as this boot and this
container know it), the process, its start, and a number. What a sidecar is to a part, its name is to that of the part.
"""

import hashlib
import os
import re
import socket
from contextlib import suppress
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Literal, NamedTuple

from ctadata_providers.errors import ConfigError
from ctadata_providers.processes import start_of
from ctadata_providers.transfer.names import MAX_NAME_BYTES, address_hash

Standing = Literal["in use", "given up", "unknown"]
"""Of an owner on another machine nothing is known."""

_NAME = re.compile(r"(\..*\.[0-9a-f]{8})\.([0-9a-f]{32})(\.json)?\.ctapart", re.DOTALL)
_TAIL_BYTES = len(".12345678") + len(".") + 32 + len(".json.ctapart")
_NO_START = "00000000"
_numbers = count(int.from_bytes(os.urandom(4)))
_in_use: set[str] = set()
"""The digits of the parts that this process is writing."""
_ended: set[str] = set()
"""The digits of processes that are known to have ended, on whichever machine."""
_OWNER_DIGITS = 24
_OWNER = re.compile(f"[0-9a-f]{{{_OWNER_DIGITS}}}")


class PartName(NamedTuple):
    """The name of a part.

    Attributes:
        stem: What all parts of one target and one remote address share.
        digits: What tells this one from the others, and whose it is.
    """

    stem: str
    digits: str

    @property
    def part(self) -> str:
        """The name of the part itself."""
        return f"{self.stem}.{self.digits}.ctapart"

    @property
    def sidecar(self) -> str:
        """The name of the file beside it that tells of it."""
        return f"{self.stem}.{self.digits}.json.ctapart"

    @property
    def standing(self) -> Standing:
        """Whether whoever made it may still be writing it."""
        owner = self.digits[:_OWNER_DIGITS]
        ended = has_ended(owner)
        if ended is False and owner == this_owner():
            ended = self.digits not in _in_use
        return "unknown" if ended is None else "given up" if ended else "in use"

    @property
    def has_ended(self) -> bool:
        """Whether somebody who knows has said that the process that made it has ended."""
        return self.digits[:_OWNER_DIGITS] in _ended

    def claim(self) -> None:
        """Say that this process writes it."""
        _in_use.add(self.digits)

    def give_up(self) -> None:
        """Say that this process no longer writes it."""
        _in_use.discard(self.digits)


def stem(name: str, address: str) -> str:
    """Return what the names of all parts of a target begin with.

    Args:
        name: The name of the target.
        address: The remote address.
    """
    room = MAX_NAME_BYTES - 1 - _TAIL_BYTES
    if len(name) <= room and name.isascii():
        return f".{name}.{address_hash(address)}"
    raw = os.fsencode(name)  # a local name need not be UTF-8
    head = name if len(raw) <= room else raw[:room].decode(errors="ignore")
    return f".{head}.{address_hash(address)}"


def new_name(stem: str) -> PartName:
    """Return a new name of ours."""
    return PartName(stem, f"{_own(os.getpid())}{next(_numbers) & 0xFFFFFFFF:08x}")


def parsed(name: str) -> PartName | None:
    """Return what the name of a part or of a sidecar tells, None for another name.

    >>> parsed(".events.fits.1a2b3c4d.00112233445566778899aabbccddeeff.json.ctapart").stem
    '.events.fits.1a2b3c4d'
    >>> parsed("events.fits")
    """
    found = _NAME.fullmatch(name)
    return PartName(found[1], found[2]) if found else None


def this_owner() -> str:
    """Return what tells the parts of this process from those of all others, on all machines."""
    return _own(os.getpid())


def is_owner(text: str) -> bool:
    """Tell whether a text may be what `this_owner` has given, here or elsewhere."""
    return _OWNER.fullmatch(text) is not None


def declare_ended(owner: str) -> None:
    """Say that a process has ended, so that its parts may be gone on with; our own never has.

    Raises:
        ConfigError: When it is not what `this_owner` has given.
    """
    if not is_owner(owner):
        raise ConfigError(f"{owner!r} is no owner of parts", remedy="give what the other process was told as its owner")
    if owner != this_owner():
        _ended.add(owner)


def has_ended(owner: str) -> bool | None:
    """Tell whether a process that was told as an owner has ended, None of one on another machine."""
    host, pid, start = owner[:8], int(owner[8:16], 16), owner[16:24]
    return None if host != _host() else owner != this_owner() and not _runs(pid, start)


def own_start() -> str:
    """Return the digits that tell this process from others that have had its number."""
    return _own(os.getpid())[16:24]


@lru_cache(maxsize=1)
def _own(pid: int) -> str:
    """Return the digits of this process."""
    return f"{_host()}{pid & 0xFFFFFFFF:08x}{start_of(pid) or _NO_START}"


@lru_cache(maxsize=1)
def _host() -> str:
    """Return eight digits for this machine since its boot: another container has other processes."""
    told = [socket.gethostname()]
    with suppress(OSError):
        told.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        told.append(str(os.stat("/proc/self/ns/pid").st_ino))  # noqa: PTH116 (no file)
    return hashlib.sha256("\n".join(told).encode(errors="surrogateescape")).hexdigest()[:8]


def _runs(pid: int, start: str) -> bool:
    """Tell whether a process of this machine still runs; its number may be another's by now."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    now = start_of(pid)
    return now is None or now == start or (start == _NO_START and now != "")


def _forget_parts() -> None:
    _in_use.clear()  # they are our parent's
    _own.cache_clear()


os.register_at_fork(after_in_child=_forget_parts)

"""Names of what is not whole yet, local and remote: `.<name>.<hash>.<uuid>.ctapart`."""

import os
import re
import zlib

MAX_NAME_BYTES = 255
_PART = re.compile(r"\..*\.ctapart", re.DOTALL)


def part_name(name: str, address: str) -> str:
    """Return a new hidden name for a part of a file, at most 255 bytes long.

    Args:
        name: The name that it will have when whole.
        address: The remote address, which the hash in the name stands for.
    """
    tail = f".{address_hash(address)}.{os.urandom(16).hex()}.ctapart"
    room = MAX_NAME_BYTES - 1 - len(tail)
    raw = os.fsencode(name)  # a local name need not be UTF-8
    head = name if len(raw) <= room else raw[:room].decode(errors="ignore")
    return f".{head}{tail}"


def is_part(name: str) -> bool:
    """Tell whether a name is one of those that listings hide.

    >>> is_part(".events.fits.1a2b3c4d.0123456789abcdef.ctapart"), is_part("events.fits")
    (True, False)
    """
    return _PART.fullmatch(name) is not None


def address_hash(address: str) -> str:
    """Return eight hexadecimal digits that stand for an address."""
    return f"{zlib.crc32(address.encode(errors='surrogateescape')):08x}"

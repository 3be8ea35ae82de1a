"""What stands beside a part: which file it is of, and which of its bytes are there.

One line of JSON, then, once bytes come in several streams, one short line for each row of bytes that has been written.
A row is told after its bytes are in the file, so that what is killed at any moment claims nothing that is not there.
Where the first line says that there are no rows, what is there is as long as the part.
"""

import json
import os
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from ctadata_providers.backends import FileInfo
from ctadata_providers.transfer.parts.owners import own_start

ROW_BYTES = 64
"""A row never crosses a page of memory, at whose border a kill may tear a write."""
MAX_BYTES = 1 << 20
_VERSION = 1
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Origin:
    """Which file a part is of, as a listing told, and who writes it.

    Attributes:
        address: The remote address.
        size: Bytes.
        etag: Entity tag, if any.
        modified: Time of the last change, as the server wrote it.
        checksums: Hexadecimal checksums by algorithm.
    """

    address: str
    size: int | None
    etag: str | None = None
    modified: str | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, address: str, info: FileInfo) -> Self:
        """Return what a listing told."""
        return cls(address, info.size, info.etag, info.modified, dict(info.checksums))

    def is_of(self, now: "Origin") -> bool:
        """Tell whether the file is certainly the same as now: by its tag, else a checksum, else its time."""
        if (self.address, self.size) != (now.address, now.size):
            return False
        if self.etag and now.etag:
            return self.etag == now.etag
        common = self.checksums.keys() & now.checksums.keys()
        if common:
            return all(self.checksums[name] == now.checksums[name] for name in common)
        return self.modified is not None and self.modified == now.modified


@dataclass(frozen=True, slots=True)
class Told:
    """What a sidecar tells.

    Attributes:
        origin: Which file it is of.
        etag: Entity tag of the answer that the bytes came with, which need not be that of the listing.
        encrypted: Whether all bytes came over https.
        synced: Whether they are on the disk for certain, whatever happens to the machine.
        rows: First byte and end of what is there; None for as much as the part is long.
    """

    origin: Origin
    etag: str | None = None
    encrypted: bool = True
    synced: bool = False
    rows: tuple[tuple[int, int], ...] | None = None

    def written(self, length: int) -> list[tuple[int, int]]:
        """Return what is there of a part of some length: ranges in order, none empty, none touching another."""
        found: list[tuple[int, int]] = []
        for start, stop in sorted(self.rows if self.rows is not None else ((0, length),)):
            stop = min(stop, length)
            if found and start <= found[-1][1]:
                found[-1] = (found[-1][0], max(stop, found[-1][1]))
            elif start < stop:
                found.append((start, stop))
        return found


class Sidecar:
    """A sidecar that is being written.

    Args:
        place: Where.
        told: What it tells; one that was there is replaced.
    """

    def __init__(self, place: Path, told: Told) -> None:
        self._place = place
        try:
            self._fd = os.open(place, _CREATE, 0o600)
        except FileExistsError:  # never written into: it may be another user's, or have another name
            place.unlink()
            self._fd = os.open(place, _CREATE, 0o600)
        try:
            self.tell(told)
        except OSError:
            self.remove()  # nobody would
            raise

    def tell(self, told: Told) -> None:
        """Write it anew."""
        fields = asdict(told) | {"rows": told.rows is not None}  # else one that is cut off here would tell of no gaps
        fields |= {"version": _VERSION, "host": socket.gethostname(), "pid": os.getpid(), "start": own_start()}
        head = json.dumps(fields).encode()
        head += b" " * (-(len(head) + 1) % ROW_BYTES) + b"\n"
        self._rows_at = len(head)
        os.ftruncate(self._fd, 0)
        self._write(head, 0)
        for number, row in enumerate(told.rows or ()):
            self.tell_row(number, *row)

    def tell_row(self, number: int, start: int, stop: int) -> None:
        """Say that bytes are there."""
        row = f"{start:020d} {stop:020d}".encode().ljust(ROW_BYTES - 1) + b"\n"
        self._write(row, self._rows_at + number * ROW_BYTES)

    def _write(self, data: bytes, offset: int) -> None:
        while data:  # a disk that fills up takes some of it first
            written = os.pwrite(self._fd, data, offset)
            data, offset = data[written:], offset + written

    def close(self) -> None:
        """Close the file, which stays."""
        descriptor, self._fd = self._fd, -1
        if descriptor >= 0:
            os.close(descriptor)

    def remove(self) -> None:
        """Close and remove it."""
        self.close()
        with suppress(OSError):
            os.unlink(self._place)  # noqa: PTH108 (in the loop's thread)


def read(place: Path) -> Told | None:
    """Return what a sidecar tells, None when there is none of ours that can be understood."""
    try:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)  # it may be a pipe
        try:
            if not is_own(os.fstat(fd)):
                return None
            text = os.read(fd, MAX_BYTES)
        finally:
            os.close(fd)
        head, _, rest = text.partition(b"\n")
        return _told(json.loads(head), rest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def is_own(found: os.stat_result) -> bool:
    """Tell whether a file can be what a transfer of ours has left: in `/tmp` anybody can put another one there."""
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1


def _told(fields: Any, rest: bytes) -> Told | None:
    if fields["version"] != _VERSION:
        return None
    given = fields["origin"]
    origin = Origin(
        address=str(given["address"]),
        size=None if given["size"] is None else int(given["size"]),
        etag=_text(given["etag"]),
        modified=_text(given["modified"]),
        checksums={str(name): str(value) for name, value in given["checksums"].items()},
    )
    lines = [rest[at : at + ROW_BYTES] for at in range(0, len(rest) - ROW_BYTES + 1, ROW_BYTES)]
    # A row of zero bytes has not been told yet, while one behind it has.
    rows = tuple((int(line[:20]), int(line[21:41])) for line in lines if line.strip(b"\0"))
    return Told(
        origin=origin,
        etag=_text(fields["etag"]),
        encrypted=fields["encrypted"] is True,
        synced=fields["synced"] is True,
        rows=rows if fields["rows"] is True else None,
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)

"""Bytes on their way into a file."""

import base64
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from ctadata_providers.checksum import new_hasher
from ctadata_providers.errors import IntegrityError, NotFoundError, QuotaError
from ctadata_providers.testing.entries import Entry
from ctadata_providers.testing.exchange import Exchange, Refusal

if TYPE_CHECKING:
    from ctadata_providers.testing.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a client wants beside the bytes.

    Attributes:
        algorithms: Checksums to compute and keep besides adler32.
        mtime: The time of change, seconds since the epoch, None for that of the upload.
        xattrs: Extended attributes.
    """

    algorithms: frozenset[str] = frozenset()
    mtime: int | None = None
    xattrs: Mapping[str, str] = field(default_factory=dict)


NO_WISHES = Wishes()


class Upload:
    """Bytes on their way into a file; a context manager that leaves an empty entry unless committed.

    Args:
        storage: Where they go.
        entry: The empty entry made for them.
        received: The local file in which they are collected.
        wishes: What the client wants beside.
    """

    def __init__(self, storage: "Storage", entry: Entry, received: str, wishes: Wishes) -> None:
        self.entry = entry
        self.size = 0
        self._storage = storage
        self._received = received
        self._wishes = wishes
        self._hashers = {name: new_hasher(name) for name in wishes.algorithms | {"adler32"}}
        free = storage.free()
        self._limit = float("inf") if free is None else free
        self._file = open(received, "wb", buffering=0)  # noqa: SIM115, PTH123 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._storage.forget(self.entry)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._received)  # noqa: PTH108

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            QuotaError: When they do not fit.
        """
        self.size += len(data)
        if self.size > self._limit:
            raise QuotaError("no space left", path=self.entry.path)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        for hasher in self._hashers.values():
            hasher.update(data)

    def checksums(self) -> dict[str, str]:
        """Return the checksums of what has arrived so far, hexadecimal."""
        return {name: hasher.hexdigest() for name, hasher in self._hashers.items()}

    def commit(self, *, md5: str | None = None, keep_corrupt: bool = False) -> Entry:
        """Make the file visible, whole, and return it.

        Args:
            md5: The checksum that the client declared, as in Content-MD5 (base64).
            keep_corrupt: Whether a file with another checksum is stored all the same.

        Raises:
            IntegrityError: When the bytes do not have the checksum.
            NotFoundError: When the entry was removed or replaced during the upload.
        """
        self._file.close()
        checksums = self.checksums()
        good = md5 is None or md5 == base64.b64encode(bytes.fromhex(checksums["md5"])).decode()
        if good or keep_corrupt:
            stored = self._storage.commit(self.entry, self._received, checksums, self._wishes)
            if good:
                return stored
        actual, expected = checksums["md5"], _hex_of_base64(md5 or "")
        raise IntegrityError(f"Checksum mismatch (expected=[2:{expected}], actual=[2:{actual}])", path=self.entry.path)


async def receive(exchange: Exchange, storage: "Storage", entry: Entry, wishes: Wishes, *, keep_corrupt: bool) -> Entry:
    """Store the body of a PUT under its entry.

    Args:
        exchange: The PUT.
        storage: Where it goes.
        entry: The empty entry made for it.
        wishes: What the client wants beside.
        keep_corrupt: Whether a file without the checksum in Content-MD5 is stored all the same, as it is
            by a PUT that was redirected (dCache issue 7862).

    Raises:
        Refusal: 400 when it does not have the checksum in Content-MD5, 507 when it does not fit, 500 when the
            entry went away.
        ClientGoneError: When the connection ends first; an empty entry stays.
    """
    md5 = exchange.expected_md5
    if md5:
        wishes = Wishes(algorithms=wishes.algorithms | {"md5"}, mtime=wishes.mtime, xattrs=wishes.xattrs)
    with storage.upload(entry, wishes) as upload:
        try:
            async for chunk in exchange.chunks():
                upload.write(chunk)
            return upload.commit(md5=md5, keep_corrupt=keep_corrupt)
        except IntegrityError as error:
            raise Refusal(400, error.message) from error
        except QuotaError as error:
            raise Refusal(507, "No space left for the upload") from error
        except NotFoundError as error:
            raise Refusal(500, error.message) from error


def _hex_of_base64(text: str) -> str:
    try:
        return base64.b64decode(text).hex()
    except ValueError:
        return text.encode("ascii", "replace").decode()

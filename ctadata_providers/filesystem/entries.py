"""What fsspec is told of a file or folder."""

import calendar
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import UnsupportedError
from ctadata_providers.transfer.download import refuse_unreadable


class NotOfferedError(UnsupportedError, NotImplementedError):
    """fsspec asks for something that this storage has not; who asks it expects a `NotImplementedError`."""


Info = dict[str, Any]
"""fsspec's record of an entry: `name`, `size` and `type`, and what else is known of it."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_RFC1123 = len("Sun, 06 Nov 1994 08:49:37 GMT")


def entry(info: FileInfo) -> Info:
    """Return what fsspec is told of a file or folder.

    >>> entry(FileInfo("/lst/a", is_dir=False, size=3))["name"]
    '/lst/a'
    """
    told: Info = {
        "name": info.path,
        "size": 0 if info.is_dir else info.size,
        "type": "directory" if info.is_dir else "file",
        "mtime": _seconds(info),
        "ETag": info.etag,
        "checksums": dict(info.checksums),
        "locality": info.locality,
    }
    if info.created is not None:
        told["created"] = info.birthtime
    return told


def file_info(record: Info) -> FileInfo:
    """Return what was told of a file or folder as the client tells it, but for its time."""
    is_dir = record["type"] == "directory"
    return FileInfo(
        record["name"],
        is_dir=is_dir,
        size=None if is_dir else record["size"],
        etag=record["ETag"],
        checksums=record["checksums"],
        locality=record["locality"],
    )


def size_to_read(record: Info) -> int:
    """Return the size of a file that is to be read by ranges.

    Raises:
        IsADirError: When it is a folder.
        StorageError: When no pool has it on disk.
        UnsupportedError: When the server does not tell its size.
    """
    refuse_unreadable(file_info(record), "read")
    size: int | None = record["size"]
    if size is None:
        path = record["name"]
        raise UnsupportedError(
            f"the server does not tell the size of {path}", path=path, remedy="read it whole (cat), or download it"
        )
    return size


def entries(infos: Iterable[FileInfo]) -> list[Info]:
    """Return what fsspec is told of some, by their names."""
    return [entry(info) for info in sorted(infos, key=lambda info: info.path)]


def _seconds(info: FileInfo) -> float | None:
    """Return the time of the last change in epoch seconds; most servers write it in one way, which is read fast."""
    text = info.modified
    if text is None:
        return None
    if len(text) == _RFC1123 and text.endswith(" GMT"):
        try:
            return float(_midnight(text[5:16]) + 3600 * int(text[17:19]) + 60 * int(text[20:22]) + int(text[23:25]))
        except (KeyError, ValueError):
            pass
    return info.mtime


@lru_cache(maxsize=1024)
def _midnight(day: str) -> int:
    """Return when a day began, in epoch seconds.

    >>> _midnight("06 Nov 1994")
    784080000
    """
    return calendar.timegm((int(day[7:]), _MONTHS[day[3:6]], int(day[:2]), 0, 0, 0))

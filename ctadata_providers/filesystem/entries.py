"""What fsspec is told of a file or folder."""

import calendar
from collections.abc import Iterable
from typing import Any

from ctadata_providers.backends import FileInfo
from ctadata_providers.errors import UnsupportedError


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
    return {
        "name": info.path,
        "size": 0 if info.is_dir else info.size,
        "type": "directory" if info.is_dir else "file",
        "mtime": _seconds(info),
        "ETag": info.etag,
        "checksums": dict(info.checksums),
        "locality": info.locality,
    }


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
            day, month, year = int(text[5:7]), _MONTHS[text[8:11]], int(text[12:16])
            return float(calendar.timegm((year, month, day, int(text[17:19]), int(text[20:22]), int(text[23:25]))))
        except (KeyError, ValueError):
            pass
    return info.mtime

"""What door and pools do alike with bytes: receive them, name them, cut them into ranges."""

import re
from collections.abc import Iterable
from urllib.parse import quote

from ctadata_providers.errors import IntegrityError, NotFoundError, QuotaError
from ctadata_providers.testing.exchange import Exchange, Refusal
from ctadata_providers.testing.storage import Entry, Storage
from ctadata_providers.testing.upload import Wishes

# A header parameter may hold these without quotes: ASCII without RFC 2045's tspecials.
_PLAIN = re.compile(r"[!#-'*+.\-0-9A-Z^-~]{1,78}")


async def receive(exchange: Exchange, storage: Storage, entry: Entry, wishes: Wishes, *, keep_corrupt: bool) -> Entry:
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


def parse_ranges(header: str | None, size: int) -> list[tuple[int, int]] | None:
    """Return the stretches (start, end) that a Range header asks for; None for the whole file.

    A header that is not understood counts as none (RFC 9110, 14.2); an empty list cannot be satisfied.

    >>> parse_ranges("bytes=0-0, 5-, -2", 10)
    [(0, 1), (5, 10), (8, 10)]
    >>> parse_ranges("bytes=10-", 10), parse_ranges("lines=1-2", 10)
    ([], None)
    """
    unit, equals, text = (header or "").partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    ranges = []
    for item in text.split(","):
        found = re.fullmatch(r"\s*(\d{0,18})-(\d{0,18})\s*", item, re.ASCII)
        if not found or found.groups() == ("", ""):
            return None
        first, last = found.groups()
        start = int(first) if first else max(size - int(last), 0)
        end = min(int(last) + 1, size) if first and last else size
        if first and last and int(last) < int(first):
            return None
        if start < end:
            ranges.append((start, end))
    return ranges


def part_marks(ranges: Iterable[tuple[int, int]], size: int, boundary: str) -> list[bytes]:
    """Return what stands before each part of multipart/byteranges (RFC 9110, 14.6), and behind the last one."""
    marks = [f"\r\n--{boundary}\r\nContent-Range: bytes {start}-{end - 1}/{size}\r\n\r\n" for start, end in ranges]
    return [mark.encode() for mark in [*marks, f"\r\n--{boundary}--\r\n"]]


def content_disposition(name: str) -> str:
    """Return the header that names a file (RFC 2183, RFC 2231), formed as a pool does.

    >>> content_disposition("run 1.fits"), content_disposition("ü")
    ('attachment;filename="run 1.fits"', "attachment;filename*=UTF-8''%C3%BC")
    """
    if _PLAIN.fullmatch(name):
        return f"attachment;filename={name}"
    if name.isascii() and name.isprintable() and len(name) <= 78:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'attachment;filename="{escaped}"'
    return f"attachment;filename*=UTF-8''{quote(name, safe='')}"
